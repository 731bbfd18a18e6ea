package ticket

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"gapura/internal/id"
)

// revocationPrefix is signed with every list, so that no ticket's signature is valid for a list.
const revocationPrefix = "GR1:"

// Revocations is an event's list of void tickets. A gate keeps the list with the highest Issue it has seen and asks it
// after Verify; without one it lets every signed ticket pass.
type Revocations struct {
	Event  int64
	Issue  int64     // rises with every list of the event; an older list never replaces a newer one
	Issued time.Time // whole seconds
	void   map[seat]int
}

// seat is one participant's place, whose tickets are told apart by serial.
type seat struct {
	order    id.ID
	position int
}

// NewRevocations returns an empty list.
func NewRevocations(event, issue int64, issued time.Time) *Revocations {
	return &Revocations{Event: event, Issue: issue, Issued: issued.UTC().Truncate(time.Second), void: map[seat]int{}}
}

// Void makes every ticket of that participant up to and including serial invalid.
func (r *Revocations) Void(order id.ID, position, serial int) {
	s := seat{order, position}
	r.void[s] = max(r.void[s], serial)
}

// Has reports whether the ticket that c came from is void.
func (r *Revocations) Has(c Claim) bool {
	return c.Serial <= r.void[seat{c.Order, c.Position}]
}

// Len returns the number of participants with void tickets.
func (r *Revocations) Len() int { return len(r.void) }

// SignRevocations returns the list in its compact form: 18 bytes a participant and 75 to 95 around them. The same list
// gives the same bytes.
func (s *Signer) SignRevocations(r *Revocations) []byte {
	seats := make([]seat, 0, len(r.void))
	for st := range r.void {
		seats = append(seats, st)
	}
	slices.SortFunc(seats, seat.compare)
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 96+18*len(seats)), uint16(s.id))
	for _, head := range []int64{r.Event, r.Issue, r.Issued.Unix(), int64(len(seats))} {
		b = binary.AppendUvarint(b, uint64(head)) //nolint:gosec // the same bits both ways, and signed
	}
	for _, st := range seats {
		b = append(append(b, st.order[:]...), byte(st.position)) //nolint:gosec // an order has far fewer than 256 places
		b = binary.AppendUvarint(b, uint64(r.void[st]))          //nolint:gosec // serials count from 0
	}
	return append(b, s.seal(revocationPrefix, b)...)
}

// OpenRevocations reads a signed list; its errors are those of Verify.
func (k *Keyring) OpenRevocations(raw []byte) (*Revocations, error) {
	body, err := k.open(revocationPrefix, raw)
	if err != nil {
		return nil, err
	}
	in := reader{rest: body}
	list := NewRevocations(int64(in.uvarint()), int64(in.uvarint()), time.Unix(int64(in.uvarint()), 0)) //nolint:gosec // the same bits both ways, and signed
	count := in.uvarint()
	for i := uint64(0); i < count && !in.short; i++ {
		var order id.ID
		copy(order[:], in.take(len(order)))
		position := int(in.byte())
		list.Void(order, position, int(in.uvarint())) //nolint:gosec // serials count from 0
	}
	if in.short || len(in.rest) != 0 {
		return nil, ErrNotATicket
	}
	return list, nil
}

func (s seat) compare(other seat) int {
	if c := bytes.Compare(s.order[:], other.order[:]); c != 0 {
		return c
	}
	return cmp.Compare(s.position, other.position)
}
