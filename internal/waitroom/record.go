package waitroom

import (
	"context"
	"errors"
	"time"
)

// Phase is how far a room has come. Phases only go forward.
type Phase string

// The phases of a room.
const (
	Before Phase = "before" // visitors draw, or queue by arrival
	Closed Phase = "closed" // the list of those who drew is closed; its hash is published as soon as it is computed
	Open   Phase = "open"   // the seed is published and visitors enter
	Ended  Phase = "ended"  // registration is over
)

// Stock is what is left to register for.
type Stock string

// The states of the stock.
const (
	InStock Stock = "available"
	Held    Stock = "held"     // sold out for now: unpaid holds may return
	SoldOut Stock = "sold_out" // nothing can return
)

// Settings are what an event says about its waiting room.
type Settings struct {
	EventID  int64
	Slug     string
	OpensAt  time.Time
	ClosesAt time.Time     // zero: never
	Draw     bool          // false: first come, first served from the start
	Lead     time.Duration // how long before opening the list of the draw closes; zero: CloseLead
	Person   bool          // one draw a person: visitors confirm an e-mail address, see Rooms.Ask
}

// CloseLead is how long before opening the list of a draw closes if the settings do not say. A minute: long enough for anyone to save the published
// hash before the seed is out, short enough that hardly anyone who is on time comes late.
const CloseLead = time.Minute

// MinimumGap is how long the list's hash stands before the seed is revealed if closing was late, after an outage.
const MinimumGap = 5 * time.Second

// moments are when the room changes by itself.
func (s Settings) moments() [3]time.Time {
	return [...]time.Time{s.DrawClosesAt(), s.OpensAt, s.ClosesAt}
}

// DrawClosesAt returns when the list of the draw closes; zero if there is no draw.
func (s Settings) DrawClosesAt() time.Time {
	if !s.Draw {
		return time.Time{}
	}
	if s.Lead > 0 {
		return s.OpensAt.Add(-s.Lead)
	}
	return s.OpensAt.Add(-CloseLead)
}

// Record is the room as the database keeps it. Everything else can be rebuilt from it.
type Record struct {
	EventID    int64
	Sealed     []byte // the seed, sealed by Signer.Seal
	Commitment Hash
	Drawn      int64 // how many drew; final once the phase is Closed
	Late       int64 // places given out behind them
	Operator   Operator
	Progress

	// Who leads: the store fills these in and takes them from Lease and Save only.
	Holder     string
	LeaseUntil time.Time // by the database's clock
	Fence      int64     // see Lease
}

// Progress is the part of the record that the leading node writes.
type Progress struct {
	Phase     Phase
	Root      Hash // zero until the closed list has been hashed
	ListHash  Hash
	ClosedAt  time.Time
	OpenedAt  time.Time
	Served    int64 // places whose turn has come: those who drew first, then the late ones
	LetIn     int64 // how much of Operator.LetIn has been done
	Stock     Stock
	Admission Admission
	UpdatedAt time.Time
}

// Operator is what an organiser has ordered.
type Operator struct {
	Paused  bool
	Ceiling float64 // entries a second; 0: none
	LetIn   int64   // entries let in by hand so far, beyond the rate and also while paused
	Groups  []int64 // groups of invited visitors that may enter
}

// Line returns how many places there are: everyone who drew and everyone behind them.
func (r *Record) Line() int64 { return r.Drawn + r.Late }

// Arrival asks for a place behind those who drew.
type Arrival struct {
	Number Number
	Person bool // keep one place for this number
}

// PassRow is a pass as it is kept.
type PassRow struct {
	Number  Number
	Place   int64   // that of the ticket it was exchanged for: 0 for a drawn one
	Key     KeyHash // zero: not yet bound to an idempotency key
	Expires time.Time
}

// Binding asks to use a pass for the order with that key.
type Binding struct {
	Number Number
	Key    KeyHash
}

// Lease says which node leads a room. Fence rises with every change of leader.
type Lease struct {
	Held  bool // this node leads
	Fence int64
	Now   time.Time // the database's clock: nodes' own may be minutes off
}

// Errors of a Store.
var (
	ErrNoRoom     = errors.New("the event has no waiting room")
	ErrListClosed = errors.New("the list of the draw is closed")
	ErrFenced     = errors.New("another node leads the room")
)

// Store keeps rooms durably: what a method has returned survives a crash. Every method is one transaction that locks the
// room's row first. Batches come from one gatherer, are at most 2,000 long and name a number at most once.
type Store interface {
	// Create keeps a new room; an existing one stays as it is.
	Create(ctx context.Context, r Record) error
	// Load returns the room and the database's time; ErrNoRoom if there is none.
	Load(ctx context.Context, eventID int64) (Record, time.Time, error)
	// SaveDraws keeps numbers that drew and raises Drawn by those that are new. ErrListClosed, and nothing kept, unless
	// the phase is Before.
	SaveDraws(ctx context.Context, eventID int64, numbers []Number) error
	// Numbers returns every number that drew, in any order.
	Numbers(ctx context.Context, eventID int64) ([]Number, error)
	// TakePlaces gives out the next places in the order of arrivals, and raises Late by as many. A person has one place:
	// 0 if the number drew, or the one it was given before. Only if the pass for that very place expired before now, a new
	// place is given. Persons' places are kept as rows, others are only counted.
	TakePlaces(ctx context.Context, eventID int64, arrivals []Arrival, now time.Time) ([]int64, error)
	// IssuePasses keeps passes. For a number that has one already the kept one is returned instead, expired or not, unless
	// it expired before now and the new one is for a later place: then it is replaced.
	IssuePasses(ctx context.Context, eventID int64, passes []PassRow, now time.Time) ([]PassRow, error)
	// BindPasses binds each pass to the key unless it is bound already, and returns the keys that they are bound to: zero
	// where there is no such pass.
	BindPasses(ctx context.Context, eventID int64, bindings []Binding) ([]KeyHash, error)
	// AskConfirmations keeps confirmations of which each is the first of its ID, and what Again makes of those that it has; in
	// the same transaction it plans the mails of those that go out. It returns them as they are now. It locks no room.
	AskConfirmations(ctx context.Context, asks []Confirmation, now time.Time) ([]Confirmation, error)
	// TryCodes tries codes one after the other and keeps what Tried makes of their confirmations. right compares a code. One
	// of another event, or of an ID that is not kept, is ErrCodeLapsed. It locks no room.
	TryCodes(ctx context.Context, eventID int64, tries []Try, right func(c *Confirmation, code string) bool, now time.Time) ([]TryOutcome, error)
	// ForgetConfirmations removes an event's confirmations that lapsed before that time.
	ForgetConfirmations(ctx context.Context, eventID int64, before time.Time) error
	// Lease takes or renews the lead for ttl, by the database's clock, if no other node has it.
	Lease(ctx context.Context, eventID int64, node string, ttl time.Duration) (Lease, error)
	// Save keeps the leader's progress and renews its lease for ttl: ErrFenced, and nothing kept, if fence is not the newest.
	Save(ctx context.Context, eventID int64, fence int64, p Progress, ttl time.Duration) error
	// Operate changes what the organiser ordered. change may be called more than once.
	Operate(ctx context.Context, eventID int64, change func(*Operator)) error
}

// Board shows the newest record to all nodes without asking the database; losing everything on it is harmless.
type Board interface {
	// Post shows r, unless something newer by UpdatedAt is shown.
	Post(ctx context.Context, r Record) error
	// Look returns what is shown; false if it is nothing, or too old to use.
	Look(ctx context.Context, eventID int64) (Record, bool, error)
	// Report shows this node's sample; it fades after some seconds.
	Report(ctx context.Context, node string, s Sample) error
	// Samples returns the samples of all nodes that reported lately.
	Samples(ctx context.Context) (map[string]Sample, error)
}

// Sample is how one node's engine fares.
type Sample struct {
	QueueWait time.Duration `json:"queue_wait"` // how long the work that is taken up now has waited
	Commit    time.Duration `json:"commit"`     // how long the last commit took, or the running one if that is longer
	Orders    int64         `json:"orders"`     // acknowledged since the node started
	Best      float64       `json:"best"`       // the most orders a second that it kept up for three seconds since
}

// PassLife is how long a pass is valid: time to send a form that was filled while waiting, twice over.
const PassLife = 5 * time.Minute
