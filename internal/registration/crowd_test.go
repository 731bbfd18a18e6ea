package registration_test

import (
	"fmt"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
)

// people is how many come at the same time; there is a place for one in ten.
const people = 2000

func opening(t *testing.T, d *conformance.Database, slugs ...string) (*store.Store, []int64) {
	t.Helper()
	s := d.Store(t)
	ids := make([]int64, len(slugs))
	for i, slug := range slugs {
		ids[i] = conformance.Apply(t, s, conformance.Race(t, slug, people/10))
	}
	return s, ids
}

// TestACrowdGetsExactlyTheQuota: two events at once on one node. Every visitor clicks twice, and everybody tries a second
// category with a new key.
func TestACrowdGetsExactlyTheQuota(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		slugs := []string{"first-race", "second-race"}
		s, ids := opening(t, d, slugs...)
		n := start(t, s)
		heard := map[string]*answers{slugs[0]: newAnswers(), slugs[1]: newAnswers()}
		crowd(2*people, func(i int) { visit(heard[slugs[i%2]], i/2, slugs[i%2], n, n) })
		for i, slug := range slugs {
			heard[slug].soldExactly(t, s, ids[i])
			live, err := n.Event(slug)
			must(t, err)
			if left := live.Availability.Categories["10k"].Remaining; left != 0 {
				t.Errorf("%s shows %d places left", slug, left)
			}
		}
		auditClean(t, s, n.clock.Now(), ids...)
	})
}

// TestTwoNodes: the same crowd, whose double clicks reach two nodes, each with its own connections.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s, ids := opening(t, d, "first-race")
		nodes := []*node{start(t, s), start(t, d.Open(t))}
		heard := newAnswers()
		crowd(people, func(i int) { visit(heard, i, "first-race", nodes[i%2], nodes[1-i%2]) })
		heard.soldExactly(t, s, ids[0])
		auditClean(t, s, nodes[0].clock.Now(), ids...)
		for i, n := range nodes {
			must(t, n.Refresh(t.Context()))
			live, err := n.Event("first-race")
			must(t, err)
			if left := live.Availability.Categories["5k"].Remaining; left != 0 {
				t.Errorf("node %d shows %d places left", i, left)
			}
		}
	})
}

// visit is what visitor i does: a double click, of which the second reaches other, beside a try as a second person.
func visit(heard *answers, i int, slug string, n, other *node) {
	categories := []string{"10k", "5k", "fun", "kids"}
	r := conformance.Request(i, categories[i%4])
	k := fmt.Sprint(slug, key(i))
	crowd(3, func(click int) {
		switch click {
		case 0:
			receipt, err := n.insist(slug, k, r)
			heard.note(k, receipt, err)
		case 1:
			receipt, err := other.insist(slug, k, r)
			heard.note(k, receipt, err)
		default:
			again := k + "-again"
			receipt, err := other.insist(slug, again, conformance.Request(i, categories[(i+1)%4]))
			heard.note(again, receipt, err)
		}
	})
}

// soldExactly: a tenth of the people have one order each, and those who were told so are those who have it.
func (a *answers) soldExactly(t *testing.T, s *store.Store, eventID int64) {
	t.Helper()
	a.check(t, s)
	if n := len(a.orders); n != people/10 || a.fresh != people/10 {
		t.Errorf("%d keys were accepted, %d of the answers were no replay, want %d; refusals %v", n, a.fresh, people/10, a.codes)
	}
	for code := range a.codes {
		if code != "sold_out" && code != "already_registered" {
			t.Errorf("%d answers %s", a.codes[code], code)
		}
	}
	want := registration.Count{Taken: people / 10, Limit: people / 10}
	got := taken(t, s, eventID, event.QuotaCounter("total"))
	if want.Held = got.Held; got != want {
		t.Errorf("the counter says %+v, want %+v", got, want)
	}
}

// insist asks again, as a visitor's page does, for as long as the node is overloaded.
func (n *node) insist(slug, k string, r registration.Request) (registration.Receipt, error) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		receipt, err := n.register(slug, k, r)
		if fault.CodeOf(err) != fault.Overloaded {
			return receipt, err
		}
		<-again.C
	}
}
