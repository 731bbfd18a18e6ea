package rehearse

import (
	"time"

	"gapura/internal/rehearse/crowd"
)

// entry is what the crowd knows about one order: everything the server said about its key.
type entry struct {
	receipt   Receipt // as first acknowledged
	acked     time.Duration
	known     bool          // acknowledged
	other     string        // a different order that the same key was answered with
	cancelled time.Duration // when a cancellation was first sent; 0: never
	cancelOK  bool
	unclear   bool   // some request had no clear answer
	refused   bool   // some request was clearly refused
	stranger  bool   // already_registered, although nobody in it registered elsewhere
	denied    string // the code of a refusal that came after the acknowledgement
	asked     *asked
}

// readLedger sorts the attempts by order.
func readLedger(r *Result) []entry {
	ledger := make([]entry, len(r.Orders))
	for i := range r.Attempts {
		ledger[r.Attempts[i].Order].receive(&r.Attempts[i])
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		ledger[a.Order].compare(a, r.Codes[a.Code])
	}
	related := relatives(r.Orders)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if r.Codes[a.Code] == "already_registered" && !related[a.Order] && !ledger[a.Order].known {
			ledger[a.Order].stranger = true
		}
	}
	return ledger
}

// relatives marks the orders whose person has another order.
func relatives(orders []crowd.Order) []bool {
	related := make([]bool, len(orders))
	for i, o := range orders {
		if o.Twin >= 0 {
			related[i], related[o.Twin] = true, true
		}
	}
	return related
}

// receive notes an acknowledgement or a cancellation.
func (n *entry) receive(a *Attempt) {
	switch {
	case a.Kind == Cancel:
		if n.cancelled == 0 || a.Start < n.cancelled {
			n.cancelled = a.Start
		}
		n.cancelOK = n.cancelOK || a.Code == CodeCancelled
	case a.Receipt.ID == "":
	case !n.known:
		n.known, n.receipt, n.acked = true, a.Receipt, a.End
	case a.Receipt.ID != n.receipt.ID:
		n.other = a.Receipt.ID
		n.acked = min(n.acked, a.End)
	default:
		n.acked = min(n.acked, a.End)
	}
}

// compare notes what was said beside the acknowledgement.
func (n *entry) compare(a *Attempt, code string) {
	switch {
	case a.Kind == Cancel || a.Receipt.ID != "":
	case a.unclear(code):
		n.unclear = true
	case code == "overloaded" || code == "rate_limited":
		n.refused = true // for now: the key may try again
	default:
		n.refused = true
		if n.known && a.Start > n.acked {
			n.denied = code
		}
	}
}

// live reports whether the order's places are taken as far as anyone outside can know.
func (n *entry) live() bool {
	switch {
	case n.asked != nil && n.asked.found:
		return n.asked.live()
	case n.asked != nil && n.asked.lost():
		return false
	default:
		return n.known && n.cancelled == 0
	}
}
