package app

import "testing"

func TestGarbageFitsIntoTheBudget(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64][2]int{ // with few connections and with many
		0: {300, 300}, 25 << 20: {300, 300}, 60 << 20: {150, 150}, 100 << 20: {100, 50}, 130 << 20: {100, 50}, 1 << 30: {100, 50},
	} {
		for i, connections := range []int64{manyConnections - 1, manyConnections} {
			if got := garbageFor(live, connections); got != want[i] {
				t.Errorf("%d MiB in use, %d connections: %d%%, want %d%%", live>>20, connections, got, want[i])
			}
		}
	}
}
