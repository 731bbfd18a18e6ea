package clock

import (
	"sync"
	"testing"
	"time"
)

func TestSystemIsInUTCAndWholeMicroseconds(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Microsecond)
	now := System{}.Now()
	if now.Location() != time.UTC || now.Nanosecond()%1000 != 0 || now.Before(before) || now.After(time.Now()) {
		t.Errorf("%v, asked at %v", now, before)
	}
}

func TestManualStandsStillUntilItIsMoved(t *testing.T) {
	t.Parallel()
	jakarta := time.FixedZone("WIB", 7*3600)
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, jakarta)
	m := NewManual(noon)
	if !m.Now().Equal(noon) || m.Now().Location() != time.UTC {
		t.Errorf("%v, want %v in UTC", m.Now(), noon)
	}
	m.Advance(90 * time.Second)
	if want := noon.Add(90 * time.Second); !m.Now().Equal(want) {
		t.Errorf("%v, want %v", m.Now(), want)
	}
	m.Set(noon.AddDate(-1, 0, 0))
	if want := noon.AddDate(-1, 0, 0); !m.Now().Equal(want) || m.Now().Location() != time.UTC {
		t.Errorf("%v, want %v in UTC", m.Now(), want)
	}
}

func TestManualIsMovedByMany(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	m := NewManual(start)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { m.Advance(time.Second) })
		all.Go(func() { m.Now() })
	}
	all.Wait()
	if got := m.Now().Sub(start); got != 100*time.Second {
		t.Errorf("moved by %v", got)
	}
}
