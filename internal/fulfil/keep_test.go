package fulfil

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"gapura/internal/registration"
)

// keeper is a Store that refuses whatever holds a document of version 3, or everything.
type keeper struct {
	Store
	away  error
	calls int
	kept  []int // versions
}

var errRefused = errors.New("data too long")

func (k *keeper) KeepDocuments(_ context.Context, kept []Kept) error {
	k.calls++
	if k.away != nil {
		return k.away
	}
	for i := range kept {
		if kept[i].Version == 3 {
			return errRefused
		}
	}
	for i := range kept {
		k.kept = append(k.kept, kept[i].Version)
	}
	return nil
}

func keepFive(k *keeper) []error {
	s := &Service{Store: k}
	calls := make([]*call[Kept, struct{}], 5)
	for i := range calls {
		calls[i] = &call[Kept, struct{}]{in: Kept{Document: Document{Version: i + 1}}, done: make(chan struct{})}
	}
	s.keepMany(context.Background(), calls)
	errs := make([]error, len(calls))
	for i, c := range calls {
		<-c.done
		errs[i] = c.err
	}
	return errs
}

func TestADocumentThatIsRefusedKeepsNoOther(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	errs := keepFive(k)
	for i, err := range errs {
		if refused := i == 2; errors.Is(err, errRefused) != refused {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	if !slices.Equal(k.kept, []int{1, 2, 4, 5}) {
		t.Errorf("kept %v", k.kept)
	}
}

func TestADatabaseThatIsAwayIsAskedOnce(t *testing.T) {
	t.Parallel()
	k := &keeper{away: fmt.Errorf("%w: connection refused", registration.ErrUnavailable)}
	for i, err := range keepFive(k) {
		if !errors.Is(err, registration.ErrUnavailable) {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	if k.calls != 1 {
		t.Errorf("asked %d times", k.calls)
	}
}
