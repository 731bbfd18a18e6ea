package app

import (
	"sync"
	"time"
)

// busyFrom is how many registrations a second are a rush: a fortieth of what two processors can do, and many times what an
// ordinary day brings.
const busyFrom = 100

// stampedeFrom is how many registrations a second leave one process that does everything no room for what follows them: its
// one writer would spend every second millisecond on it. Payments go on; the rest waits in the outbox until the crowd has passed.
const stampedeFrom = 1000

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

func (r *rush) busy() bool { return r.rate() >= busyFrom }

// rate is about how many registrations came in the last second.
func (r *rush) rate() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(time.Now())
	return max(r.n, r.last)
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
