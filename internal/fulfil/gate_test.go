package fulfil

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/id"
	"gapura/internal/ticket"
)

// voids are the void tickets of each event.
type voids struct {
	reads atomic.Int64
	byID  map[int64][]Voided
	err   error
}

func (v *voids) VoidTickets(_ context.Context, eventID int64) ([]Voided, error) {
	v.reads.Add(1)
	return v.byID[eventID], v.err
}

func openGate(t *testing.T, v *voids) (*Gatekeeper, *ticket.Signer, *clock.Manual) {
	t.Helper()
	key, err := ticket.DeriveKey([]byte("the secret of the tests, 32 bytes"), 1)
	if err != nil {
		t.Fatal(err)
	}
	c, signer := clock.NewManual(noon), ticket.NewSigner(key)
	return NewGatekeeper(v, signer, c), signer, c
}

// opened is a revocation list as a gate reads it: with the keys that it got, and nothing else.
func opened(t *testing.T, g *Gatekeeper, eventID int64) *ticket.Revocations {
	t.Helper()
	raw, err := g.Revocations(t.Context(), eventID)
	if err != nil {
		t.Fatal(err)
	}
	var keys []ed25519.PublicKey
	for _, key := range g.Keys() {
		keys = append(keys, key)
	}
	ring, err := ticket.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ring.OpenRevocations(raw)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAGateRefusesWhatIsVoid(t *testing.T) {
	t.Parallel()
	order := id.New()
	v := &voids{byID: map[int64][]Voided{7: {{Order: order, Position: 1, Serial: 1}, {Order: order, Position: 2, Serial: 3}}}}
	g, _, _ := openGate(t, v)
	list := opened(t, g, 7)
	for _, test := range []struct {
		position, serial int
		void             bool
	}{{1, 1, true}, {1, 2, false}, {2, 1, true}, {2, 3, true}, {2, 4, false}, {3, 1, false}} {
		if got := list.Has(ticket.Claim{Event: 7, Order: order, Position: test.position, Serial: test.serial}); got != test.void {
			t.Errorf("serial %d of participant %d is void: %t", test.serial, test.position, got)
		}
	}
	if list.Len() != 2 || opened(t, g, 8).Len() != 0 {
		t.Errorf("%d void of event 7, %d of event 8", list.Len(), opened(t, g, 8).Len())
	}
}

func TestTheKeyIsNamedAsTicketsNameIt(t *testing.T) {
	t.Parallel()
	g, signer, _ := openGate(t, &voids{})
	name := fmt.Sprintf("%04x", ticket.KeyOf(signer.Public()))
	if keys := g.Keys(); len(keys) != 1 || !keys[name].Equal(signer.Public()) {
		t.Errorf("%v, want %s", keys, name)
	}
}

func TestTheListIsReadAtMostEvery15Seconds(t *testing.T) {
	t.Parallel()
	order := id.New()
	v := &voids{byID: map[int64][]Voided{}}
	g, _, c := openGate(t, v)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _, _ = g.Revocations(t.Context(), 7) })
	}
	all.Wait()
	if n := v.reads.Load(); n != 1 {
		t.Errorf("20 gates made %d reads", n)
	}
	v.byID[7] = []Voided{{Order: order, Position: 1, Serial: 1}}
	c.Advance(listAge - time.Millisecond)
	if n := opened(t, g, 7).Len(); n != 0 {
		t.Errorf("%d void before the list's time", n)
	}
	c.Advance(time.Millisecond)
	if n := opened(t, g, 7).Len(); n != 1 {
		t.Errorf("%d void after it", n)
	}
	opened(t, g, 8)
	if n := v.reads.Load(); n != 3 {
		t.Errorf("%d reads", n)
	}
}

func TestAListThatCannotBeReadIsAskedForAgain(t *testing.T) {
	t.Parallel()
	v := &voids{err: errors.New("database away")}
	g, _, _ := openGate(t, v)
	if _, err := g.Revocations(t.Context(), 7); !errors.Is(err, v.err) {
		t.Errorf("%v", err)
	}
	v.err = nil
	opened(t, g, 7)
}
