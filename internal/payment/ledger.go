package payment

import (
	"fmt"
	"time"

	"gapura/internal/money"
	"gapura/internal/registration"
)

// Account is a place where an order's money can be.
type Account string

// The accounts. Money enters from AccountIn and never leaves the other three except by a reversal.
const (
	AccountIn       Account = "in"            // outside: what the provider confirmed to hold for us
	AccountPaid     Account = "paid"          // kept for a confirmed place
	AccountOwed     Account = "paid_no_place" // held, with nothing given for it: late, second or wrong payments, decided refunds
	AccountRefunded Account = "refunded"      // went back: through the provider, by hand or by chargeback
)

// Entry moves Amount, which is above zero, of one attempt's money. Entries are only ever added.
type Entry struct {
	N       int
	Attempt int
	From    Account
	To      Account
	Amount  money.Rupiah
	Reason  Reason
	At      time.Time
}

// Sheet sums a ledger. In every sheet In = Paid + Owed + Refunded, because an entry adds to one account what it takes from
// another; what can go wrong, and what Balance checks, is that the ledger disagrees with the attempts, refunds and order.
type Sheet struct {
	In, Paid, Owed, Refunded money.Rupiah
}

// Plus returns the sum of two sheets.
func (s Sheet) Plus(t Sheet) Sheet {
	return Sheet{In: s.In + t.In, Paid: s.Paid + t.Paid, Owed: s.Owed + t.Owed, Refunded: s.Refunded + t.Refunded}
}

// Balanced reports whether money in is paid + owed + refunded.
func (s Sheet) Balanced() bool { return s.In == s.Paid+s.Owed+s.Refunded }

func (s *Sheet) account(a Account) *money.Rupiah {
	switch a {
	case AccountPaid:
		return &s.Paid
	case AccountOwed:
		return &s.Owed
	case AccountRefunded:
		return &s.Refunded
	case AccountIn: // the sum of the others
	}
	return nil
}

func (s *Sheet) book(e Entry) {
	if from := s.account(e.From); from != nil {
		*from -= e.Amount
	} else {
		s.In += e.Amount
	}
	if to := s.account(e.To); to != nil {
		*to += e.Amount
	} else {
		s.In -= e.Amount
	}
}

// Sheet sums the ledger of the whole order.
func (c Case) Sheet() Sheet {
	var s Sheet
	for _, e := range c.Entries {
		s.book(e)
	}
	return s
}

// SheetOf sums the ledger of attempt n.
func (c Case) SheetOf(n int) Sheet {
	var s Sheet
	for _, e := range c.Entries {
		if e.Attempt == n {
			s.book(e)
		}
	}
	return s
}

// Breach is a sentence about one order whose books are wrong.
type Breach string

// Balance returns what is wrong with the money of one order; nothing, if invariant 8 holds. It requires:
//
//   - every entry moves a positive amount between two different known accounts, and no account is ever below zero;
//   - per attempt: in = received - reversed, and refunded = refunded through the provider + by hand + charged back;
//   - per attempt: paid_no_place = the refunds still owed (nothing is owed without a task, no task without the money);
//   - the order's state agrees: a place was paid for in full (less what was refunded or charged back since), and without a
//     confirmed place nothing counts as paid.
func Balance(c Case) []Breach {
	b := entryBreaches(c)
	for _, a := range c.Attempts {
		b = append(b, attemptBreaches(c, a)...)
	}
	return append(b, orderBreaches(c)...)
}

func entryBreaches(c Case) []Breach {
	var b []Breach
	sheets := map[int]*Sheet{}
	for _, e := range c.Entries {
		if e.Amount <= 0 || e.From == e.To || !e.From.known() || !e.To.known() {
			b = append(b, Breach(fmt.Sprintf("entry %d moves %d from %q to %q", e.N, e.Amount, e.From, e.To)))
			continue
		}
		if _, ok := c.Attempt(e.Attempt); !ok {
			b = append(b, Breach(fmt.Sprintf("entry %d belongs to no attempt", e.N)))
		}
		s := sheets[e.Attempt]
		if s == nil {
			s = &Sheet{}
			sheets[e.Attempt] = s
		}
		s.book(e)
		if s.In < 0 || s.Paid < 0 || s.Owed < 0 || s.Refunded < 0 || !s.Balanced() {
			b = append(b, Breach(fmt.Sprintf("entry %d takes from %q what is not there", e.N, e.From)))
		}
	}
	return b
}

func (a Account) known() bool {
	return a == AccountIn || a == AccountPaid || a == AccountOwed || a == AccountRefunded
}

func attemptBreaches(c Case, a Attempt) []Breach {
	var b []Breach
	s := c.SheetOf(a.N)
	if want := a.Received - a.Reversed; s.In != want {
		b = append(b, Breach(fmt.Sprintf("attempt %d: %d came in, the ledger says %d", a.N, want, s.In)))
	}
	if want := a.Refunded + a.ByHand + a.ChargedBack; s.Refunded != want {
		b = append(b, Breach(fmt.Sprintf("attempt %d: %d went back, the ledger says %d", a.N, want, s.Refunded)))
	}
	var tasks money.Rupiah
	for _, r := range c.Refunds {
		if r.Attempt == a.N && r.State.Owed() {
			tasks += r.Amount
		}
	}
	if tasks != s.Owed {
		b = append(b, Breach(fmt.Sprintf("attempt %d: %d is owed, refunds for %d are open", a.N, s.Owed, tasks)))
	}
	return b
}

func orderBreaches(c Case) []Breach {
	paid, given := c.Sheet().Paid, c.givenBack()
	switch c.Order.Status {
	case registration.Confirmed:
		if paid+given != c.Order.Total {
			return []Breach{Breach(fmt.Sprintf("confirmed for %d: %d is kept and %d was given back", c.Order.Total, paid, given))}
		}
	case registration.PaidNoPlace, registration.Refunding:
		if c.Sheet().Owed == 0 {
			return []Breach{Breach(fmt.Sprintf("%s, and nothing is owed", c.Order.Status))}
		}
		fallthrough
	default:
		if paid != 0 {
			return []Breach{Breach(fmt.Sprintf("%s, and %d counts as paid", c.Order.Status, paid))}
		}
	}
	return nil
}

// givenBack sums what left a confirmed order's paid account again for a reason that leaves the place confirmed. What a
// reversed attempt gave back does not count: another attempt paid for the place since.
func (c Case) givenBack() money.Rupiah {
	var sum money.Rupiah
	for _, e := range c.Entries {
		if a, ok := c.Attempt(e.Attempt); ok && a.State == AttemptReversed {
			continue
		}
		switch e.Reason {
		case ReasonRequested, ReasonOutside, ReasonChargeback:
			if e.From == AccountPaid {
				sum += e.Amount
			}
		case ReasonRefundWithdrawn:
			if e.To == AccountPaid {
				sum -= e.Amount
			}
		default: // brings money, or moves our own
		}
	}
	return sum
}
