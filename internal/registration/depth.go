package registration

import (
	"time"
)

// Waited returns how long the oldest submission has waited for its commit at now; 0 if none waits.
func (e *Engine) Waited(now time.Time) time.Duration {
	var longest time.Duration
	for _, l := range e.lanes.Load().byID {
		if p, waits := l.queue.Oldest(); waits {
			longest = max(longest, now.Sub(p.since))
		}
	}
	return longest
}
