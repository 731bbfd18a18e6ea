package registration

import (
	"context"
	"errors"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"
)

// What a store's errors wrap, so that the engine knows what to do about them.
var (
	// ErrDuplicate: a unique key objected; somebody else wrote the same key or claim.
	ErrDuplicate = errors.New("duplicate key")
	// ErrContention: a deadlock or a lock that took too long; the same transaction may succeed now.
	ErrContention = errors.New("lock contention")
	// ErrRejected: the database refuses a value; repeating the transaction cannot help.
	ErrRejected = errors.New("value rejected")
	// ErrUnavailable: no connection, a full disk, a read-only database. Nothing was written.
	ErrUnavailable = errors.New("database unavailable")
	// ErrUnreadable: what is stored does not decode, although the database is well.
	ErrUnreadable = errors.New("stored text is damaged")
	// ErrCommitUnknown: the connection was lost at COMMIT; the transaction may or may not be durable.
	ErrCommitUnknown = errors.New("commit outcome unknown")
)

// Store is what registration needs of the database. All its errors wrap one of the above where they apply.
type Store interface {
	// InEvent runs work in one transaction that holds the event's lock, and commits unless work fails or returns ErrNothing.
	InEvent(ctx context.Context, eventID int64, work func(tx Tx) error) error

	Ledger(ctx context.Context, eventID int64) (Ledger, error)
	// Revisions returns the revision and the number of the last order of every event.
	Revisions(ctx context.Context) (map[int64]Revision, error)
	Keys(ctx context.Context, eventID int64, each func(Key)) error
	Claims(ctx context.Context, eventID int64, each func(Claim)) error
	Order(ctx context.Context, order id.ID) (Order, error) // ErrNoOrder
	OrderByKey(ctx context.Context, key Key) (KeyedOrder, error)
	// States returns the status and version of those of the orders that exist.
	States(ctx context.Context, orders []id.ID) ([]Change, error)
	// DueHolds returns at most limit unpaid orders whose hold ended before now, the longest overdue first, but none of the
	// events in except.
	DueHolds(ctx context.Context, now time.Time, except []int64, limit int) ([]Due, error)
	// NextExpiry returns when the event's next hold ends; zero if there is none.
	NextExpiry(ctx context.Context, eventID int64) (time.Time, error)
}

// ErrNothing makes InEvent roll back without being an error.
var ErrNothing = errors.New("nothing to write")

// ErrNoOrder says that no order has that id or key.
var ErrNoOrder = errors.New("no such order")

// Stored is an event as the database has it.
type Stored struct {
	ID       int64
	Revision int
	Event    *event.Event
}

// Revision tells whether anything about an event changed.
type Revision struct {
	Revision int
	Touched  int64 // rises with every transaction that changed the event's counters
}

// Due is a hold that has ended.
type Due struct {
	Order   id.ID
	EventID int64
}

// Tx is one transaction under an event's lock.
type Tx interface {
	// Ledger reads the event's state. The event itself is only loaded if its revision is not the one of known.
	Ledger(ctx context.Context, known *Stored) (Ledger, error)
	OrdersByKey(ctx context.Context, keys []Key) (map[Key]KeyedOrder, error)
	Taken(ctx context.Context, claims []Claim) (map[Claim]struct{}, error)
	Insert(ctx context.Context, orders []NewOrder) error
	// Advance adds the deltas to the counters and sets the last order's number.
	Advance(ctx context.Context, lastSeq int64, deltas map[event.Counter]Count) error
	// Orders reads orders for a change of their state.
	Orders(ctx context.Context, orders []id.ID) ([]Order, error)
	// SetStatus moves orders to status, raises their versions, ends their holds and writes an outbox row each.
	SetStatus(ctx context.Context, now time.Time, orders []id.ID, status Status) error
	// Claim stores claims of orders.
	Claim(ctx context.Context, claims []OwnedClaim) error
	// LeaveTiers makes the order's participants count to no price tier; their prices stay.
	LeaveTiers(ctx context.Context, order id.ID) error
	// Release deletes the claims of orders.
	Release(ctx context.Context, claims []OwnedClaim) error
}

// NewOrder is an accepted order with what was asked for it.
type NewOrder struct {
	Order       *Order
	Key         Key
	Fingerprint Fingerprint
	Claims      [][]Claim // of each participant
}

// OwnedClaim is a claim and the order that holds it.
type OwnedClaim struct {
	Claim Claim
	Order id.ID
}
