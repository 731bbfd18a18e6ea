package app

import (
	"sync"
	"time"
)

// busyFrom is how many registrations a second are a rush: a fortieth of what two processors can do, and many times what an
// ordinary day brings.
const busyFrom = 100

// rush tells whether this process is busy with registrations. It is safe for concurrent use.
type rush struct {
	mu    sync.Mutex
	began time.Time // of the second that is being counted
	n     int
	last  int // registrations in the second before
}

func (r *rush) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(time.Now())
	r.n += n
}

func (r *rush) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(time.Now())
	return max(r.n, r.last) >= busyFrom
}

func (r *rush) turn(now time.Time) {
	passed := now.Sub(r.began)
	if passed < time.Second {
		return
	}
	if r.last = 0; passed < 2*time.Second {
		r.last = r.n
	}
	r.began, r.n = now, 0
}
