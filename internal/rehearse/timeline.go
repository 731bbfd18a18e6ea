package rehearse

import (
	"slices"
	"time"
)

// timeline is the run cut into equal steps for the plots.
type timeline struct {
	step         time.Duration
	first        []int              // first requests for an order, by intended moment
	again        []int              // further ones: double clicks, repeats, returns, replays
	acknowledged []int              // by end
	codes        [][]int            // by code and end
	latency      [3][]time.Duration // p50, p90, p99 of acknowledged requests, by intended moment; -1: none
	queue        []time.Duration    // p99 of the client queue
}

// maxSteps keeps a plot readable: 960 units of width are 8 for each step.
const maxSteps = 120

// steps are the lengths a step may have: people read them easily.
var steps = [...]time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
	5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
}

func cut(r *Result) *timeline {
	t := &timeline{step: time.Hour}
	for _, s := range steps {
		if r.End/s < maxSteps {
			t.step = s
			break
		}
	}
	n := int(r.End/t.step) + 1
	t.first, t.again, t.acknowledged = make([]int, n), make([]int, n), make([]int, n)
	t.codes = make([][]int, len(r.Codes))
	for i := range t.codes {
		t.codes[i] = make([]int, n)
	}
	latencies, queues := make([][]time.Duration, n), make([][]time.Duration, n)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if r.isBot(a.Order) {
			continue
		}
		begin, end := int(max(a.Intended, 0)/t.step), int(max(a.End, 0)/t.step)
		switch a.Kind {
		case First:
			t.first[begin]++
		case Double, Repeat, Return, Replay:
			t.again[begin]++
		default:
		}
		t.codes[a.Code][end]++
		if a.Acknowledged() {
			t.acknowledged[end]++
			latencies[begin] = append(latencies[begin], a.Latency())
			queues[begin] = append(queues[begin], a.Start-a.Intended)
		}
	}
	t.percentiles(latencies, queues)
	return t
}

func (t *timeline) percentiles(latencies, queues [][]time.Duration) {
	for i := range latencies {
		slices.Sort(latencies[i])
		slices.Sort(queues[i])
		for j, q := range [...]float64{0.50, 0.90, 0.99} {
			value := time.Duration(-1)
			if len(latencies[i]) > 0 {
				value = rank(latencies[i], q)
			}
			t.latency[j] = append(t.latency[j], value)
		}
		value := time.Duration(-1)
		if len(queues[i]) > 0 {
			value = rank(queues[i], 0.99)
		}
		t.queue = append(t.queue, value)
	}
}
