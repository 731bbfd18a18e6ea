package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// snapshot is what a restart keeps. Notifications under way are part of it, as the provider would not forget them either.
type snapshot struct {
	Transactions []*transaction `json:"transactions"`
	Queue        []snapDelivery `json:"queue"`
	Serial       int64          `json:"serial"`
}

type snapDelivery struct {
	Order, Status, Target string
	Body                  []byte
	Due                   time.Time
	Tries                 int
	Held                  bool
}

func (s *Server) load() error {
	if s.cfg.SnapshotPath == "" {
		return nil
	}
	b, err := os.ReadFile(s.cfg.SnapshotPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var snap snapshot
	if err == nil {
		err = json.Unmarshal(b, &snap)
	}
	if err != nil {
		return fmt.Errorf("the stand-in's snapshot %s cannot be read; delete it to start afresh: %w", s.cfg.SnapshotPath, err)
	}
	s.serial = snap.Serial
	for _, t := range snap.Transactions {
		s.txs[t.OrderID], s.tokens[t.Token] = t, t.OrderID
	}
	for _, d := range snap.Queue {
		if s.checkTarget(d.Target) == nil {
			s.queue = append(s.queue, &delivery{order: d.Order, status: d.Status, target: d.Target, body: d.Body, due: d.Due, tries: d.Tries, held: d.Held})
		}
	}
	return nil
}

// saveEvery is how often a snapshot is written at most. With many transactions writing takes longer than this is worth, so the
// pause is also twenty times as long as the last writing took.
const saveEvery = 250 * time.Millisecond

// save writes the snapshot if anything changed and the pause is over, or now. What happened since the last one is lost in a
// crash.
func (s *Server) save(now bool) {
	began := time.Now()
	s.mu.Lock()
	if !s.dirty || s.cfg.SnapshotPath == "" || !now && began.Before(s.saveAt) {
		s.mu.Unlock()
		return
	}
	s.dirty = false
	b, err := json.Marshal(s.snapshot())
	s.mu.Unlock()
	if err == nil {
		err = replaceFile(s.cfg.SnapshotPath, b)
	}
	if err != nil {
		s.log.Error("stand-in snapshot", slog.Any("error", err))
	}
	s.mu.Lock()
	s.saveAt = time.Now().Add(max(saveEvery, 20*time.Since(began)))
	s.mu.Unlock()
}

func (s *Server) snapshot() snapshot {
	snap := snapshot{Serial: s.serial}
	for _, t := range s.txs {
		snap.Transactions = append(snap.Transactions, t)
	}
	for _, d := range s.queue {
		snap.Queue = append(snap.Queue, snapDelivery{d.order, d.status, d.target, d.body, d.due, d.tries, d.held})
	}
	return snap
}

// replaceFile writes a file so that a crash leaves the old or the new one.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".standin-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
