package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

// Waitroom keeps waiting rooms. Whatever writes locks the room's row first, so that no two batches ever wait for each
// other in a circle.
type Waitroom struct{ Store *Store }

var _ waitroom.Store = (*Waitroom)(nil)

type (
	roomRow struct {
		bun.BaseModel `bun:"table:waitroom_rooms"`

		EventID    int64         `bun:"event_id"`
		Sealed     []byte        `bun:"sealed"`
		Commitment []byte        `bun:"commitment"`
		Drawn      int64         `bun:"drawn"`
		Late       int64         `bun:"late"`
		Operator   string        `bun:"operator"`
		Phase      string        `bun:"phase"`
		Root       []byte        `bun:"root"`
		ListHash   []byte        `bun:"list_hash"`
		ClosedAt   sql.NullInt64 `bun:"closed_at"`
		OpenedAt   sql.NullInt64 `bun:"opened_at"`
		Served     int64         `bun:"served"`
		LetIn      int64         `bun:"let_in"`
		Stock      string        `bun:"stock"`
		Admission  string        `bun:"admission"`
		UpdatedAt  sql.NullInt64 `bun:"updated_at"`
		Holder     string        `bun:"holder"`
		LeaseUntil int64         `bun:"lease_until"`
		Fence      int64         `bun:"fence"`
	}

	drawRow struct {
		bun.BaseModel `bun:"table:waitroom_draws"`

		EventID int64  `bun:"event_id"`
		Number  []byte `bun:"number"`
	}

	placeRow struct {
		bun.BaseModel `bun:"table:waitroom_places"`

		EventID int64  `bun:"event_id"`
		Number  []byte `bun:"number"`
		Place   int64  `bun:"place"`
	}

	passRow struct {
		bun.BaseModel `bun:"table:waitroom_passes"`

		EventID   int64  `bun:"event_id"`
		Number    []byte `bun:"number"`
		Place     int64  `bun:"place"`
		KeyHash   []byte `bun:"key_hash"`
		ExpiresAt int64  `bun:"expires_at"`
	}
)

// Create implements waitroom.Store.
func (w *Waitroom) Create(ctx context.Context, r waitroom.Record) error {
	row, err := newRoomRow(r)
	if err != nil {
		return err
	}
	err = w.Store.transact(ctx, func(tx bun.Tx) error {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	if errors.Is(err, registration.ErrDuplicate) {
		return nil
	}
	return err
}

func newRoomRow(r waitroom.Record) (*roomRow, error) {
	operator, err := json.Marshal(r.Operator)
	if err != nil {
		return nil, fmt.Errorf("orders of the operator: %w", err)
	}
	row := &roomRow{
		EventID: r.EventID, Sealed: r.Sealed, Commitment: r.Commitment[:], Drawn: r.Drawn, Late: r.Late, Operator: string(operator),
	}
	return row, row.set(r.Progress)
}

// set takes up what the leader writes.
func (r *roomRow) set(p waitroom.Progress) error {
	admission, err := json.Marshal(p.Admission)
	if err != nil {
		return fmt.Errorf("state of the admission: %w", err)
	}
	r.Phase, r.Stock, r.Admission = string(p.Phase), string(p.Stock), string(admission)
	r.Root, r.ListHash = p.Root[:], p.ListHash[:]
	r.ClosedAt, r.OpenedAt, r.UpdatedAt = optional(p.ClosedAt), optional(p.OpenedAt), optional(p.UpdatedAt)
	r.Served, r.LetIn = p.Served, p.LetIn
	return nil
}

func (r *roomRow) record() (waitroom.Record, error) {
	record := waitroom.Record{
		EventID: r.EventID, Sealed: r.Sealed, Commitment: waitroom.Hash(r.Commitment), Drawn: r.Drawn, Late: r.Late,
		Progress: waitroom.Progress{
			Phase: waitroom.Phase(r.Phase), Root: waitroom.Hash(r.Root), ListHash: waitroom.Hash(r.ListHash),
			ClosedAt: fromOptional(r.ClosedAt), OpenedAt: fromOptional(r.OpenedAt), UpdatedAt: fromOptional(r.UpdatedAt),
			Served: r.Served, LetIn: r.LetIn, Stock: waitroom.Stock(r.Stock),
		},
	}
	record.Holder, record.LeaseUntil, record.Fence = r.Holder, fromMilliseconds(r.LeaseUntil), r.Fence
	return record, errors.Join(json.Unmarshal([]byte(r.Operator), &record.Operator), json.Unmarshal([]byte(r.Admission), &record.Admission))
}

// Load implements waitroom.Store. It reads one row and therefore needs no lock.
func (w *Waitroom) Load(ctx context.Context, eventID int64) (waitroom.Record, time.Time, error) {
	var row struct {
		roomRow

		Now int64 `bun:"now_ms"`
	}
	err := w.Store.reads.NewRaw("SELECT r.*, "+w.Store.dialect.nowMilliseconds+" AS now_ms FROM waitroom_rooms r WHERE event_id = ?", eventID).
		Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return waitroom.Record{}, time.Time{}, waitroom.ErrNoRoom
	}
	if err != nil {
		return waitroom.Record{}, time.Time{}, w.Store.dialect.classify(fmt.Errorf("load the waiting room of event %d: %w", eventID, err))
	}
	record, err := row.record()
	return record, fromMilliseconds(row.Now), err
}

// roomTx is one transaction under a room's lock.
type roomTx struct {
	bun.Tx

	eventID int64
	late    int64
	phase   waitroom.Phase
	fence   int64
}

// locked runs work in one transaction that holds the room's lock.
func (w *Waitroom) locked(ctx context.Context, eventID int64, work func(tx *roomTx) error) error {
	return w.Store.transact(ctx, func(tx bun.Tx) error {
		room := &roomTx{Tx: tx, eventID: eventID}
		err := tx.NewRaw("SELECT late, phase, fence FROM waitroom_rooms WHERE event_id = ?"+w.Store.dialect.forUpdate, eventID).
			Scan(ctx, &room.late, &room.phase, &room.fence)
		if errors.Is(err, sql.ErrNoRows) {
			return waitroom.ErrNoRoom
		}
		if err != nil {
			return fmt.Errorf("lock the waiting room of event %d: %w", eventID, err)
		}
		return work(room)
	})
}

// change updates columns of the locked room.
func (tx *roomTx) change(ctx context.Context, set string, args ...any) error {
	_, err := tx.NewRaw("UPDATE waitroom_rooms SET "+set+" WHERE event_id = ?", append(args, tx.eventID)...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("change the waiting room of event %d: %w", tx.eventID, err)
	}
	return nil
}

// SaveDraws implements waitroom.Store. Hardly anyone draws twice, so the numbers are looked up only if the key objects.
func (w *Waitroom) SaveDraws(ctx context.Context, eventID int64, numbers []waitroom.Number) error {
	return w.locked(ctx, eventID, func(tx *roomTx) error {
		if tx.phase != waitroom.Before {
			return waitroom.ErrListClosed
		}
		fresh := slices.Clone(numbers)
		err := tx.insertDraws(ctx, fresh)
		if duplicate(w.Store, err) {
			if fresh, err = tx.unknown(ctx, numbers); err == nil {
				err = tx.insertDraws(ctx, fresh)
			}
		}
		if err != nil || len(fresh) == 0 {
			return err
		}
		return tx.change(ctx, "drawn = drawn + ?", len(fresh))
	})
}

func duplicate(s *Store, err error) bool {
	return err != nil && errors.Is(s.dialect.classify(err), registration.ErrDuplicate)
}

// insertDraws inserts in key order, which is how the index is written.
func (tx *roomTx) insertDraws(ctx context.Context, numbers []waitroom.Number) error {
	slices.SortFunc(numbers, waitroom.Number.Compare)
	rows := make([]drawRow, len(numbers))
	for i := range numbers {
		rows[i] = drawRow{EventID: tx.eventID, Number: numbers[i][:]}
	}
	return insertRows(ctx, tx.Tx, "waitroom_draws", rows, func(*drawRow) int { return fixedSize })
}

// unknown returns those of the numbers that have not drawn.
func (tx *roomTx) unknown(ctx context.Context, numbers []waitroom.Number) ([]waitroom.Number, error) {
	drew, err := lookUp(ctx, tx, "waitroom_draws", numbers, func(r *drawRow) []byte { return r.Number })
	return slices.DeleteFunc(slices.Clone(numbers), func(n waitroom.Number) bool { _, ok := drew[n]; return ok }), err
}

// lookUp returns the rows of those of the numbers that a table has.
func lookUp[R any](ctx context.Context, tx *roomTx, table string, numbers []waitroom.Number, numberOf func(*R) []byte) (map[waitroom.Number]*R, error) {
	found := map[waitroom.Number]*R{}
	for part := range slices.Chunk(numbers, chunk) {
		var rows []R
		err := tx.NewRaw("SELECT * FROM ? WHERE event_id = ? AND number IN (?)", bun.Ident(table), tx.eventID, bun.List(raw(part))).Scan(ctx, &rows)
		if err != nil {
			return nil, fmt.Errorf("look numbers up in %s: %w", table, err)
		}
		for i := range rows {
			found[waitroom.Number(numberOf(&rows[i]))] = &rows[i]
		}
	}
	return found, nil
}

func raw(numbers []waitroom.Number) [][]byte {
	all := make([][]byte, len(numbers))
	for i := range numbers {
		all[i] = numbers[i][:]
	}
	return all
}

// forget deletes rows that are about to be written anew.
func (tx *roomTx) forget(ctx context.Context, table string, numbers []waitroom.Number) error {
	for part := range slices.Chunk(numbers, chunk) {
		_, err := tx.NewRaw("DELETE FROM ? WHERE event_id = ? AND number IN (?)", bun.Ident(table), tx.eventID, bun.List(raw(part))).Exec(ctx)
		if err != nil {
			return fmt.Errorf("replace rows of %s: %w", table, err)
		}
	}
	return nil
}

// Numbers implements waitroom.Store. Once the phase is Closed no draw can come, so no lock is needed.
func (w *Waitroom) Numbers(ctx context.Context, eventID int64) ([]waitroom.Number, error) {
	rows, err := w.Store.reads.QueryContext(ctx, "SELECT number FROM waitroom_draws WHERE event_id = ?", eventID)
	if err != nil {
		return nil, w.Store.dialect.classify(fmt.Errorf("read the draw numbers of event %d: %w", eventID, err))
	}
	defer func() { _ = rows.Close() }()
	var numbers []waitroom.Number
	var number sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&number); err != nil {
			return nil, fmt.Errorf("read a draw number: %w", err)
		}
		if len(number) != len(waitroom.Number{}) {
			return nil, fmt.Errorf("a draw number of event %d has %d bytes", eventID, len(number))
		}
		numbers = append(numbers, waitroom.Number(number))
	}
	return numbers, w.Store.dialect.classify(rows.Err())
}

// TakePlaces implements waitroom.Store.
func (w *Waitroom) TakePlaces(ctx context.Context, eventID int64, arrivals []waitroom.Arrival, now time.Time) (places []int64, err error) {
	err = w.locked(ctx, eventID, func(tx *roomTx) error {
		known, err := tx.persons(ctx, arrivals)
		if err != nil {
			return err
		}
		places = make([]int64, len(arrivals))
		late := tx.late
		var given []placeRow
		var again []waitroom.Number
		for i, a := range arrivals {
			if place, keeps := known.place(a, now); keeps {
				places[i] = place
				continue
			}
			late++
			places[i] = late
			if !a.Person {
				continue
			}
			given = append(given, placeRow{EventID: eventID, Number: a.Number[:], Place: late})
			if known.places[a.Number] != nil {
				again = append(again, a.Number)
			}
		}
		if late == tx.late {
			return nil
		}
		if err := tx.forget(ctx, "waitroom_places", again); err != nil {
			return err
		}
		slices.SortFunc(given, func(a, b placeRow) int { return bytes.Compare(a.Number, b.Number) })
		if err := insertRows(ctx, tx.Tx, "waitroom_places", given, func(*placeRow) int { return fixedSize }); err != nil {
			return err
		}
		return tx.change(ctx, "late = ?", late)
	})
	return places, err
}

// persons is what is known about those who may have one place only.
type persons struct {
	draws  map[waitroom.Number]*drawRow
	places map[waitroom.Number]*placeRow
	passes map[waitroom.Number]*passRow
}

func (tx *roomTx) persons(ctx context.Context, arrivals []waitroom.Arrival) (k persons, err error) {
	var numbers []waitroom.Number
	for _, a := range arrivals {
		if a.Person {
			numbers = append(numbers, a.Number)
		}
	}
	if k.draws, err = lookUp(ctx, tx, "waitroom_draws", numbers, func(r *drawRow) []byte { return r.Number }); err != nil {
		return k, err
	}
	if k.places, err = lookUp(ctx, tx, "waitroom_places", numbers, func(r *placeRow) []byte { return r.Number }); err != nil {
		return k, err
	}
	k.passes, err = tx.passes(ctx, numbers)
	return k, err
}

// place returns the place that a person keeps: 0 for one who drew. It is lost once the pass for it has lapsed.
func (k *persons) place(a waitroom.Arrival, now time.Time) (place int64, keeps bool) {
	if !a.Person {
		return 0, false
	}
	row, has := k.places[a.Number]
	if has {
		place = row.Place
	}
	_, drew := k.draws[a.Number]
	pass, passed := k.passes[a.Number]
	lapsed := passed && pass.Place == place && !now.Before(fromMilliseconds(pass.ExpiresAt))
	return place, (has || drew) && !lapsed
}

func (tx *roomTx) passes(ctx context.Context, numbers []waitroom.Number) (map[waitroom.Number]*passRow, error) {
	return lookUp(ctx, tx, "waitroom_passes", numbers, func(r *passRow) []byte { return r.Number })
}

// IssuePasses implements waitroom.Store. Nearly every pass is the first for its number, so the numbers are looked up only
// if the key objects.
func (w *Waitroom) IssuePasses(ctx context.Context, eventID int64, passes []waitroom.PassRow, now time.Time) (rows []waitroom.PassRow, err error) {
	err = w.locked(ctx, eventID, func(tx *roomTx) error {
		rows = slices.Clone(passes)
		err := tx.insertPasses(ctx, passes)
		if !duplicate(w.Store, err) {
			return err
		}
		numbers := make([]waitroom.Number, len(passes))
		for i := range passes {
			numbers[i] = passes[i].Number
		}
		known, err := tx.passes(ctx, numbers)
		if err != nil {
			return err
		}
		var fresh []waitroom.PassRow
		var replaced []waitroom.Number
		for i, p := range passes {
			old, has := known[p.Number]
			switch {
			case !has:
				fresh = append(fresh, p)
			case !now.Before(fromMilliseconds(old.ExpiresAt)) && p.Place > old.Place:
				fresh, replaced = append(fresh, p), append(replaced, p.Number)
			default:
				rows[i] = old.pass()
			}
		}
		if err := tx.forget(ctx, "waitroom_passes", replaced); err != nil {
			return err
		}
		return tx.insertPasses(ctx, fresh)
	})
	return rows, err
}

func (r *passRow) pass() waitroom.PassRow {
	return waitroom.PassRow{
		Number: waitroom.Number(r.Number), Place: r.Place, Key: waitroom.KeyHash(r.KeyHash), Expires: fromMilliseconds(r.ExpiresAt),
	}
}

func (tx *roomTx) insertPasses(ctx context.Context, passes []waitroom.PassRow) error {
	rows := make([]passRow, len(passes))
	for i := range passes {
		p := &passes[i]
		rows[i] = passRow{EventID: tx.eventID, Number: p.Number[:], Place: p.Place, KeyHash: p.Key[:], ExpiresAt: milliseconds(p.Expires)}
	}
	slices.SortFunc(rows, func(a, b passRow) int { return bytes.Compare(a.Number, b.Number) })
	return insertRows(ctx, tx.Tx, "waitroom_passes", rows, func(*passRow) int { return fixedSize })
}

// BindPasses implements waitroom.Store.
func (w *Waitroom) BindPasses(ctx context.Context, eventID int64, bindings []waitroom.Binding) (keys []waitroom.KeyHash, err error) {
	err = w.locked(ctx, eventID, func(tx *roomTx) error {
		numbers := make([]waitroom.Number, len(bindings))
		for i := range bindings {
			numbers[i] = bindings[i].Number
		}
		known, err := tx.passes(ctx, numbers)
		if err != nil {
			return err
		}
		keys = make([]waitroom.KeyHash, len(bindings))
		var bound []waitroom.PassRow
		var replaced []waitroom.Number
		for i, b := range bindings {
			row, has := known[b.Number]
			if !has {
				continue
			}
			p := row.pass()
			if p.Key == (waitroom.KeyHash{}) {
				p.Key = b.Key
				bound, replaced = append(bound, p), append(replaced, p.Number)
			}
			keys[i] = p.Key
		}
		if err := tx.forget(ctx, "waitroom_passes", replaced); err != nil {
			return err
		}
		return tx.insertPasses(ctx, bound)
	})
	return keys, err
}

// Lease implements waitroom.Store. The time is read after the lock was had: waiting for it must not shorten the lease.
func (w *Waitroom) Lease(ctx context.Context, eventID int64, node string, ttl time.Duration) (lease waitroom.Lease, err error) {
	err = w.locked(ctx, eventID, func(tx *roomTx) error {
		var now, until int64
		var holder string
		err := tx.NewRaw("SELECT "+w.Store.dialect.nowMilliseconds+", holder, lease_until FROM waitroom_rooms WHERE event_id = ?", eventID).
			Scan(ctx, &now, &holder, &until)
		if err != nil {
			return fmt.Errorf("read the lease of event %d: %w", eventID, err)
		}
		lease = waitroom.Lease{Fence: tx.fence, Now: fromMilliseconds(now)}
		if holder != node && now < until {
			return nil
		}
		if holder != node {
			lease.Fence++
		}
		lease.Held = true
		return tx.change(ctx, "holder = ?, lease_until = ?, fence = ?", node, now+ttl.Milliseconds(), lease.Fence)
	})
	return lease, err
}

// Save implements waitroom.Store.
func (w *Waitroom) Save(ctx context.Context, eventID int64, fence int64, p waitroom.Progress, ttl time.Duration) error {
	var r roomRow
	if err := r.set(p); err != nil {
		return err
	}
	return w.locked(ctx, eventID, func(tx *roomTx) error {
		if tx.fence != fence {
			return waitroom.ErrFenced
		}
		return tx.change(ctx, "phase = ?, root = ?, list_hash = ?, closed_at = ?, opened_at = ?, served = ?, let_in = ?, stock = ?, "+
			"admission = ?, updated_at = ?, lease_until = "+w.Store.dialect.nowMilliseconds+" + ?",
			r.Phase, r.Root, r.ListHash, r.ClosedAt, r.OpenedAt, r.Served, r.LetIn, r.Stock, r.Admission, r.UpdatedAt, ttl.Milliseconds())
	})
}

// Operate implements waitroom.Store.
func (w *Waitroom) Operate(ctx context.Context, eventID int64, change func(*waitroom.Operator)) error {
	return w.locked(ctx, eventID, func(tx *roomTx) error {
		var text string
		err := tx.NewRaw("SELECT operator FROM waitroom_rooms WHERE event_id = ?", eventID).Scan(ctx, &text)
		if err != nil {
			return fmt.Errorf("read the orders for event %d: %w", eventID, err)
		}
		var operator waitroom.Operator
		if err := json.Unmarshal([]byte(text), &operator); err != nil {
			return fmt.Errorf("orders for event %d: %w", eventID, err)
		}
		change(&operator)
		changed, err := json.Marshal(operator)
		if err != nil {
			return fmt.Errorf("orders for event %d: %w", eventID, err)
		}
		return tx.change(ctx, "operator = ?", string(changed))
	})
}
