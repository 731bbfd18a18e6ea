package waitroomtest

import (
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/waitroom"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	Conform(t, func(*testing.T) (waitroom.Store, *clock.Manual) {
		manual := clock.NewManual(time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC))
		return NewStore(manual), manual
	})
}
