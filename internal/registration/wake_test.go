package registration_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"gapura/internal/registration"
	"gapura/test/conformance"
)

// A batch is answered when the next one's rows are on their way. Should the next one hang before that, those who have their
// places must not wait with it.
func TestNobodyWaitsForTheBatchBehind(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 1000))
		n := start(t, s)
		hangs, release := make(chan struct{}), make(chan struct{})
		batches := 0
		n.calls.inEvent = func(ctx context.Context, id int64, work func(tx registration.Tx) error) error {
			switch batches++; batches {
			case 1: // does not end before somebody waits for the next one
				defer await(t, "the next batch gathers", func() bool { return n.Waiting(race) == 1 })
			case 2:
				close(hangs)
				<-release
			}
			return s.InEvent(ctx, id, work)
		}
		var all sync.WaitGroup
		first, second := make(chan error, 1), make(chan error, 1)
		come := func(i int, told chan error) {
			all.Go(func() {
				_, err := n.register(race, key(i), conformance.Request(i, "10k"))
				told <- err
			})
		}
		come(1, first)
		await(t, "the first commits", func() bool { return n.calls.transactions.Load() == 1 })
		come(2, second)
		<-hangs
		n.clock.Advance(time.Second)
		must(t, <-first)
		select {
		case err := <-second:
			t.Errorf("the second was answered before its commit: %v", err)
		default:
		}
		close(release)
		must(t, <-second)
		all.Wait()
		auditClean(t, s, n.clock.Now(), eventID)
	})
}
