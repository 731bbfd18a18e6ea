package registration

import "time"

// Committing returns how long the commit that has run longest has been running at now; 0 if none runs. A meter hears of a
// commit when it has ended, and one that hangs never does.
func (e *Engine) Committing(now time.Time) time.Duration {
	var longest time.Duration
	for _, l := range e.lanes.Load().byID {
		if began := l.began.Load(); began != 0 {
			longest = max(longest, now.Sub(time.Unix(0, began)))
		}
	}
	return longest
}
