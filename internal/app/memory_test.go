package app

import "testing"

func TestGarbageFitsIntoTheBudget(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 300, 25 << 20: 300, 60 << 20: 125, 100 << 20: 25, 130 << 20: 25, 1 << 30: 25} {
		if got := garbageFor(live); got != want {
			t.Errorf("%d MiB in use: %d%%, want %d%%", live>>20, got, want)
		}
	}
}
