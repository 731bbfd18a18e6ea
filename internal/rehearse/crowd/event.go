package crowd

import (
	"cmp"
	"slices"
	"time"
)

// Event is what a visitor can know of an event and needs to register.
type Event struct {
	Slug            string
	StartsAt        time.Time
	Today           time.Time // nobody is born after it; zero: not known
	MaxParticipants int       // per order; 0: unknown
	Categories      []Category
	Questions       []Question
}

// Category is a category with the ages it admits on the day of the race; 0: no limit.
type Category struct {
	ID             string
	MinAge, MaxAge int
	Size           int // of its smallest quota; 0: unknown
	Price          int // rupiah; 0: free, so that an order is confirmed at once
}

// Question is asked of the participants of Categories, or of all if there are none.
type Question struct {
	ID         string
	Type       string // choice, text or checkbox
	Required   bool
	Options    []string
	Categories []string
}

func (q *Question) asks(category string) bool {
	return len(q.Categories) == 0 || slices.Contains(q.Categories, category)
}

// bySize returns the categories' indices, the largest quota first, unknown sizes in the event's own order.
func (e *Event) bySize() []int {
	order := make([]int, len(e.Categories))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(e.Categories[b].Size, e.Categories[a].Size)
	})
	return order
}

// priced returns the indices of the free categories, or of the others; of all if there are none.
func (e *Event) priced(free bool) []int {
	var out []int
	for _, i := range e.bySize() {
		if (e.Categories[i].Price == 0) == free {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return e.bySize()
	}
	return out
}
