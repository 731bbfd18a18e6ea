package app

import (
	"testing"
	"time"
)

// The record is what was kept up for three seconds: not a burst, nor a second in which two seconds' batches ended.
func TestTheRecordIsKeptUpForThreeSeconds(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_800_000_000, 0)
	for name, one := range map[string]struct {
		counts []int // by second
		want   float64
	}{
		"nothing":      {nil, 0},
		"a burst":      {[]int{3000, 0, 0, 0, 0}, 1000},
		"steady":       {[]int{500, 1000, 1000, 1000, 400, 0}, 1000},
		"not over yet": {[]int{0, 0, 0, 9000}, 0},
		"apart":        {[]int{600, 0, 0, 0, 0, 0, 0, 0, 900, 0, 0}, 300},
		"twice":        {[]int{900, 900, 900, 0, 0, 0, 0, 0, 300, 300, 300, 0}, 900},
	} {
		var r record
		for second, n := range one.counts {
			if n == 0 && second%2 == 1 {
				continue // a second in which nothing is committed says nothing
			}
			for i := range 10 {
				r.add(begin.Add(time.Duration(second)*time.Second+time.Duration(i)*100*time.Millisecond), n/10)
			}
		}
		if r.best != one.want {
			t.Errorf("%s: %.0f a second, want %.0f", name, r.best, one.want)
		}
	}
}
