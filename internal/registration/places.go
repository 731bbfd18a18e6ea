package registration

import "math"

// places returns how many participants can still be registered in all; -1: no limit. It fills the categories one after
// another. Where quotas are nested, as a total over its parts, that is exact; where they overlap otherwise it is what can be
// sold for certain, and 0 only if nothing can.
func (l Ledger) places() int {
	left := make(map[string]int, len(l.Event.Quotas))
	total := 0
	for i := range l.Event.Categories {
		quotas := l.Event.QuotasOf(l.Event.Categories[i].ID)
		room := math.MaxInt
		for _, q := range quotas {
			if _, known := left[q.Ref]; !known {
				left[q.Ref] = l.Counters[q].Left()
			}
			if left[q.Ref] >= 0 {
				room = min(room, left[q.Ref])
			}
		}
		if room == math.MaxInt {
			return -1
		}
		for _, q := range quotas {
			if left[q.Ref] > 0 {
				left[q.Ref] -= room
			}
		}
		total += room
	}
	return total
}
