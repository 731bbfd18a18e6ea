package registration

import (
	"testing"

	"gapura/internal/fault"
)

// TestACrashIsNotASuccess: those who wait for the same key must not take the leader's panic for an order.
func TestACrashIsNotASuccess(t *testing.T) {
	t.Parallel()
	var f flights
	key, digest := Key{1}, Fingerprint{2}
	led, leads := f.join(key, digest)
	if !leads {
		t.Fatal("nobody else is in flight")
	}
	joined, leads := f.join(key, digest)
	if leads || joined != led {
		t.Fatal("the second does not join the first")
	}
	f.land(key, led) // as the leader's defer does, with nothing decided
	if _, err := joined.follow(t.Context(), digest); err == nil {
		t.Error("a flight that crashed is answered as a success")
	}
	if _, err := joined.follow(t.Context(), Fingerprint{3}); fault.CodeOf(err) != fault.KeyInFlight {
		t.Errorf("another payload: %v", err)
	}
	if _, leads := f.join(key, digest); !leads {
		t.Error("a flight that landed still holds its key")
	}
}
