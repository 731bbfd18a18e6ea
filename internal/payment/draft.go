package payment

import (
	"fmt"
	"time"

	"gapura/internal/money"
	"gapura/internal/registration"
)

// draft is a decision in the making: every change is made to a working copy of the case and noted.
type draft struct {
	c      Case
	now    time.Time
	d      Decision
	dirtyA map[int]bool
	dirtyR map[int]bool
}

func newDraft(c Case, now time.Time) *draft {
	return &draft{c: c.Clone(), now: now, dirtyA: map[int]bool{}, dirtyR: map[int]bool{}}
}

// decision returns what was noted. Attempts whose state changed are asked about again on a fresh schedule.
func (f *draft) decision() Decision {
	for i, a := range f.c.Attempts {
		if f.dirtyA[i+1] {
			f.d.Attempts = append(f.d.Attempts, a)
		}
	}
	for i, r := range f.c.Refunds {
		if f.dirtyR[i+1] {
			f.d.Refunds = append(f.d.Refunds, r)
		}
	}
	return f.d
}

func (f *draft) ignore(why Ignored) Decision {
	f.d.Ignored = why
	return f.decision()
}

func (f *draft) attempt(n int) *Attempt {
	f.dirtyA[n] = true
	return &f.c.Attempts[n-1]
}

func (f *draft) refund(n int) *Refund {
	f.dirtyR[n] = true
	return &f.c.Refunds[n-1]
}

func (f *draft) order(s registration.Status) {
	if f.c.Order.Status == s {
		return
	}
	f.c.Order.Status = s
	f.d.Order = s
}

func (f *draft) alert(kind AlertKind, attempt int, amount money.Rupiah, detail string) {
	f.d.Alerts = append(f.d.Alerts, Alert{Kind: kind, Attempt: attempt, Amount: amount, Detail: detail})
}

// move books amount; nothing, if there is nothing to move.
func (f *draft) move(attempt int, from, to Account, amount money.Rupiah, why Reason) {
	if amount <= 0 {
		return
	}
	e := Entry{N: len(f.c.Entries) + 1, Attempt: attempt, From: from, To: to, Amount: amount, Reason: why, At: f.now}
	f.c.Entries = append(f.c.Entries, e)
	f.d.Entries = append(f.d.Entries, e)
}

// owe adds the task to give back what was just moved to AccountOwed.
func (f *draft) owe(attempt int, amount money.Rupiah, why Reason, by string, notBefore time.Time) {
	n := len(f.c.Refunds) + 1
	f.c.Refunds = append(f.c.Refunds, Refund{
		N: n, Key: fmt.Sprintf("rf-%s-%d", f.c.Order.Number, n), Attempt: attempt, Amount: amount, Reason: why,
		State: RefundOpen, By: by, CreatedAt: f.now, NotBefore: notBefore,
	})
	f.dirtyR[n] = true
}

// withdraw ends every refund of the attempt that is still owed: its money is no longer ours to give.
func (f *draft) withdraw(attempt int) {
	for _, r := range f.c.Refunds {
		if r.Attempt == attempt && r.State.Owed() {
			f.refund(r.N).State = RefundWithdrawn
		}
	}
}

// settleOrder moves an order whose owed money is gone to where that leaves it.
func (f *draft) settleOrder() {
	s := f.c.Sheet()
	if s.Owed > 0 || s.Paid > 0 {
		return
	}
	switch f.c.Order.Status {
	case registration.Refunding, registration.PaidNoPlace:
		if s.Refunded > 0 {
			f.order(registration.Refunded)
		} else {
			f.order(registration.Cancelled)
		}
	default: // nobody's money is on its way back
	}
}
