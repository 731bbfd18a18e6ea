package crowd

import (
	_ "embed" // the figures of the on-sale
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// The demand of a convention's ticket sale on 12 July 2026, published by con2/kompassi in docs/tickets-v2-load-testing.md.
// It counts successful orders, so it is a floor on the true demand.
//
//go:embed onsale-2026.json
var onsaleFile []byte

// Onsale holds the published figures of one real on-sale.
type Onsale struct {
	Source          string `json:"source"`
	OrdersPerMinute []int  `json:"orders_per_minute"`
	Peak            struct {
		OrdersPerSecond    float64    `json:"orders_per_second"`
		AtSecond           int        `json:"at_second"`
		SustainedPerSecond [2]float64 `json:"sustained_per_second"`
		UntilSecond        int        `json:"until_second"`
	} `json:"peak"`
	Products []struct {
		ID     string `json:"id"`
		Orders int    `json:"orders"`
	} `json:"products"`
	ProductsPerOrder map[string]float64 `json:"products_per_order"`
	Quantities       map[string]int     `json:"weekend_quantity_histogram"`
}

// ReadOnsale returns the embedded figures.
func ReadOnsale() (*Onsale, error) {
	var o Onsale
	if err := json.Unmarshal(onsaleFile, &o); err != nil {
		return nil, fmt.Errorf("embedded on-sale figures: %w", err)
	}
	return &o, nil
}

// quantities returns how often an order had 1, 2, ... participants.
func (o *Onsale) quantities() []float64 {
	weights := make([]float64, len(o.Quantities))
	for q, n := range o.Quantities {
		if i, err := strconv.Atoi(q); err == nil && i >= 1 && i <= len(weights) {
			weights[i-1] = float64(n)
		}
	}
	return weights
}

// shares returns the products' shares of the orders, largest first as published.
func (o *Onsale) shares() []float64 {
	shares := make([]float64, len(o.Products))
	for i, p := range o.Products {
		shares[i] = float64(p.Orders)
	}
	return shares
}

// firstMinute returns the relative demand of every second of the first minute: rising from the lower sustained rate to the
// peak, falling to the lower sustained rate until the plateau ends, then decaying so that the minute's total is met.
func (o *Onsale) firstMinute() [60]float64 {
	low, high := o.Peak.SustainedPerSecond[0], o.Peak.SustainedPerSecond[1]
	at, until := o.Peak.AtSecond, o.Peak.UntilSecond
	var w [60]float64
	rest := float64(o.OrdersPerMinute[0])
	for s := range until {
		switch {
		case s < at:
			w[s] = low + (high-low)*float64(s)/float64(at)
		case s == at:
			w[s] = o.Peak.OrdersPerSecond
		default:
			w[s] = high - (high-low)*float64(s-at)/float64(until-at)
		}
		rest -= w[s]
	}
	k := decay(low, rest, 60-until)
	for s := until; s < 60; s++ {
		w[s] = low * math.Exp(-k*(float64(s-until)+0.5))
	}
	return w
}

// decay returns the k for which start*exp(-k*(s+0.5)), summed over n seconds, is total.
func decay(start, total float64, n int) float64 {
	lo, hi := 0.0, 10.0
	for range 60 {
		k := (lo + hi) / 2
		sum := 0.0
		for s := range n {
			sum += start * math.Exp(-k*(float64(s)+0.5))
		}
		if sum > total {
			lo = k
		} else {
			hi = k
		}
	}
	return (lo + hi) / 2
}

// arrivals draws the moments of the on-sale with scale times its orders, played speed times as fast. Every minute has
// exactly its published total times scale, rounded.
func (o *Onsale) arrivals(r *rand.Rand, scale, speed float64) []time.Duration {
	var at []time.Duration
	first := o.firstMinute()
	for minute, orders := range o.OrdersPerMinute {
		n := int(math.Round(float64(orders) * scale))
		moment := func() float64 { return r.Float64() * 60 }
		if minute == 0 {
			pick := newPicker(first[:])
			moment = func() float64 { return float64(pick.pick(r)) + r.Float64() }
		}
		for range n {
			s := (float64(minute)*60 + moment()) / speed
			at = append(at, time.Duration(s*float64(time.Second)))
		}
	}
	return at
}
