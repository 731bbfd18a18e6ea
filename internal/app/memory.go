package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
)

// The collector lets garbage grow to a part of what is in use. In the quiet that part may be large, and the collector runs a
// third as often; a crowd's connections would take their memory several times over. So the part is what fits into the budget.
// Rejected: a fixed quarter from 2,000 connections on, which took 28% of the processor in a surge on 4,096 connections; and a memory
// limit that follows the connections, at which the collector took three quarters of it.
const (
	memoryBudget  = 140 << 20 // bytes of heap and stacks; with 170 MiB the kernel counted 255 MB
	garbageAtMost = 300       // per cent of what is in use
	garbageLeast  = 25
	garbageStep   = 25 // the collector is stopped to be told, so not for less
)

// memory keeps what garbage may take within the budget.
type memory struct {
	percent int // what the collector was told; only tend knows
}

// tend tells the collector how much garbage may gather.
func (m *memory) tend(context.Context) {
	use := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(use)
	var live uint64
	for i := range use {
		live += use[i].Value.Uint64()
	}
	if percent := garbageFor(live); percent != m.percent {
		m.percent = percent
		debug.SetGCPercent(percent)
	}
}

// garbageFor returns how many per cent of live bytes may be garbage.
func garbageFor(live uint64) int {
	if live == 0 {
		return garbageAtMost
	}
	percent := int((memoryBudget - min(live, memoryBudget)) * 100 / live)
	return min(max(percent/garbageStep*garbageStep, garbageLeast), garbageAtMost)
}
