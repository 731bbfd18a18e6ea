package store_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
	"gapura/test/peers"
)

// counter is a mail server that keeps nothing; each runs before a message is taken.
type counter struct {
	sent atomic.Int64
	each func() error
}

func (c *counter) Send(context.Context, notify.Message) error {
	if c.each != nil {
		if err := c.each(); err != nil {
			return err
		}
	}
	c.sent.Add(1)
	return nil
}

// mailing is an event with n confirmed participants, two an order, and a mailing to them that is released.
type mailing struct {
	*fulfil.Mailings
	store *store.Store
	sent  *counter
	id    int64
}

func newMailing(t *testing.T, d *conformance.Database, n int) *mailing {
	t.Helper()
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, "night-run", n+10))
	fill(t, d, eventID, n)
	composer, err := notify.NewComposer(notify.Letterhead{
		From: notify.Address{Name: "Gapura", Email: "noreply@x.example"}, Domain: "x.example", SiteURL: "https://x.example/", Site: "x.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &mailing{store: s, sent: &counter{}}
	m.Mailings = &fulfil.Mailings{
		Store: &store.Broadcasts{Store: s, Unsubscribe: func(order id.ID, position int) string {
			return fmt.Sprintf("https://x.example/unsubscribe/%s/%d", order, position)
		}},
		Clock: clock.System{}, Composer: composer, Postman: notify.NewPostman(m.sent, s, clock.System{}),
	}
	m.id, err = m.Release(t.Context(), fulfil.Broadcast{
		EventID: eventID, Subject: event.Text{ID: "Nomor dada", EN: "Bibs"}, Body: event.Text{ID: "Ambil *besok*.", EN: "Tomorrow."}, CreatedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fill writes n confirmed participants straight into the tables, two an order.
func fill(t *testing.T, d *conformance.Database, eventID int64, n int) {
	t.Helper()
	tx, err := d.SQL(t).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for i := range n {
		order, key := conformance.Hash("order", i/2), conformance.Hash("key", i/2)
		if i%2 == 0 {
			_, err := tx.Exec("INSERT INTO orders (id, event_id, seq, number, status, version, total, contact_name, contact_email, contact_phone, locale, "+
				"idem_key, fingerprint, created_at) VALUES (?, ?, ?, ?, ?, 1, 0, 'Siti', 'siti@example.id', '', 'id', ?, ?, 0)", order[:], eventID, i/2+1,
				fmt.Sprintf("N-%06d", i/2), string(registration.Confirmed), key[:], key[:])
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := tx.Exec("INSERT INTO participants (order_id, position, category, name, email, phone, birth_date, gender, answers, tier, price) "+
			"VALUES (?, ?, 'fun', 'Siti Aminah', ?, '', '1994-05-02', 'female', '', -1, 0)", order[:], i%2+1, conformance.Email(i))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// work does every job of the mailing, each twice: a worker that dies after the effect has it done again.
func (m *mailing) work(t *testing.T) {
	t.Helper()
	m.do(t, strconv.FormatInt(m.id, 10))
	for n := 1; ; n++ {
		if _, _, err := m.Store.Chunk(t.Context(), m.id, n); jobs.IsPermanent(err) {
			return
		}
		m.do(t, fulfil.ChunkArg(m.id, n))
	}
}

func (m *mailing) do(t *testing.T, arg string) {
	t.Helper()
	for range 2 {
		if err := m.Do(t.Context(), jobs.Job{Kind: jobs.MailBroadcast, Arg: arg}); err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
	}
}

func TestAMailingReachesEveryoneOnce(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		const n = 600
		m := newMailing(t, d, n)
		first, other := id.ID(conformance.Hash("order", 0)), id.ID(conformance.Hash("order", 1))
		if err := m.store.OptOut(t.Context(), time.Now(), first, 1); err != nil {
			t.Fatal(err)
		}
		d.Exec(t, "UPDATE participants SET email = 'pelari7@example.id' WHERE order_id = ? AND position = 1", other[:]) // runs twice
		m.work(t)
		if got := m.sent.sent.Load(); got != n-2 {
			t.Errorf("%d messages, want %d: one opted out, one is there twice", got, n-2)
		}
		if got := d.Number(t, "SELECT sent FROM broadcasts"); got != n-2 {
			t.Errorf("%d are counted as sent", got)
		}
		if got := d.Number(t, "SELECT COUNT(*) FROM broadcast_chunks WHERE done_at IS NULL"); got != 0 {
			t.Errorf("%d chunks have no end", got)
		}
		if err := m.store.OptOut(t.Context(), time.Now(), first, 9); err == nil {
			t.Error("somebody who is not there opted out")
		}
	})
}

// 100,000 recipients under 100 MB: the memory of the whole process, sampled while the mailing runs.
func TestAMailingOfAHundredThousandFitsInAHundredMegabytes(t *testing.T) {
	peers.Long(t)
	const n = 100_000
	m := newMailing(t, conformance.SQLite(t), n)
	debug.FreeOSMemory()
	var peak uint64
	m.sent.each = func() error {
		if m.sent.sent.Load()%500 == 0 {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			peak = max(peak, s.HeapInuse+s.StackInuse)
		}
		return nil
	}
	began := time.Now()
	m.work(t)
	if got := m.sent.sent.Load(); got != n {
		t.Errorf("%d messages, want %d", got, n)
	}
	t.Logf("%d recipients in %s, heap and stacks at most %.1f MB", n, time.Since(began).Round(time.Second), float64(peak)/1e6)
	if peak > 100e6 {
		t.Errorf("%d bytes", peak)
	}
}
