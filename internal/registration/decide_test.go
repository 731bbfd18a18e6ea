package registration

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/money"
)

func decideAll(now time.Time, l *Ledger, batch ...*Submission) ([]string, Decision) {
	d := Decide(now, l, Known{}, batch)
	all := make([]string, len(d.Outcomes))
	for i := range d.Outcomes {
		all[i] = told(d.Outcomes[i])
	}
	return all, d
}

func TestPricesAtTierBordersInsideAnOrder(t *testing.T) {
	t.Parallel()
	five := sub("five", in("10k"), in("10k"), in("10k"), in("10k"), in("10k"))
	tests := []struct {
		name  string
		now   time.Time
		sold  map[event.Counter]Count
		batch []*Submission
		want  [][]money.Rupiah
	}{
		{
			"one order crosses two borders", opening, nil,
			[]*Submission{five, sub("next", in("10k"))},
			[][]money.Rupiah{{200_000, 200_000, 200_000, 220_000, 220_000}, {250_000}},
		},
		{
			"the last early bird goes to the first who came", opening,
			map[event.Counter]Count{event.TierCounter("10k", 0): {Taken: 2, Limit: 3}},
			[]*Submission{sub("a", in("10k"), in("10k")), sub("b", in("10k"))},
			[][]money.Rupiah{{200_000, 220_000}, {220_000}},
		},
		{
			"the date ends a tier that is not sold out", opening.AddDate(0, 0, 7), nil,
			[]*Submission{five},
			[][]money.Rupiah{{220_000, 220_000, 250_000, 250_000, 250_000}},
		},
		{
			"a millisecond before the date it still sells", opening.AddDate(0, 0, 7).Add(-time.Millisecond), nil,
			[]*Submission{sub("a", in("10k"))},
			[][]money.Rupiah{{200_000}},
		},
		{
			"another category in between does not count", opening, nil,
			[]*Submission{sub("mix", in("10k"), in("fun"), in("10k"), in("10k"), in("10k"))},
			[][]money.Rupiah{{200_000, 0, 200_000, 200_000, 220_000}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := empty(race(t))
			for c, count := range test.sold {
				l.Counters[c] = count
			}
			d := Decide(test.now, l, Known{}, test.batch)
			var got [][]money.Rupiah
			for _, o := range d.Outcomes {
				if o.Accepted == nil {
					t.Fatalf("refused: %v", o.Refusal)
				}
				prices, sum := pricesOf(o.Accepted)
				if got = append(got, prices); o.Accepted.Total != sum {
					t.Errorf("total %v, but the prices add up to %v", o.Accepted.Total, sum)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("prices (-want +got):\n%s", diff)
			}
		})
	}
}

func pricesOf(o *Order) (prices []money.Rupiah, sum money.Rupiah) {
	for _, p := range o.Participants {
		prices = append(prices, p.Price)
		sum += p.Price
	}
	return prices, sum
}

func TestOutcomesOfABatch(t *testing.T) {
	t.Parallel()
	small := func(e *event.Event) { e.Quotas[0].Size = 3 }
	otherPayload := sub("a", in("fun"))
	otherPayload.Fingerprint[0]++
	samePerson := sub("twin", in("fun"))
	samePerson.Claims = sub("a", in("fun")).Claims
	dear := sub("dear", in("10k"))
	dear.ExpectedTotal = rupiah(199_000)
	exact := sub("exact", in("10k"))
	exact.ExpectedTotal = rupiah(200_000)
	stale := sub("stale", in("fun"))
	stale.Invalid = fault.New(fault.ValidationFailed)
	gone := sub("gone", in("fun"), in("42k"))
	tests := []struct {
		name  string
		now   time.Time
		batch []*Submission
		want  []string
	}{
		{
			"all or none", opening,
			[]*Submission{sub("a", in("fun"), in("fun")), sub("b", in("fun"), in("10k")), sub("c", in("10k"))},
			[]string{"accepted", "sold_out", "accepted"},
		},
		{
			"the same key twice", opening,
			[]*Submission{sub("a", in("fun")), sub("a", in("fun")), otherPayload},
			[]string{"accepted", "replay", "idempotency_key_reused"},
		},
		{"the same person twice", opening, []*Submission{sub("a", in("fun")), samePerson}, []string{"accepted", "already_registered"}},
		{
			"a refusal binds neither key nor person", opening,
			[]*Submission{sub("a", in("fun"), in("fun"), in("fun"), in("fun")), sub("a", in("fun")), samePerson},
			[]string{"sold_out", "accepted", "already_registered"},
		},
		{
			"another price than expected takes nothing", opening,
			[]*Submission{dear, exact, sub("b", in("fun")), sub("c", in("fun"))},
			[]string{"price_changed", "accepted", "accepted", "accepted"},
		},
		{
			"a category that was withdrawn takes nothing", opening,
			[]*Submission{gone, sub("a", in("fun")), sub("b", in("fun")), sub("c", in("fun"))},
			[]string{"validation_failed", "accepted", "accepted", "accepted"},
		},
		{"what became invalid", opening, []*Submission{stale}, []string{"validation_failed"}},
		{"before the opening", opening.Add(-time.Millisecond), []*Submission{sub("a", in("fun"))}, []string{"not_open"}},
		{"at the end", opening.AddDate(0, 1, 0), []*Submission{sub("a", in("fun"))}, []string{"closed"}},
		{"the last moment", opening.AddDate(0, 1, 0).Add(-time.Millisecond), []*Submission{sub("a", in("fun"))}, []string{"accepted"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, _ := decideAll(test.now, empty(race(t, small)), test.batch...)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAKeyAnswersWithItsOrderWhateverElseIsWrong(t *testing.T) {
	t.Parallel()
	s := sub("a", in("fun"))
	order := Order{Number: "RC-000001", Status: Expired}
	known := Known{
		Orders: map[Key]KeyedOrder{s.Key: {Fingerprint: s.Fingerprint, Order: order}},
		Taken:  map[Claim]struct{}{s.Claims[0][0]: {}},
	}
	invalid := *s
	invalid.Invalid = fault.New(fault.ValidationFailed)
	soldOut := empty(race(t, func(e *event.Event) { e.Quotas[0].Size = 0 }))
	for _, now := range []time.Time{opening.Add(-time.Hour), opening, opening.AddDate(1, 0, 0)} {
		d := Decide(now, soldOut, known, []*Submission{s, &invalid})
		for _, o := range d.Outcomes {
			if o.Replay == nil || o.Replay.Number != order.Number {
				t.Errorf("at %v: %s", now, told(o))
			}
		}
		if len(d.Deltas) != 0 || d.LastSeq != 0 {
			t.Errorf("a replay changed something: %v, %d", d.Deltas, d.LastSeq)
		}
	}
}

func TestSoldOutSaysWhatIsShortAndWhetherItMayReturn(t *testing.T) {
	t.Parallel()
	l := empty(race(t))
	_, d := decideAll(opening, l,
		sub("a", in("fun", "jersey", "S"), in("fun", "jersey", "S")), sub("b", in("fun", "jersey", "S")),
		sub("c", in("10k"), in("10k"), in("10k"), in("10k"), in("10k")), sub("d", in("10k"), in("10k"), in("10k")), sub("e", in("10k")))
	option := d.Outcomes[1].Refusal
	if option.Params["option"] != "jersey:S" || option.Params["may_return"] != false {
		t.Errorf("option: %v", option.Params)
	}
	quota := d.Outcomes[4].Refusal
	if quota.Params["quota"] != "total" || quota.Params["may_return"] != true {
		t.Errorf("quota: %v", quota.Params)
	}
	if diff := cmp.Diff([]string{"10k"}, quota.Params["categories"]); diff != "" {
		t.Error(diff)
	}
}

func TestFreeAndPaidOrders(t *testing.T) {
	t.Parallel()
	_, d := decideAll(opening, empty(race(t)), sub("free", in("fun")), sub("mixed", in("fun"), in("10k")))
	free, mixed := d.Outcomes[0].Accepted, d.Outcomes[1].Accepted
	if free.Status != Confirmed || !free.ExpiresAt.IsZero() {
		t.Errorf("free: %v, expires %v", free.Status, free.ExpiresAt)
	}
	if mixed.Status != AwaitingPayment || !mixed.ExpiresAt.Equal(opening.Add(30*time.Minute)) {
		t.Errorf("mixed: %v, expires %v", mixed.Status, mixed.ExpiresAt)
	}
	want := map[event.Counter]Count{
		event.QuotaCounter("total"): {Taken: 3, Held: 2}, event.CategoryCounter("fun"): {Taken: 2, Held: 1},
		event.QuotaCounter("10k"): {Taken: 1, Held: 1}, event.CategoryCounter("10k"): {Taken: 1, Held: 1},
		event.TierCounter("10k", 0): {Taken: 1, Held: 1},
	}
	if diff := cmp.Diff(want, d.Deltas); diff != "" {
		t.Errorf("deltas (-want +got):\n%s", diff)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for seq, want := range map[int64]string{1: "RC-000001", 999_999: "RC-999999", 1_000_000: "RC-1000000"} {
		if got := Number("RC", seq); got != want {
			t.Errorf("Number(%d) = %s, want %s", seq, got, want)
		}
	}
}
