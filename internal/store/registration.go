package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// The rows of the hot path.
type (
	orderRow struct {
		bun.BaseModel `bun:"table:orders"`

		ID           id.ID         `bun:"id,type:blob"`
		EventID      int64         `bun:"event_id"`
		Seq          int64         `bun:"seq"`
		Number       string        `bun:"number"`
		Status       string        `bun:"status"`
		Version      int           `bun:"version"`
		Total        int64         `bun:"total"`
		ContactName  string        `bun:"contact_name"`
		ContactEmail string        `bun:"contact_email"`
		ContactPhone string        `bun:"contact_phone"`
		Locale       string        `bun:"locale"`
		IdemKey      []byte        `bun:"idem_key"`
		Fingerprint  []byte        `bun:"fingerprint"`
		CreatedAt    int64         `bun:"created_at"`
		ExpiresAt    sql.NullInt64 `bun:"expires_at"`
		HoldUntil    sql.NullInt64 `bun:"hold_until"`
	}

	participantRow struct {
		bun.BaseModel `bun:"table:participants"`

		OrderID   id.ID  `bun:"order_id,type:blob"`
		Position  int    `bun:"position"`
		Category  string `bun:"category"`
		Name      string `bun:"name"`
		Email     string `bun:"email"`
		Phone     string `bun:"phone"`
		BirthDate string `bun:"birth_date"`
		Gender    string `bun:"gender"`
		Answers   string `bun:"answers"`
		Tier      int    `bun:"tier"`
		Price     int64  `bun:"price"`
	}

	stateRow struct {
		Revision int
		LastSeq  int64
		Touched  int64
	}

	counterRow struct {
		Kind  string
		Ref   string
		Size  sql.NullInt64
		Taken int
		Held  int
	}
)

// eventTx is one transaction under an event's lock.
type eventTx struct {
	store   *Store
	tx      bun.Tx
	eventID int64
	state   stateRow
}

// readState reads an event's hot row; lock is the dialect's words for holding it, or nothing.
func readState(ctx context.Context, db bun.IDB, eventID int64, lock string) (stateRow, error) {
	var state stateRow
	err := db.NewRaw("SELECT revision, last_seq, touched FROM event_state WHERE event_id = ?"+lock, eventID).
		Scan(ctx, &state.Revision, &state.LastSeq, &state.Touched)
	return state, err
}

// InEvent runs work in one transaction that holds the event's lock.
func (s *Store) InEvent(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
	return s.transact(ctx, func(tx bun.Tx) error {
		e := &eventTx{store: s, tx: tx, eventID: eventID}
		var err error
		e.state, err = readState(ctx, tx, eventID, s.dialect.forUpdate)
		if err != nil {
			return fmt.Errorf("lock event %d: %w", eventID, err)
		}
		return work(e)
	})
}

func (e *eventTx) Ledger(ctx context.Context, known *registration.Stored) (registration.Ledger, error) {
	return ledger(ctx, e.tx, e.eventID, e.state, known)
}

// Ledger reads an event's state without locking it.
func (s *Store) Ledger(ctx context.Context, eventID int64) (registration.Ledger, error) {
	var l registration.Ledger
	err := s.read(ctx, func(tx bun.Tx) error {
		state, err := readState(ctx, tx, eventID, "")
		if err != nil {
			return fmt.Errorf("event %d: %w", eventID, err)
		}
		l, err = ledger(ctx, tx, eventID, state, nil)
		return err
	})
	return l, err
}

// read runs work on one snapshot of the database.
func (s *Store) read(ctx context.Context, work func(tx bun.Tx) error) error {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.snapshot, ReadOnly: s.dialect.readOnly})
	if err != nil {
		return s.dialect.classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	return s.dialect.classify(work(tx))
}

func ledger(ctx context.Context, db bun.IDB, eventID int64, state stateRow, known *registration.Stored) (registration.Ledger, error) {
	l := registration.Ledger{EventID: eventID, Revision: state.Revision, LastSeq: state.LastSeq, Touched: state.Touched}
	var err error
	if known != nil && known.Revision == state.Revision {
		l.Event = known.Event
	} else if l.Event, err = definition(ctx, db, eventID); err != nil {
		return l, err
	}
	var rows []counterRow
	err = db.NewRaw("SELECT kind, ref, size, taken, held FROM counters WHERE event_id = ?", eventID).Scan(ctx, &rows)
	if err != nil {
		return l, fmt.Errorf("read counters: %w", err)
	}
	l.Counters = make(map[event.Counter]registration.Count, len(rows))
	for _, r := range rows {
		count := registration.Count{Taken: r.Taken, Held: r.Held, Limit: event.Unlimited}
		if r.Size.Valid {
			count.Limit = int(r.Size.Int64)
		}
		l.Counters[event.Counter{Kind: event.CounterKind(r.Kind), Ref: r.Ref}] = count
	}
	return l, nil
}

func definition(ctx context.Context, db bun.IDB, eventID int64) (*event.Event, error) {
	var text string
	if err := db.NewRaw("SELECT definition FROM events WHERE id = ?", eventID).Scan(ctx, &text); err != nil {
		return nil, fmt.Errorf("read event %d: %w", eventID, err)
	}
	return decode(eventID, text)
}

func decode(eventID int64, text string) (*event.Event, error) {
	e, err := event.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("event %d: %w: %w", eventID, registration.ErrUnreadable, err)
	}
	return e, nil
}

// OrdersByKey looks the orders behind keys up, those of other events included: a key is a key everywhere.
func (e *eventTx) OrdersByKey(ctx context.Context, keys []registration.Key) (map[registration.Key]registration.KeyedOrder, error) {
	return ordersByKey(ctx, e.tx, keys)
}

// chunk is how many values one IN list has: beyond some hundred the optimisers stop to count on an index.
const chunk = 500

func ordersByKey(ctx context.Context, db bun.IDB, keys []registration.Key) (map[registration.Key]registration.KeyedOrder, error) {
	found := map[registration.Key]registration.KeyedOrder{}
	for part := range slices.Chunk(keys, chunk) {
		raw := make([][]byte, len(part))
		for i := range part {
			raw[i] = part[i][:]
		}
		var rows []orderRow
		if err := db.NewRaw("SELECT * FROM orders WHERE idem_key IN (?)", bun.List(raw)).Scan(ctx, &rows); err != nil {
			return nil, fmt.Errorf("look keys up: %w", err)
		}
		orders, err := withParticipants(ctx, db, rows)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			found[registration.Key(rows[i].IdemKey)] = registration.KeyedOrder{
				Fingerprint: registration.Fingerprint(rows[i].Fingerprint), Order: orders[i],
			}
		}
	}
	return found, nil
}

// withParticipants turns rows into orders, in the same order.
func withParticipants(ctx context.Context, db bun.IDB, rows []orderRow) ([]registration.Order, error) {
	orders := make([]registration.Order, len(rows))
	if len(rows) == 0 {
		return orders, nil
	}
	at := make(map[id.ID]int, len(rows))
	ids := make([][]byte, len(rows))
	for i := range rows {
		orders[i] = rows[i].order()
		at[rows[i].ID] = i
		ids[i] = rows[i].ID[:]
	}
	var participants []participantRow
	err := db.NewRaw("SELECT * FROM participants WHERE order_id IN (?) ORDER BY order_id, position", bun.List(ids)).
		Scan(ctx, &participants)
	if err != nil {
		return nil, fmt.Errorf("read participants: %w", err)
	}
	for i := range participants {
		p, err := participants[i].participant()
		if err != nil {
			return nil, err
		}
		o := &orders[at[participants[i].OrderID]]
		o.Participants = append(o.Participants, p)
	}
	return orders, nil
}

func (r *orderRow) order() registration.Order {
	return registration.Order{
		ID: r.ID, EventID: r.EventID, Seq: r.Seq, Number: r.Number, Status: registration.Status(r.Status), Version: r.Version,
		Total:   money.Rupiah(r.Total),
		Contact: registration.Contact{Name: r.ContactName, Email: r.ContactEmail, Phone: r.ContactPhone},
		Locale:  r.Locale, CreatedAt: fromMilliseconds(r.CreatedAt), ExpiresAt: fromOptional(r.ExpiresAt),
	}
}

func (r *participantRow) participant() (registration.Participant, error) {
	p := registration.Participant{
		Position: r.Position, Category: r.Category, Name: r.Name, Email: r.Email, Phone: r.Phone, BirthDate: r.BirthDate,
		Gender: r.Gender, Tier: r.Tier, Price: money.Rupiah(r.Price),
	}
	if r.Answers == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(r.Answers), &p.Answers); err != nil {
		return p, fmt.Errorf("answers of %s, position %d: %w", r.OrderID, r.Position, err)
	}
	return p, nil
}

// Taken returns those of the claims that somebody holds.
func (e *eventTx) Taken(ctx context.Context, claims []registration.Claim) (map[registration.Claim]struct{}, error) {
	taken := map[registration.Claim]struct{}{}
	for part := range slices.Chunk(claims, chunk) {
		raw := make([][]byte, len(part))
		for i := range part {
			raw[i] = part[i][:]
		}
		var found [][]byte
		err := e.tx.NewRaw("SELECT hash FROM claims WHERE event_id = ? AND hash IN (?)", e.eventID, bun.List(raw)).Scan(ctx, &found)
		if err != nil {
			return nil, fmt.Errorf("look claims up: %w", err)
		}
		for _, hash := range found {
			taken[registration.Claim(hash)] = struct{}{}
		}
	}
	return taken, nil
}

// Advance adds the deltas to the counters and sets the last order's number. The table's checks refuse to oversell even if
// the engine were wrong.
func (e *eventTx) Advance(ctx context.Context, lastSeq int64, deltas map[event.Counter]registration.Count) error {
	if err := e.addToCounters(ctx, deltas); err != nil {
		return err
	}
	_, err := e.tx.NewRaw("UPDATE event_state SET last_seq = ?, touched = touched + 1 WHERE event_id = ?", lastSeq, e.eventID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("advance event %d: %w", e.eventID, err)
	}
	return nil
}

func (e *eventTx) addToCounters(ctx context.Context, deltas map[event.Counter]registration.Count) error {
	var taken, held, where strings.Builder
	var takenArgs, heldArgs, whereArgs []any
	for c, d := range deltas {
		if d.Taken == 0 && d.Held == 0 {
			continue
		}
		taken.WriteString(" WHEN kind = ? AND ref = ? THEN ?")
		takenArgs = append(takenArgs, string(c.Kind), c.Ref, d.Taken)
		held.WriteString(" WHEN kind = ? AND ref = ? THEN ?")
		heldArgs = append(heldArgs, string(c.Kind), c.Ref, d.Held)
		if where.Len() > 0 {
			where.WriteString(" OR ")
		}
		where.WriteString("(kind = ? AND ref = ?)")
		whereArgs = append(whereArgs, string(c.Kind), c.Ref)
	}
	if len(takenArgs) == 0 {
		return nil
	}
	query := "UPDATE counters SET taken = taken + CASE" + taken.String() + " ELSE 0 END, held = held + CASE" + held.String() +
		" ELSE 0 END WHERE event_id = ? AND (" + where.String() + ")"
	args := append(append(append(takenArgs, heldArgs...), e.eventID), whereArgs...)
	if _, err := e.tx.NewRaw(query, args...).Exec(ctx); err != nil {
		return fmt.Errorf("add to counters: %w", err)
	}
	return nil
}

// Orders reads orders for a change of their state.
func (e *eventTx) Orders(ctx context.Context, orders []id.ID) ([]registration.Order, error) {
	var rows []orderRow
	err := e.tx.NewRaw("SELECT * FROM orders WHERE event_id = ? AND id IN (?) ORDER BY id", e.eventID, bun.List(rawIDs(orders))).
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return withParticipants(ctx, e.tx, rows)
}

func rawIDs(ids []id.ID) [][]byte {
	raw := make([][]byte, len(ids))
	for i := range ids {
		raw[i] = ids[i][:]
	}
	return raw
}

// SetStatus moves orders to status, raises their versions, ends their holds and writes an outbox row each.
func (e *eventTx) SetStatus(ctx context.Context, now time.Time, orders []id.ID, status registration.Status) error {
	_, err := e.tx.NewRaw("UPDATE orders SET status = ?, version = version + 1, hold_until = NULL WHERE id IN (?)",
		string(status), bun.List(rawIDs(orders))).Exec(ctx)
	if err != nil {
		return fmt.Errorf("set status: %w", err)
	}
	_, err = e.tx.NewRaw("INSERT INTO outbox (queue, kind, event_id, order_id, version, created_at) "+
		"SELECT ?, ?, event_id, id, version, ? FROM orders WHERE id IN (?)",
		string(jobs.OrderChanged.Queue()), string(jobs.OrderChanged), milliseconds(now), bun.List(rawIDs(orders))).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note changes: %w", err)
	}
	return nil
}

// Claim stores claims of orders, in key order as Insert does.
func (e *eventTx) Claim(ctx context.Context, claims []registration.OwnedClaim) error {
	if len(claims) == 0 {
		return nil
	}
	w := e.inserts(ctx, len(claims)*fixedSize)
	defer func() { e.store.texts.Put(&w.text) }()
	w.claims(e.eventID, slices.Clone(claims))
	w.send()
	if w.err != nil {
		return fmt.Errorf("insert claims: %w", w.err)
	}
	return nil
}

// LeaveTiers makes the order's participants count to no price tier; their prices stay.
func (e *eventTx) LeaveTiers(ctx context.Context, order id.ID) error {
	if _, err := e.tx.NewRaw("UPDATE participants SET tier = -1 WHERE order_id = ?", order).Exec(ctx); err != nil {
		return fmt.Errorf("leave tiers: %w", err)
	}
	return nil
}

// Release deletes claims of orders. A claim that another order holds stays.
func (e *eventTx) Release(ctx context.Context, claims []registration.OwnedClaim) error {
	for part := range slices.Chunk(claims, chunk) {
		hashes := make([][]byte, len(part))
		owners := make([][]byte, len(part))
		for i := range part {
			hashes[i], owners[i] = part[i].Claim[:], part[i].Order[:]
		}
		_, err := e.tx.NewRaw("DELETE FROM claims WHERE event_id = ? AND hash IN (?) AND order_id IN (?)",
			e.eventID, bun.List(hashes), bun.List(owners)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("release claims: %w", err)
		}
	}
	return nil
}

// Events returns every event that can be read. If there are others, it also returns an error that wraps ErrUnreadable.
func (s *Store) Events(ctx context.Context) ([]registration.Stored, error) {
	var rows []struct {
		ID         int64
		Revision   int
		Definition string
	}
	err := s.reads.NewRaw("SELECT e.id, s.revision, e.definition FROM events e JOIN event_state s ON s.event_id = e.id ORDER BY e.id").
		Scan(ctx, &rows)
	if err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read events: %w", err))
	}
	all := make([]registration.Stored, 0, len(rows))
	var damaged error
	for _, r := range rows {
		e, err := decode(r.ID, r.Definition)
		if err != nil {
			damaged = errors.Join(damaged, err)
			continue
		}
		all = append(all, registration.Stored{ID: r.ID, Revision: r.Revision, Event: e})
	}
	return all, damaged
}

// Revisions returns the revision of every event and how often its counters changed.
func (s *Store) Revisions(ctx context.Context) (map[int64]registration.Revision, error) {
	var rows []struct {
		EventID  int64
		Revision int
		Touched  int64
	}
	if err := s.reads.NewRaw("SELECT event_id, revision, touched FROM event_state").Scan(ctx, &rows); err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read revisions: %w", err))
	}
	all := make(map[int64]registration.Revision, len(rows))
	for _, r := range rows {
		all[r.EventID] = registration.Revision{Revision: r.Revision, Touched: r.Touched}
	}
	return all, nil
}

// Keys calls each with the key of every order of the event.
func (s *Store) Keys(ctx context.Context, eventID int64, each func(registration.Key)) error {
	return s.eachHash(ctx, "SELECT idem_key FROM orders WHERE event_id = ?", eventID, func(h []byte) { each(registration.Key(h)) })
}

// Claims calls each with every claim of the event.
func (s *Store) Claims(ctx context.Context, eventID int64, each func(registration.Claim)) error {
	return s.eachHash(ctx, "SELECT hash FROM claims WHERE event_id = ?", eventID, func(h []byte) { each(registration.Claim(h)) })
}

func (s *Store) eachHash(ctx context.Context, query string, eventID int64, each func([]byte)) error {
	rows, err := s.reads.QueryContext(ctx, query, eventID)
	if err != nil {
		return s.dialect.classify(err)
	}
	defer func() { _ = rows.Close() }()
	var hash []byte
	for rows.Next() {
		if err := rows.Scan(&hash); err != nil {
			return s.dialect.classify(err)
		}
		each(hash)
	}
	return s.dialect.classify(rows.Err())
}

// Order reads one order.
func (s *Store) Order(ctx context.Context, order id.ID) (registration.Order, error) {
	keyed, err := s.oneOrder(ctx, "SELECT * FROM orders WHERE id = ?", order[:])
	return keyed.Order, err
}

// OrderByKey reads the order that a key made.
func (s *Store) OrderByKey(ctx context.Context, key registration.Key) (registration.KeyedOrder, error) {
	return s.oneOrder(ctx, "SELECT * FROM orders WHERE idem_key = ?", key[:])
}

func (s *Store) oneOrder(ctx context.Context, query string, arg []byte) (registration.KeyedOrder, error) {
	var row orderRow
	err := s.reads.NewRaw(query, arg).Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return registration.KeyedOrder{}, registration.ErrNoOrder
	}
	if err != nil {
		return registration.KeyedOrder{}, s.dialect.classify(fmt.Errorf("read an order: %w", err))
	}
	orders, err := withParticipants(ctx, s.reads, []orderRow{row})
	if err != nil {
		return registration.KeyedOrder{}, s.dialect.classify(err)
	}
	return registration.KeyedOrder{Fingerprint: registration.Fingerprint(row.Fingerprint), Order: orders[0]}, nil
}

// States returns the status and version of those of the orders that exist.
func (s *Store) States(ctx context.Context, orders []id.ID) ([]registration.Change, error) {
	var rows []struct {
		ID      id.ID
		Version int
		Status  string
	}
	err := s.reads.NewRaw("SELECT id, version, status FROM orders WHERE id IN (?)", bun.List(rawIDs(orders))).Scan(ctx, &rows)
	if err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read states: %w", err))
	}
	all := make([]registration.Change, len(rows))
	for i, r := range rows {
		all[i] = registration.Change{Order: r.ID, Version: r.Version, Status: registration.Status(r.Status)}
	}
	return all, nil
}

// DueHolds returns at most limit unpaid orders whose hold ended before now, the longest overdue first, but none of the events in
// except.
func (s *Store) DueHolds(ctx context.Context, now time.Time, except []int64, limit int) ([]registration.Due, error) {
	var rows []struct {
		ID      id.ID
		EventID int64
	}
	query, args := "SELECT id, event_id FROM orders WHERE hold_until < ?", []any{milliseconds(now)}
	if len(except) > 0 {
		query, args = query+" AND +event_id NOT IN (?)", append(args, bun.List(except)) // the plus: see NextExpiry
	}
	err := s.reads.NewRaw(query+" ORDER BY hold_until LIMIT ?", append(args, limit)...).Scan(ctx, &rows)
	if err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read due holds: %w", err))
	}
	due := make([]registration.Due, len(rows))
	for i, r := range rows {
		due[i] = registration.Due{Order: r.ID, EventID: r.EventID}
	}
	return due, nil
}

// NextExpiry returns when the event's next hold ends; zero if there is none. Holds end in the order of time, so the first
// few entries of the index hold the answer even when several events sell. The plus keeps the planner from the index on the
// event, by which it would read and sort every order: that took half the processor at 4,300 orders a second on SQLite.
func (s *Store) NextExpiry(ctx context.Context, eventID int64) (time.Time, error) {
	var at int64
	err := s.reads.NewRaw("SELECT hold_until FROM orders WHERE hold_until > 0 AND +event_id = ? ORDER BY hold_until LIMIT 1", eventID).
		Scan(ctx, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, s.dialect.classify(fmt.Errorf("read the next expiry: %w", err))
	}
	return fromMilliseconds(at), nil
}

var _ registration.Store = (*Store)(nil)
