package crowd

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"
)

// The demand curves.
const (
	CurveOnsale   = "onsale"   // the published figures of a real on-sale, times Scale, Speed times as fast
	CurveSpike    = "spike"    // Orders in For, most of them at once, decaying exponentially
	CurveConstant = "constant" // Rate for For, Poisson
	CurveSurge    = "surge"    // Rate for For; from SurgeAt, for SurgeFor, Surge times the Rate
)

// Curves lists the demand curves.
func Curves() []string { return []string{CurveOnsale, CurveSpike, CurveConstant, CurveSurge} }

// Demand says how many orders arrive when.
type Demand struct {
	Curve    string        // one of Curves
	Scale    float64       // onsale: times the published orders
	Speed    float64       // onsale: how many times as fast as it was
	Orders   int           // spike: how many
	Rate     float64       // constant, surge: orders a second
	For      time.Duration // spike, constant, surge: how long
	Surge    float64       // surge: times the rate
	SurgeAt  time.Duration // surge: when it begins
	SurgeFor time.Duration // surge: how long it lasts
}

// Check returns what is wrong with d, in one sentence.
func (d Demand) Check() error {
	switch {
	case !slices.Contains(Curves(), d.Curve):
		return fmt.Errorf("curve %q: one of %s", d.Curve, strings.Join(Curves(), ", "))
	case d.Curve == CurveOnsale && (d.Scale <= 0 || d.Speed <= 0):
		return fmt.Errorf("curve onsale needs a scale and a speed above 0, not %g and %g", d.Scale, d.Speed)
	case d.Curve == CurveSpike && d.Orders < 1:
		return errors.New("curve spike needs at least one order")
	case d.Curve != CurveOnsale && d.For <= 0:
		return fmt.Errorf("curve %s needs a duration above 0", d.Curve)
	case (d.Curve == CurveConstant || d.Curve == CurveSurge) && d.Rate <= 0:
		return fmt.Errorf("curve %s needs a rate above 0", d.Curve)
	case d.Curve == CurveSurge && (d.Surge <= 0 || d.SurgeFor <= 0 || d.SurgeAt < 0 || d.SurgeAt+d.SurgeFor > d.For):
		return errors.New("curve surge needs a surge that lies within its duration")
	}
	return nil
}

// arrivals returns the moments at which orders arrive, from the opening, in order.
func (d Demand) arrivals(r *rand.Rand, o *Onsale) []time.Duration {
	var at []time.Duration
	switch d.Curve {
	case CurveOnsale:
		at = o.arrivals(r, d.Scale, d.Speed)
	case CurveSpike:
		at = spike(r, d.Orders, d.For)
	case CurveConstant:
		at = poisson(r, d.Rate, 0, d.For)
	case CurveSurge:
		at = append(at, poisson(r, d.Rate, 0, d.SurgeAt)...)
		at = append(at, poisson(r, d.Rate*d.Surge, d.SurgeAt, d.SurgeFor)...)
		at = append(at, poisson(r, d.Rate, d.SurgeAt+d.SurgeFor, d.For-d.SurgeAt-d.SurgeFor)...)
	}
	slices.Sort(at)
	return at
}

// poisson draws rate*length moments from start on: the number is fixed, the moments are those of a Poisson process.
func poisson(r *rand.Rand, rate float64, start, length time.Duration) []time.Duration {
	at := make([]time.Duration, int(math.Round(rate*length.Seconds())))
	for i := range at {
		at[i] = start + time.Duration(r.Float64()*float64(length))
	}
	return at
}

// spikeDecays is how many time constants a spike lasts: five leave 0.7% of the initial rate at its end.
const spikeDecays = 5

// spike draws n moments whose density decays exponentially over length.
func spike(r *rand.Rand, n int, length time.Duration) []time.Duration {
	at := make([]time.Duration, n)
	cut := 1 - math.Exp(-spikeDecays)
	for i := range at {
		at[i] = time.Duration(-math.Log(1-r.Float64()*cut) / spikeDecays * float64(length))
	}
	return at
}

// picker draws indices by weight.
type picker struct{ sums []float64 }

func newPicker(weights []float64) picker {
	sums := make([]float64, len(weights))
	total := 0.0
	for i, w := range weights {
		total += w
		sums[i] = total
	}
	return picker{sums}
}

func (p picker) pick(r *rand.Rand) int {
	x := r.Float64() * p.sums[len(p.sums)-1]
	return min(sort.SearchFloat64s(p.sums, x), len(p.sums)-1)
}
