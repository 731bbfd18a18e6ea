package app

import (
	"context"
	"runtime/debug"
)

// Connections that are in use cost 17 kB each in net/http, and parked ones 4 kB. The collector lets garbage grow to as much as
// is in use, so a crowd's connections would take their memory twice. From crowded on it is told to let a quarter gather instead.
// Rejected: a memory limit that follows the connections. At the same size the collector then took three quarters of the
// processor.
const (
	crowded        = 2000 // open connections; from here on idle ones are parked, too
	garbageCrowded = 25   // per cent of what is in use
	garbageUsual   = 300  // of some 25 MB: the collector runs a third as often, and the program stays below 150 MB
)

// memory keeps the resident size near what is in use while many are connected.
type memory struct {
	open    func() int64 // how many connections are open
	percent int          // what the collector was told; only tend knows
}

// tend tells the collector how much garbage may gather.
func (m *memory) tend(context.Context) {
	percent := garbageUsual
	if m.open() >= crowded {
		percent = garbageCrowded
	}
	if percent != m.percent {
		m.percent = percent
		debug.SetGCPercent(percent)
	}
}
