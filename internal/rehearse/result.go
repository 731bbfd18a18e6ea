package rehearse

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gapura/internal/rehearse/crowd"
)

// Result is what came of a rehearsal.
type Result struct {
	Plan     Plan
	Title    string // of the event
	Slug     string
	Run      string // begins every key of the run
	Source   string // of the demand curve's figures; empty: invented
	Started  time.Time
	Attempts []Attempt // every request, by the moment it was meant for
	Codes    []string  // the name of every Code
	Orders   []crowd.Order
	People   int
	Faults   []FaultMark
	Findings []Finding
	IdleOpen int // idle connections that the server has kept until the end

	Interrupted bool // the crowd went home early

	Length       time.Duration // from the opening to the last planned arrival
	End          time.Duration // from the opening to the last answer
	Offered      int           // requests that came due, cancellations included
	Unanswered   int           // requests that came due and were not sent or not answered before the drain ended
	Acknowledged int           // orders
	Places       int           // participants of the acknowledged orders
	GivenBack    int           // places of orders whose cancellation was acknowledged
	Seconds      []Second
	Rate         Rate
	Latency      Latency        // of acknowledged requests, from the intended moment
	ClientQueue  Latency        // the part of it that was spent waiting for one of our own connections
	Journey      Latency        // from a visitor's first intended arrival to the acknowledgement, repeats included
	Refusal      Latency        // of overloaded answers, from the intended moment
	ByCode       map[string]int // answers to requests for a place, and outcomes without an answer
	ByCategory   map[string]int // acknowledged places
	Recoveries   []Recovery
	Room         *RoomResult // nil: the event has no waiting room

	target *target
	people *crowd.People
}

// Second is what happened in one second after the opening.
type Second struct {
	Offered      int // requests for a place that were meant for this second
	Acknowledged int // orders acknowledged in this second
	Answered     int // other answers in this second
	P50, P99     time.Duration
}

// Rate sums up the acknowledged orders a second over the full seconds of the curve: without the first, in which caches warm,
// and without the last, which is cut. What follows the first sold_out is left out too.
type Rate struct {
	Median, Mean float64
	Peak         int // the best second
	PeakAt       int // which second it was
	Full         int // how many full seconds there were
}

// Latency sums up a distribution of durations, to three significant digits.
type Latency struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
	Mean                     time.Duration
	Quantiles                []Quantile // for a plot
}

// Quantile is the duration that a share of the cases does not exceed.
type Quantile struct {
	Share float64
	Value time.Duration
}

// Recovery tells how long after a disturbance the rate of acknowledged orders was within 90% of what it was before.
type Recovery struct {
	After  string        // what had happened
	At     time.Duration // when the disturbance ended (a surge) or began (a fault)
	Before float64       // acknowledged orders a second before it
	Took   time.Duration // -1: not before the end of the curve
}

// summarise turns attempts into a result.
func summarise(e *engine, attempts []Attempt) *Result {
	slices.SortFunc(attempts, func(a, b Attempt) int { return int(a.Intended - b.Intended) })
	r := &Result{
		Plan: *e.plan, Title: e.target.title, Slug: e.target.event.Slug, Run: e.people.Run(), Source: e.crowd.Source,
		Attempts: attempts, Codes: e.codes.list(), Orders: e.crowd.Orders, People: e.crowd.People, Faults: e.marks,
		Length: e.crowd.Visits[len(e.crowd.Visits)-1].At, Offered: int(e.offered.Load()),
		ByCode: map[string]int{}, ByCategory: map[string]int{}, target: e.target, people: e.people,
	}
	r.count(int(e.answered.Load()))
	r.perSecond()
	if e.line != nil {
		r.Room = roomResult(e, r)
		r.Rate = plateau(r.Seconds)
		return r
	}
	r.Rate = rateOf(r.Seconds, min(r.Length, r.End, r.soldOutFrom()))
	r.Recoveries = r.recoveries()
	return r
}

func (r *Result) isBot(order int32) bool { return r.Orders[order].Role.IsBot() }

// count fills the totals and the distributions.
func (r *Result) count(answered int) {
	latency, queue, journey, refusal := newHist(), newHist(), newHist(), newHist()
	for i := range r.Attempts {
		a := &r.Attempts[i]
		r.End = max(r.End, a.End)
		if r.isBot(a.Order) {
			continue
		}
		r.ByCode[r.Codes[a.Code]]++
		switch {
		case a.Acknowledged():
			o := &r.Orders[a.Order]
			r.Acknowledged++
			r.Places += o.Size
			for _, c := range o.Categories[:o.Size] {
				r.ByCategory[r.target.event.Categories[c].ID]++
			}
			record(latency, a.Latency())
			record(queue, a.Start-a.Intended)
			record(journey, a.End-o.At)
		case a.Code == CodeCancelled:
			r.GivenBack += r.Orders[a.Order].Size
		case a.Status == 503:
			record(refusal, a.Latency())
		}
	}
	r.Unanswered = max(r.Offered-answered, 0)
	r.Latency, r.ClientQueue, r.Journey, r.Refusal = sumUp(latency), sumUp(queue), sumUp(journey), sumUp(refusal)
}

// perSecond sorts the attempts into the seconds in which they were meant to start and in which they ended.
func (r *Result) perSecond() {
	r.Seconds = make([]Second, int(r.End/time.Second)+1)
	latencies := make([][]time.Duration, len(r.Seconds))
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if r.isBot(a.Order) {
			continue
		}
		if a.Registers() {
			r.Seconds[second(a.Intended)].Offered++
		}
		s := second(a.End)
		if !a.Acknowledged() {
			r.Seconds[s].Answered++
			continue
		}
		r.Seconds[s].Acknowledged++
		latencies[s] = append(latencies[s], a.Latency())
	}
	for s, l := range latencies {
		slices.Sort(l)
		r.Seconds[s].P50, r.Seconds[s].P99 = rank(l, 0.50), rank(l, 0.99)
	}
}

func second(t time.Duration) int { return int(max(t, 0) / time.Second) }

// soldOutFrom returns when a place was first refused as sold out, or a time beyond the end. What is acknowledged after that
// says how much was left, not how fast the server is.
func (r *Result) soldOutFrom() time.Duration {
	first := r.End + r.Length + time.Second
	soldOut := slices.Index(r.Codes, "sold_out")
	for i := range r.Attempts {
		if a := &r.Attempts[i]; int(a.Code) == soldOut {
			first = min(first, a.End)
		}
	}
	return first
}

// rateOf looks at the seconds 1 to length-1.
func rateOf(seconds []Second, length time.Duration) Rate {
	var full []int
	var rate Rate
	for s, x := range seconds {
		if x.Acknowledged > rate.Peak {
			rate.Peak, rate.PeakAt = x.Acknowledged, s
		}
		// A curve's last arrival falls a little short of its end.
		if s >= 1 && time.Duration(s+1)*time.Second <= length+50*time.Millisecond {
			full = append(full, x.Acknowledged)
		}
	}
	if rate.Full = len(full); rate.Full == 0 {
		return rate
	}
	slices.Sort(full)
	sum := 0
	for _, n := range full {
		sum += n
	}
	rate.Mean = float64(sum) / float64(len(full))
	rate.Median = float64(full[(len(full)-1)/2]+full[len(full)/2]) / 2
	return rate
}

// step is the resolution of a recovery.
const step = 100 * time.Millisecond

// recoveries looks for the return to normal after the plan's surge and after every fault.
func (r *Result) recoveries() []Recovery {
	acknowledged := make([]int, int(r.End/step)+1)
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Acknowledged() {
			acknowledged[a.End/step]++
		}
	}
	var out []Recovery
	if r.ByCode["sold_out"] > 0 {
		return nil // the rate also falls because there is nothing left to acknowledge
	}
	if d := r.Plan.Crowd.Demand; d.Curve == crowd.CurveSurge {
		out = append(out, recovery("surge", acknowledged, d.SurgeAt, d.SurgeAt+d.SurgeFor, r.Length))
	}
	for _, f := range r.Faults {
		out = append(out, recovery(f.Name, acknowledged, f.At, f.At, r.Length))
	}
	return out
}

// window is over how long the rate is compared: one second, of which no fifth may be below half of the rate. Without the
// second condition the burst of repeats when a server comes back would count for the silence before it.
const (
	window = int(time.Second / step)
	part   = window / 5
)

// recovery compares the rate in the seconds before a disturbance (up to five) with that of every second after its end.
func recovery(name string, acknowledged []int, begin, end, length time.Duration) Recovery {
	rec := Recovery{After: name, At: end, Took: -1}
	b := min(int(begin/step), len(acknowledged))
	from := max(0, b-5*window)
	if b == from {
		return rec
	}
	perStep := float64(sum(acknowledged[from:b])) / float64(b-from)
	rec.Before = perStep / step.Seconds()
	for i := int(end / step); i+window <= min(len(acknowledged), int(length/step)+1); i++ {
		if normal(acknowledged[i:i+window], perStep) {
			rec.Took = max(time.Duration(i)*step-end, 0)
			return rec
		}
	}
	return rec
}

// normal reports whether the rate was within 90% of perStep, evenly enough.
func normal(acknowledged []int, perStep float64) bool {
	for i := 0; i < len(acknowledged); i += part {
		if float64(sum(acknowledged[i:i+part])) < 0.5*perStep*float64(part) {
			return false
		}
	}
	return float64(sum(acknowledged)) >= 0.9*perStep*float64(len(acknowledged))
}

func sum(n []int) int {
	total := 0
	for _, x := range n {
		total += x
	}
	return total
}

// newHist covers 1 microsecond to 10 minutes with three significant digits.
func newHist() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d/time.Microsecond), 1), h.HighestTrackableValue()))
}

func sumUp(h *hdrhistogram.Histogram) Latency {
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond }
	l := Latency{
		Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max: time.Duration(h.Max()) * time.Microsecond, Mean: time.Duration(h.Mean()) * time.Microsecond,
	}
	if l.Count == 0 {
		return Latency{}
	}
	for _, q := range []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.7, 99.9, 99.95, 99.99, 100} {
		l.Quantiles = append(l.Quantiles, Quantile{Share: q / 100, Value: at(q)})
	}
	return l
}
