package rehearse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Verify asks the server again about everything it acknowledged, and about every key that never had a clear answer, and
// judges that together with what was said during the rehearsal.
func Verify(ctx context.Context, r *Result) []Finding {
	v := &verifier{r: r, ledger: readLedger(r)}
	orders, sampled := v.choose()
	askAll(ctx, r, v.ledger, orders)
	v.asked, v.sampled = orders, sampled
	findings := []Finding{
		v.answered(), v.exist(), v.sameByKey(), v.complete(), v.plausible(), v.oneKeyOneOrder(), v.oneOrderOneKey(),
		v.keyAnswers(), v.replaysMarked(), v.onePersonOnePlace(), v.noStranger(), v.refusedAbsent(),
	}
	findings = append(findings, v.quotas()...)
	return append(findings, v.expectedAnswers(), v.unresolved())
}

// verifier is one verification.
type verifier struct {
	r       *Result
	ledger  []entry
	asked   []int32
	sampled bool
}

// refusedSample is how many refused keys are looked up: that none of them has an order is a check of the server's
// honesty, not of each visitor's place.
const refusedSample = 2000

// choose returns the orders to ask about: all acknowledged and all unclear ones, those with a habit first when there are
// more than the plan allows, and some of those that were refused.
func (v *verifier) choose() (orders []int32, sampled bool) {
	var special, plain, refused []int32
	for i := range v.ledger {
		n, o := &v.ledger[i], &v.r.Orders[i]
		switch {
		case n.known && o.Habit == 0 && !n.unclear:
			plain = append(plain, int32(i))
		case n.known || n.unclear:
			special = append(special, int32(i))
		case n.refused:
			refused = append(refused, int32(i))
		}
	}
	limit := v.r.Plan.VerifyLimit
	sampled = len(special)+len(plain) > limit
	special = every(special, limit)
	plain = every(plain, limit-len(special))
	return slices.Concat(special, plain, every(refused, refusedSample)), sampled
}

// every returns n elements of s, evenly spread, or s if it has no more.
func every(s []int32, n int) []int32 {
	if len(s) <= n {
		return s
	}
	out := make([]int32, 0, max(n, 0))
	for i := range n {
		out = append(out, s[i*len(s)/n])
	}
	return out
}

// check runs f over the orders that were asked about and answered.
func (v *verifier) check(name, indonesian, english string, f func(found *Finding, i int32, n *entry, a *asked)) Finding {
	found := Finding{Check: name, Title: Text{ID: indonesian, EN: english}}
	for _, i := range v.asked {
		if n := &v.ledger[i]; n.asked != nil && n.asked.err == nil {
			f(&found, i, n, n.asked)
		}
	}
	if v.sampled {
		found.Note = note("%s diperiksa sebagai contoh dari %s", "a sample of %s of %s", found.Checked, v.r.Acknowledged)
	}
	return found
}

func (v *verifier) key(i int32) string { return v.r.people.Key(i) }

func (v *verifier) answered() Finding {
	found := Finding{Check: "questions_answered", Checked: len(v.asked), Title: Text{
		ID: "Server menjawab setiap pertanyaan sesudah gladi", EN: "The server answered every question after the rehearsal",
	}}
	for _, i := range v.asked {
		switch a := v.ledger[i].asked; {
		case a == nil:
			found.broke("key " + v.key(i) + ": not asked, the server was gone or time was up")
		case a.err != nil:
			found.broke("key " + v.key(i) + ": " + a.err.Error())
		}
	}
	return found
}

func (v *verifier) exist() Finding {
	return v.check("acknowledged_exists", "Setiap pesanan yang dijawab berhasil memang ada",
		"Every acknowledged order exists", func(found *Finding, i int32, n *entry, a *asked) {
			if !n.known {
				return
			}
			if found.Checked++; !a.found || a.id != n.receipt.ID {
				found.broke(fmt.Sprintf("order %s of key %s: status %d", n.receipt.ID, v.key(i), a.byID))
			}
		})
}

func (v *verifier) sameByKey() Finding {
	return v.check("key_finds_order", "Setiap kunci menemukan pesanannya sendiri",
		"Every key finds its own order", func(found *Finding, i int32, n *entry, a *asked) {
			if !n.known {
				return
			}
			if found.Checked++; a.keyID != n.receipt.ID {
				found.broke(fmt.Sprintf("key %s: acknowledged %s, found %q (status %d)", v.key(i), n.receipt.ID, a.keyID, a.byKey))
			}
		})
}

func (v *verifier) complete() Finding {
	return v.check("order_complete", "Setiap pesanan memuat semua pesertanya",
		"Every order has all its participants", func(found *Finding, i int32, _ *entry, a *asked) {
			if !a.found {
				return
			}
			if found.Checked++; a.participants != v.r.Orders[i].Size {
				found.broke(fmt.Sprintf("order %s: %d participants of %d", a.id, a.participants, v.r.Orders[i].Size))
			}
		})
}

func (v *verifier) plausible() Finding {
	return v.check("status_plausible", "Status setiap pesanan sesuai dengan yang terjadi",
		"Every order's status fits what happened", func(found *Finding, _ int32, n *entry, a *asked) {
			if !a.found {
				return
			}
			if found.Checked++; !fits(n, a) {
				found.broke(fmt.Sprintf("order %s: %s", a.id, a.status))
			}
		})
}

// fits reports whether a status can follow from what the crowd did: nobody paid, some cancelled, holds end.
func fits(n *entry, a *asked) bool {
	switch a.status {
	case "cancelled", "refunding", "refunded":
		return n.cancelled > 0
	case "expired":
		// An expired order shows when its hold ended; without that it cannot be judged.
		return a.expires.IsZero() || time.Now().After(a.expires)
	case "awaiting_payment", "confirmed":
		return !n.cancelOK
	default:
		return false
	}
}

func (v *verifier) oneKeyOneOrder() Finding {
	found := Finding{Check: "one_key_one_order", Title: Text{
		ID: "Satu kunci, paling banyak satu pesanan", EN: "One key, at most one order",
	}}
	for i := range v.ledger {
		n := &v.ledger[i]
		if !n.known {
			continue
		}
		if found.Checked++; n.other != "" {
			found.broke(fmt.Sprintf("key %s: %s and %s", v.key(int32(i)), n.receipt.ID, n.other))
		}
	}
	return found
}

func (v *verifier) oneOrderOneKey() Finding {
	found := Finding{Check: "one_order_one_key", Title: Text{
		ID: "Tidak ada pesanan yang diberikan kepada dua orang", EN: "No order was given to two visitors",
	}}
	owner := make(map[string]int32, v.r.Acknowledged)
	for i := range v.ledger {
		n := &v.ledger[i]
		if !n.known {
			continue
		}
		found.Checked++
		if first, taken := owner[n.receipt.ID]; taken {
			found.broke(fmt.Sprintf("order %s: keys %s and %s", n.receipt.ID, v.key(first), v.key(int32(i))))
		}
		owner[n.receipt.ID] = int32(i)
	}
	return found
}

func (v *verifier) keyAnswers() Finding {
	found := Finding{Check: "key_answers_always", Title: Text{
		ID: "Kunci yang punya pesanan selalu menjawab dengan pesanan itu", EN: "A key that has an order always answers with it",
	}}
	for i := range v.ledger {
		n := &v.ledger[i]
		if !n.known {
			continue
		}
		if found.Checked++; n.denied != "" {
			found.broke(fmt.Sprintf("key %s: acknowledged, then %s", v.key(int32(i)), n.denied))
		}
	}
	return found
}

func (v *verifier) replaysMarked() Finding {
	found := Finding{Check: "replay_marked", Title: Text{
		ID: "Ulangan ditandai Idempotent-Replayed", EN: "A replay says Idempotent-Replayed",
	}}
	for i := range v.r.Attempts {
		a := &v.r.Attempts[i]
		if a.Kind != Replay || a.Code != CodeReplayed {
			continue
		}
		if found.Checked++; !a.Replayed {
			found.broke("key " + v.key(a.Order))
		}
	}
	return found
}

func (v *verifier) onePersonOnePlace() Finding {
	found := Finding{Check: "one_person_one_place", Title: Text{
		ID: "Satu orang, satu tempat", EN: "One person, one place",
	}}
	for i, o := range v.r.Orders {
		if o.Twin < 0 {
			continue
		}
		found.Checked++
		first, second := &v.ledger[o.Twin], &v.ledger[i]
		if first.live() && second.live() {
			found.broke(fmt.Sprintf("keys %s and %s", v.key(o.Twin), v.key(int32(i))))
		}
	}
	return found
}

func (v *verifier) noStranger() Finding {
	found := Finding{Check: "no_false_duplicate", Checked: len(v.ledger), Title: Text{
		ID: "Tidak ada orang baru yang ditolak sebagai sudah terdaftar", EN: "Nobody new was refused as already registered",
	}}
	for i := range v.ledger {
		if v.ledger[i].stranger {
			found.broke("key " + v.key(int32(i)))
		}
	}
	return found
}

func (v *verifier) refusedAbsent() Finding {
	return v.check("refused_absent", "Yang ditolak tidak meninggalkan pesanan",
		"A refusal leaves no order behind", func(found *Finding, i int32, n *entry, a *asked) {
			if n.known || n.unclear {
				return
			}
			if found.Checked++; a.found {
				found.broke(fmt.Sprintf("key %s: order %s", v.key(i), a.id))
			}
		})
}

// quotas judges every quota at every moment of the rehearsal.
func (v *verifier) quotas() []Finding {
	out := make([]Finding, 0, len(v.r.target.quotas))
	for _, q := range v.r.target.quotas {
		most := v.mostLive(q)
		f := Finding{Check: "quota " + q.ID, Checked: 1, Title: Text{
			ID: fmt.Sprintf("Kuota %s tidak pernah terlampaui", q.ID), EN: fmt.Sprintf("Quota %s was never exceeded", q.ID),
		}}
		f.Note = note("paling banyak %s dari %s tempat terisi bersamaan", "at most %s of %s places were taken at one moment", most, q.Size)
		if most > q.Size {
			f.Broken = most - q.Size
		}
		out = append(out, f)
	}
	return out
}

// change is a moment at which the number of live places changes.
type change struct {
	at     time.Duration
	places int
}

// mostLive returns the largest number of places of q that were certainly taken at one moment: from the acknowledgement
// until a cancellation was sent, or until the hold ended.
func (v *verifier) mostLive(q Quota) int {
	var changes []change
	for i := range v.ledger {
		n := &v.ledger[i]
		places := v.places(i, q)
		if places == 0 || !n.known && (n.asked == nil || !n.asked.found) {
			continue
		}
		from, until, ends := v.span(n)
		if ends && until <= from {
			continue
		}
		changes = append(changes, change{from, places})
		if ends {
			changes = append(changes, change{until, -places})
		}
	}
	// What ends at a moment ends before what begins then.
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.places, b.places))
	})
	live, most := 0, 0
	for _, c := range changes {
		live += c.places
		most = max(most, live)
	}
	return most
}

// places counts the order's participants in the categories of q.
func (v *verifier) places(i int, q Quota) int {
	o, count := &v.r.Orders[i], 0
	for _, c := range o.Categories[:o.Size] {
		if slices.Contains(q.Categories, v.r.target.event.Categories[c].ID) {
			count++
		}
	}
	return count
}

// span returns when an order certainly had its places, from the opening.
func (v *verifier) span(n *entry) (from, until time.Duration, ends bool) {
	from = n.acked
	if !n.known {
		from = v.r.End // only found by its key afterwards
	}
	switch {
	case n.cancelled > 0:
		return from, n.cancelled, true
	case n.asked != nil && n.asked.lost():
		return from, from, true
	case n.asked != nil && n.asked.found && !n.asked.live():
		if n.asked.expires.IsZero() {
			return from, from, true
		}
		return from, n.asked.expires.Sub(v.r.Started), true
	}
	return from, 0, false
}

// expected are the answers that a correct server may give to correct requests.
var expected = map[string]bool{
	"acknowledged": true, "replayed": true, "cancelled": true, "sold_out": true, "already_registered": true,
	"overloaded": true, "rate_limited": true, "idempotency_in_flight": true, "outcome_unknown": true, "price_changed": true,
	"not_open": true, "closed": true, "queue_pass_required": true, "captcha_failed": true, "wrong_state": true,
	"connection_refused": true, "connection_lost": true, "timed_out": true, "dropped": true,
}

func (v *verifier) expectedAnswers() Finding {
	found := Finding{Check: "answers_expected", Title: Text{
		ID: "Hanya jawaban yang dijanjikan kontrak", EN: "Only answers that the contract promises",
	}}
	for _, code := range slices.Sorted(maps.Keys(v.r.ByCode)) {
		found.Checked += v.r.ByCode[code]
		if !expected[code] {
			found.Broken += v.r.ByCode[code]
			found.Examples = append(found.Examples, fmt.Sprintf("%s: %s", code, grouped(int64(v.r.ByCode[code]))))
		}
	}
	return found
}

// unresolved tells about visitors who never had a clear answer: their key says now what became of them.
func (v *verifier) unresolved() Finding {
	found := Finding{Check: "unclear_resolved", Info: true, Title: Text{
		ID: "Pengunjung tanpa jawaban jelas mengetahui nasibnya lewat kunci",
		EN: "Without a clear answer, the key tells what became of it",
	}}
	in, out := 0, 0
	for i := range v.ledger {
		n := &v.ledger[i]
		if n.known || !n.unclear || n.asked == nil || n.asked.err != nil {
			continue
		}
		if found.Checked++; n.asked.found {
			in++
		} else {
			out++
		}
	}
	found.Note = note("%s mendapat pesanan, %s tidak", "%s have an order, %s have none", in, out)
	if found.Checked == 0 {
		found.Note = Text{ID: "semua mendapat jawaban yang jelas", EN: "everybody had a clear answer"}
	}
	return found
}

// note writes two counts into a sentence of either language, in the language's own way.
func note(indonesian, english string, a, b int) Text {
	return Text{
		ID: fmt.Sprintf(indonesian, groupedBy(int64(a), "."), groupedBy(int64(b), ".")),
		EN: fmt.Sprintf(english, grouped(int64(a)), grouped(int64(b))),
	}
}

// Broken returns the findings that are broken.
func Broken(findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.Broken > 0 && !f.Info {
			out = append(out, f)
		}
	}
	return out
}

// Clean reports whether nothing is broken.
func (r *Result) Clean() bool { return len(Broken(r.Findings)) == 0 }
