package fulfil

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"gapura/internal/clock"
	"gapura/internal/id"
	"gapura/internal/ticket"
)

// Voided is a participant some of whose tickets are void: all up to and including Serial.
type Voided struct {
	Order    id.ID
	Position int
	Serial   int
}

// VoidStore reads what gates must refuse.
type VoidStore interface {
	VoidTickets(ctx context.Context, eventID int64) ([]Voided, error)
}

// listAge is how old a revocation list may be: gates ask every few minutes, and an event's tickets are read through for it.
const listAge = 15 * time.Second

// Gatekeeper gives gates what they check tickets with. It is safe for concurrent use.
type Gatekeeper struct {
	store  VoidStore
	signer *ticket.Signer
	clock  clock.Clock

	mu    sync.Mutex
	lists map[int64]signedList
}

type signedList struct {
	made time.Time
	raw  []byte
}

// NewGatekeeper returns a gatekeeper.
func NewGatekeeper(store VoidStore, signer *ticket.Signer, c clock.Clock) *Gatekeeper {
	return &Gatekeeper{store: store, signer: signer, clock: c, lists: map[int64]signedList{}}
}

// Keys returns the public keys that tickets are signed with, by the names they have inside tickets.
func (g *Gatekeeper) Keys() map[string]ed25519.PublicKey {
	key := g.signer.Public()
	return map[string]ed25519.PublicKey{fmt.Sprintf("%04x", ticket.KeyOf(key)): key}
}

// Revocations returns an event's signed list of void tickets, at most 15 s old. One caller at a time reads the database;
// the others get what it has read.
func (g *Gatekeeper) Revocations(ctx context.Context, eventID int64) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	if known, ok := g.lists[eventID]; ok && now.Sub(known.made) < listAge {
		return known.raw, nil
	}
	void, err := g.store.VoidTickets(ctx, eventID)
	if err != nil {
		return nil, err
	}
	list := ticket.NewRevocations(eventID, now.Unix(), now)
	for _, v := range void {
		list.Void(v.Order, v.Position, v.Serial)
	}
	made := signedList{made: now, raw: g.signer.SignRevocations(list)}
	g.lists[eventID] = made
	return made.raw, nil
}
