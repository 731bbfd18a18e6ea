package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// The collector lets garbage grow to a part of what is in use. In the quiet that part may be large, and the collector runs a
// third as often; ten thousand connections would take their memory several times over. So the part is what fits into the budget,
// but never less than a half, or all of it while fewer connections are open: in a surge on 4,096 the collector took 29% of the
// processor at a quarter, 18% at a half and 9% at all of it, which was 5,900, 6,100 and 7,500 orders a second.
//
// Rejected: a memory limit that follows the connections, at which the collector took three quarters of the processor.
const (
	memoryBudget  = 160 << 20 // bytes of heap and stacks; the kernel counts 240 MB then with 10,000 connections
	garbageAtMost = 300       // per cent of what is in use
	garbageLeast  = 50        // with many connections
	garbageFew    = 100       // with few
	garbageStep   = 25        // the collector is stopped to be told, so not for less

	manyConnections = 6000
)

// memory keeps what garbage may take within the budget.
type memory struct {
	connections *atomic.Int64 // that are open
	percent     int           // what the collector was told; only tend knows
}

// tend tells the collector how much garbage may gather.
func (m *memory) tend(context.Context) {
	use := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(use)
	var live uint64
	for i := range use {
		live += use[i].Value.Uint64()
	}
	if percent := garbageFor(live, m.connections.Load()); percent != m.percent {
		m.percent = percent
		debug.SetGCPercent(percent)
	}
}

// garbageFor returns how many per cent of live bytes may be garbage.
func garbageFor(live uint64, connections int64) int {
	least := garbageFew
	if connections >= manyConnections {
		least = garbageLeast
	}
	if live == 0 {
		return garbageAtMost
	}
	percent := int((memoryBudget - min(live, memoryBudget)) * 100 / live) //nolint:gosec // a percentage; live is not 0 here
	return min(max(percent/garbageStep*garbageStep, least), garbageAtMost)
}
