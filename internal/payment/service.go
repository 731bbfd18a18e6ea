package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// Gateway is the provider. Its errors are *ProviderError.
type Gateway interface {
	// ParseNotification reads a notification and verifies its signature: ErrBadNotification, ErrBadSignature.
	ParseNotification(body []byte) (Notification, error)
	// Create makes the page on which an attempt is paid.
	Create(ctx context.Context, k Checkout) (Page, error)
	// Status asks about a transaction by the provider's order id or its transaction id.
	Status(ctx context.Context, ref string) (ProviderStatus, error)
	// Cancel ends a transaction that was begun.
	Cancel(ctx context.Context, providerID string) error
	// Revoke ends a page on which no way to pay was chosen; nil also if there is no such page any more.
	Revoke(ctx context.Context, token string) error
	// Refund gives money back; the same key never pays twice.
	Refund(ctx context.Context, r GatewayRefund) error
}

// Why a notification is refused.
var (
	ErrBadNotification = errors.New("not a notification")
	ErrBadSignature    = errors.New("signature does not match")
)

// Codes of ProviderError that decide what comes next.
const (
	CodeNotFound     = "404"
	CodeDuplicate    = "406" // a refund of that key exists
	CodeCannotModify = "412"
)

// ProviderError is the provider's refusal or silence.
type ProviderError struct {
	Op         string        // create, status, cancel, expire, revoke or refund
	Code       string        // the provider's status code; empty: no answer
	Message    string        // the provider's own words; never shown to clients
	Temporary  bool          // asking again later can help; whether the call had an effect is unknown
	RetryAfter time.Duration // 0: the provider did not say
	Cause      error
}

// Error is for logs; it holds no key and no request.
func (e *ProviderError) Error() string {
	s := "payment provider: " + e.Op
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *ProviderError) Unwrap() error { return e.Cause }

// Temporary reports whether err is a provider's trouble that may pass.
func Temporary(err error) bool {
	var e *ProviderError
	return errors.As(err, &e) && e.Temporary
}

// CodeOf returns the provider's code in err, or nothing.
func CodeOf(err error) string {
	var e *ProviderError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Checkout is what the provider needs to make a page.
type Checkout struct {
	ProviderID string
	Amount     money.Rupiah
	Items      []Item // their sum is Amount
	Contact    registration.Contact
	StartsAt   time.Time
	ExpiresAt  time.Time // cut to whole minutes after StartsAt by the provider
	Locale     string
	FinishURL  string // where the browser returns; empty: the gateway's own
}

// Item is a line of the bill.
type Item struct {
	ID       string
	Name     string
	Price    money.Rupiah
	Quantity int
}

// Page is where an attempt is paid.
type Page struct {
	Token       string
	RedirectURL string
}

// GatewayRefund asks the provider to give money back.
type GatewayRefund struct {
	ProviderID string
	Key        string
	Amount     money.Rupiah
	Reason     string
}

// Store keeps cases and notifications.
type Store interface {
	// Change runs decide on the order's case as it stands under the lock of its event and writes the decision in the same
	// transaction: order state with its places and claims, attempts, refunds, entries, alerts, and the jobs that follow
	// from them. decide is pure and runs again when the transaction is retried; its error ends the transaction and is
	// returned. Change returns the case after the decision, or a no_such_order fault.
	Change(ctx context.Context, order id.ID, decide func(Case) (Decision, error)) (Case, error)
	// Case returns the order's case without a lock; PlaceFree may be left false.
	Case(ctx context.Context, order id.ID) (Case, error)
	// Asked records on an attempt when it was asked about, how often, and when it is asked about next; nothing else of it
	// may change, and nothing at all if the stored AskedAt is later. It takes no lock on the event: most questions learn
	// nothing, and there are thousands when holds end.
	Asked(ctx context.Context, ref AttemptRef, a AskedOf) error
	// OrderOf returns the order that has the attempt, or a no_such_order fault.
	OrderOf(ctx context.Context, providerID string) (id.ID, error)
	// AttemptsToAsk returns up to limit attempts whose AskAt is due, longest due first.
	AttemptsToAsk(ctx context.Context, now time.Time, limit int) ([]AttemptRef, error)
	// RefundsToSend returns up to limit open or sending refunds whose NotBefore is due, longest due first.
	RefundsToSend(ctx context.Context, now time.Time, limit int) ([]RefundRef, error)
	// WithoutPlace returns up to limit orders of the event that are paid_no_place, first paid first.
	WithoutPlace(ctx context.Context, eventID int64, limit int) ([]id.ID, error)
	// Keep stores a notification under its key, together with the job that confirms it; false if the key is known.
	Keep(ctx context.Context, n Kept) (fresh bool, err error)
	// Kept returns a stored notification.
	Kept(ctx context.Context, key string) (Kept, error)
	// Judge records what became of a notification.
	Judge(ctx context.Context, key, verdict string) error
}

// AskedOf is the bookkeeping of questions of one attempt; the fields are those of Attempt.
type AskedOf struct {
	AskedAt time.Time
	Asks    int
	AskAt   time.Time
}

// AttemptRef names an attempt.
type AttemptRef struct {
	Order id.ID
	N     int
}

// RefundRef names a refund.
type RefundRef struct {
	Order id.ID
	Key   string
}

// Kept is a stored notification.
type Kept struct {
	Key        string // SHA-256 of Body, hex
	ProviderID string
	Body       []byte
	At         time.Time
	Verdict    string // empty: not judged yet
}

// Service carries payment out: it asks the provider outside of transactions and has the store write what was decided.
type Service struct {
	Store    Store
	Gateway  Gateway
	Clock    clock.Clock
	Policy   Policy
	ItemName func(order registration.Order, category string) string // a line of the bill; nil: the category's id
}

// Attempt returns the page on which the order is paid, making it if there is none. Its faults are those of Start, and
// overloaded while the provider does not answer; a *ProviderError if the provider refused, which waiting does not mend.
func (s *Service) Attempt(ctx context.Context, order id.ID, finishURL string) (Attempt, error) {
	// Most presses resume a page: they are answered without the event's lock.
	c, err := s.Store.Case(ctx, order)
	if err != nil {
		return Attempt{}, err
	}
	if _, n, fresh, err := Start(c, s.Clock.Now(), s.Policy); err != nil || !fresh {
		a, _ := c.Attempt(n)
		return a, err
	}
	return s.begin(ctx, order, finishURL)
}

func (s *Service) begin(ctx context.Context, order id.ID, finishURL string) (Attempt, error) {
	var n int
	var fresh bool
	c, err := s.Store.Change(ctx, order, func(c Case) (d Decision, err error) {
		d, n, fresh, err = Start(c, s.Clock.Now(), s.Policy)
		return d, err
	})
	if err != nil {
		return Attempt{}, err
	}
	a, _ := c.Attempt(n)
	if !fresh {
		return a, nil
	}
	return s.open(ctx, c, a, finishURL)
}

func (s *Service) open(ctx context.Context, c Case, a Attempt, finishURL string) (Attempt, error) {
	page, err := s.Gateway.Create(ctx, s.checkout(c, a, finishURL))
	if err != nil {
		return Attempt{}, s.failed(ctx, c.Order.ID, a.N, err)
	}
	var closed bool
	c, err = s.Store.Change(ctx, c.Order.ID, func(c Case) (d Decision, err error) {
		d, closed = Opened(c, a.N, page, s.Clock.Now())
		return d, nil
	})
	if err != nil {
		return Attempt{}, err
	}
	if closed {
		return Attempt{}, s.revoke(ctx, c, a.N, page.Token)
	}
	a, _ = c.Attempt(a.N)
	return a, nil
}

// failedFor bounds closing an attempt, which is to happen also when the visitor has gone.
const failedFor = 5 * time.Second

// failed closes an attempt whose page was not made, or whose page nobody will see because the provider's answer was lost: the
// next request need not wait for the lease to end, and begins another attempt.
func (s *Service) failed(ctx context.Context, order id.ID, n int, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failedFor)
	defer cancel()
	_, closing := s.close(ctx, order, n)
	if Temporary(cause) {
		cause = fault.Wrap(fault.Overloaded, cause).After(startRetry)
	}
	return errors.Join(cause, closing)
}

// revoke takes back a page whose order stopped waiting while it was made, and says so to whoever wanted to pay.
func (s *Service) revoke(ctx context.Context, c Case, n int, token string) error {
	err := s.Gateway.Revoke(ctx, token)
	switch {
	case err == nil:
		_, err = s.close(ctx, c.Order.ID, n)
	case !Temporary(err): // somebody has begun to pay there, whose answer to us was lost: the provider knows what came of it
		_, _, _, err = s.ask(ctx, c.Order.ID, n, "")
	}
	if err != nil {
		return err
	}
	_, _, _, err = Start(c, s.Clock.Now(), s.Policy)
	return err
}

func (s *Service) close(ctx context.Context, order id.ID, n int) (Case, error) {
	return s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		return CloseAttempt(c, n, s.Clock.Now()), nil
	})
}

func (s *Service) checkout(c Case, a Attempt, finishURL string) Checkout {
	return Checkout{
		ProviderID: a.ProviderID, Amount: a.Amount, Items: s.items(c.Order), Contact: c.Order.Contact,
		StartsAt: a.StartedAt, ExpiresAt: a.ExpiresAt, Locale: c.Order.Locale, FinishURL: finishURL,
	}
}

// items returns the bill: a line per category and price. Nobody's name is on it: the provider does not need to know who
// runs.
func (s *Service) items(o registration.Order) []Item {
	var items []Item
	var sum money.Rupiah
	at := map[string]int{}
	for _, p := range o.Participants {
		sum += p.Price
		lineID := fmt.Sprintf("%s-%d", p.Category, p.Price)
		if i, ok := at[lineID]; ok {
			items[i].Quantity++
			continue
		}
		at[lineID] = len(items)
		items = append(items, Item{ID: lineID, Name: s.itemName(o, p.Category), Price: p.Price, Quantity: 1})
	}
	if sum != o.Total {
		items = append(items, Item{ID: "adjustment", Name: "Penyesuaian", Price: o.Total - sum, Quantity: 1})
	}
	return items
}

func (s *Service) itemName(o registration.Order, category string) string {
	if s.ItemName == nil {
		return category
	}
	return s.ItemName(o, category)
}

// ask asks the provider about one attempt, also by its transaction id where the order id is not enough (some channels), and
// applies the answer. An answer that was overtaken by another is asked for again.
func (s *Service) ask(ctx context.Context, order id.ID, n int, transactionID string) (Case, Decision, ProviderStatus, error) {
	c, err := s.Store.Case(ctx, order)
	if err != nil {
		return Case{}, Decision{}, ProviderStatus{}, err
	}
	a, ok := c.Attempt(n)
	if !ok {
		return c, Decision{Ignored: IgnoredForeign}, ProviderStatus{}, nil
	}
	if a.TransactionID != "" {
		transactionID = a.TransactionID
	}
	for range 3 {
		status, err := s.status(ctx, a.ProviderID, transactionID)
		if err != nil {
			return c, Decision{}, status, err
		}
		var d Decision
		c, d, err = s.apply(ctx, order, n, status)
		if err != nil || d.Ignored != IgnoredStale {
			return c, d, status, err
		}
	}
	return c, Decision{}, ProviderStatus{}, &ProviderError{Op: "status", Message: "overtaken by other answers", Temporary: true}
}

// apply decides first on the case as it can be read, and takes the event's lock only if that would change more than the
// bookkeeping of questions.
func (s *Service) apply(ctx context.Context, order id.ID, n int, status ProviderStatus) (Case, Decision, error) {
	c, err := s.Store.Case(ctx, order)
	if err != nil {
		return c, Decision{}, err
	}
	d := Apply(c, n, status, s.Clock.Now(), s.Policy)
	if d.Empty() {
		return c, d, nil
	}
	if k, only := d.onlyAsked(c); only {
		return c.After(d), d, s.Store.Asked(ctx, AttemptRef{Order: order, N: n}, k)
	}
	c, err = s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		d = Apply(c, n, status, s.Clock.Now(), s.Policy)
		return d, nil
	})
	return c, d, err
}

func (s *Service) status(ctx context.Context, providerID, transactionID string) (ProviderStatus, error) {
	began := s.Clock.Now()
	status, err := s.Gateway.Status(ctx, providerID)
	if err == nil && status.Missing && transactionID != "" {
		status, err = s.Gateway.Status(ctx, transactionID)
	}
	status.AskedAt = began
	return status, err
}

// closeOthers closes at the provider what could still be paid for an order that no longer waits. It is no error if that
// does not work now: reconciliation asks about those attempts again.
func (s *Service) closeOthers(ctx context.Context, c Case) error {
	for _, a := range c.ToClose() {
		if err := s.shut(ctx, c.Order.ID, a); err != nil && !Temporary(err) {
			return err
		}
	}
	return nil
}

// shut cancels the attempt's transaction or, if nobody began one, its page.
func (s *Service) shut(ctx context.Context, order id.ID, a Attempt) error {
	err := s.Gateway.Cancel(ctx, a.ProviderID)
	switch {
	case CodeOf(err) == CodeNotFound && a.Token != "":
		if err = s.Gateway.Revoke(ctx, a.Token); err == nil {
			_, err = s.close(ctx, order, a.N)
		}
	case CodeOf(err) == CodeNotFound:
		_, err = s.close(ctx, order, a.N)
	case err == nil, CodeOf(err) == CodeCannotModify:
		_, _, _, err = s.ask(ctx, order, a.N, "")
	}
	return err
}

// ExpireHold ends the hold of an order: it asks and closes every attempt at the provider, then lets the places go. It returns
// the last step: HoldRelease when the places went, HoldNothing when the order was paid or left, HoldWait with a time when to
// try again.
func (s *Service) ExpireHold(ctx context.Context, order id.ID) (HoldStep, error) {
	step, err := s.SettleHold(ctx, order)
	if err != nil || step.Do != HoldRelease {
		return step, err
	}
	var d Decision
	_, err = s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		d = Release(c, s.Clock.Now())
		return d, nil
	})
	if err == nil && d.Order == "" {
		return HoldStep{Do: HoldNothing}, nil
	}
	return step, err
}

// SettleHold does everything that ExpireHold does except letting the places go, so that a caller can release many orders in
// one transaction; each must be decided there again with Release.
func (s *Service) SettleHold(ctx context.Context, order id.ID) (HoldStep, error) {
	asked := map[int]Asked{}
	for {
		c, err := s.Store.Case(ctx, order)
		if err != nil {
			return HoldStep{}, err
		}
		step := NextHoldStep(c, asked, s.Clock.Now(), s.Policy)
		if step.Attempt == 0 {
			return step, nil
		}
		a, _ := c.Attempt(step.Attempt)
		k, err := s.holdStep(ctx, order, a, step.Do, asked[a.N])
		if err != nil {
			return HoldStep{}, err
		}
		asked[a.N] = k
	}
}

func (s *Service) holdStep(ctx context.Context, order id.ID, a Attempt, do HoldAction, k Asked) (Asked, error) {
	var err error
	switch do {
	case HoldAsk:
		var status ProviderStatus
		_, _, status, err = s.ask(ctx, order, a.N, "")
		k.Answered, k.Missing = err == nil, status.Missing
	case HoldCancel:
		err = s.Gateway.Cancel(ctx, a.ProviderID)
		k.Tried, k.Answered = true, false
		if code := CodeOf(err); code == CodeCannotModify || code == CodeNotFound {
			err = nil // whatever that means, the next question tells
		}
	case HoldRevoke:
		if err = s.Gateway.Revoke(ctx, a.Token); err == nil {
			_, err = s.close(ctx, order, a.N)
		} else if !Temporary(err) {
			err = nil // someone chose a way to pay just now
		}
		k.Tried, k.Answered = true, false
	case HoldNothing, HoldWait, HoldRelease:
	}
	var provider *ProviderError
	if errors.As(err, &provider) {
		// A permanent refusal, such as a wrong key, is silence as well: the money's whereabouts stay unknown.
		k.Failed = true
		return k, nil
	}
	return k, err
}
