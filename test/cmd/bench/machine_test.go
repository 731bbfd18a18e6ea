package main

import "testing"

func TestWhatOtherMachinesTake(t *testing.T) {
	t.Parallel()
	then := parseProcessors("cpu  100 0 50 800 10 0 5 35 7 0")
	now := parseProcessors("cpu  150 0 60 820 10 0 5 55 9 0")
	if got := now.takenSince(then); got != 0.2 {
		t.Errorf("taken: %v, want 20 ticks of 100", got)
	}
	for _, line := range []string{"", "cpu", "cpu  1 2 3 4 5 6 7 x"} {
		if got := parseProcessors(line).takenSince(parseProcessors(line)); got != 0 {
			t.Errorf("%q: %v", line, got)
		}
	}
}
