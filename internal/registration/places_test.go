package registration

import (
	"testing"

	"gapura/internal/event"
)

func TestPlacesAreCountedOnce(t *testing.T) {
	t.Parallel()
	quota := func(id string, size int, categories ...string) event.Quota {
		return event.Quota{ID: id, Size: size, Categories: categories}
	}
	tests := map[string]struct {
		quotas []event.Quota
		taken  map[string]int
		want   int
	}{
		"a total over two":               {[]event.Quota{quota("total", 100, "a", "b"), quota("a", 30, "a")}, nil, 100},
		"the parts are less":             {[]event.Quota{quota("total", 100, "a", "b"), quota("a", 30, "a"), quota("b", 20, "b")}, nil, 50},
		"some is taken":                  {[]event.Quota{quota("total", 100, "a", "b"), quota("a", 30, "a")}, map[string]int{"total": 90, "a": 25}, 10},
		"one category is full":           {[]event.Quota{quota("total", 100, "a", "b"), quota("a", 30, "a")}, map[string]int{"total": 30, "a": 30}, 70},
		"everything is full":             {[]event.Quota{quota("total", 100, "a", "b")}, map[string]int{"total": 100}, 0},
		"a category without any quota":   {[]event.Quota{quota("a", 30, "a")}, nil, -1},
		"quotas of one category each":    {[]event.Quota{quota("a", 30, "a"), quota("b", 20, "b")}, nil, 50},
		"two totals, the smaller counts": {[]event.Quota{quota("total", 100, "a", "b"), quota("men", 40, "a", "b")}, nil, 40},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &event.Event{Categories: []event.Category{{ID: "a"}, {ID: "b"}}, Quotas: test.quotas}
			l := Ledger{Event: e, Counters: map[event.Counter]Count{}}
			for _, q := range test.quotas {
				l.Counters[event.QuotaCounter(q.ID)] = Count{Taken: test.taken[q.ID], Limit: q.Size}
			}
			if got := l.places(); got != test.want {
				t.Errorf("%d places, want %d", got, test.want)
			}
		})
	}
}
