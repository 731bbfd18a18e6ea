package waitroom

import (
	"fmt"
	"time"
)

// Proof is what is published about a draw, in three steps: the commitment before anyone draws, count, hashes and time
// when the list is closed, the seed at opening. Anyone who kept an earlier copy can hold the last one against it.
type Proof struct {
	Event      string     `json:"event"`
	Commitment Hash       `json:"commitment"`            // SHA-256 of the seed
	Count      int        `json:"count,omitempty"`       // how many drew
	Root       *Hash      `json:"root,omitempty"`        // Merkle root (RFC 6962) of the sorted list
	ListHash   *Hash      `json:"list_sha256,omitempty"` // of the list as it is published
	ClosedAt   *time.Time `json:"closed_at,omitempty"`
	Seed       string     `json:"seed,omitempty"` // 64 hexadecimal digits, from opening on
	RevealedAt *time.Time `json:"revealed_at,omitempty"`
}

// Check is one thing that was examined.
type Check struct {
	Name string // stable: commitment, sequence, count, root, list, own, earlier
	OK   bool
	Note string // a sentence that says what was found
}

// Verdict is the outcome of examining a draw.
type Verdict struct {
	Checks []Check
	Place  int // of the own number, from 1; 0 if none was asked for or it did not draw
	Rank   Rank
}

// OK reports whether everything that was examined holds.
func (v Verdict) OK() bool {
	for _, c := range v.Checks {
		if !c.OK {
			return false
		}
	}
	return len(v.Checks) > 0
}

// Evidence is what a draw is examined by. List is the published list as ReadList returned it, with its hash. Earlier are
// copies of the proof that someone kept from before; Own is a number to find. Both may be missing.
type Evidence struct {
	Proof    Proof
	List     []Number
	ListHash Hash
	Earlier  []Proof
	Own      *Number
}

// Verify examines a draw from published documents alone; it asks no server.
func Verify(e Evidence) Verdict {
	var v Verdict
	seed, err := ParseSeed(e.Proof.Seed)
	v.add("commitment", err == nil && seed.Commitment() == e.Proof.Commitment,
		"the SHA-256 of the seed is the commitment that was published before the draw")
	v.add("sequence", inSequence(e.Proof), "the list was closed before the seed was revealed")
	v.add("count", e.Proof.Count == len(e.List), fmt.Sprintf("%d numbers were announced and %d are listed", e.Proof.Count, len(e.List)))
	v.add("root", e.Proof.Root != nil && Root(e.List) == *e.Proof.Root, "the list has the Merkle root that was published when it closed")
	v.add("list", e.Proof.ListHash != nil && e.ListHash == *e.Proof.ListHash, "the list has the SHA-256 that was published when it closed")
	for _, earlier := range e.Earlier {
		v.add("earlier", consistent(earlier, e.Proof), "an earlier copy of the proof says the same")
	}
	if e.Own != nil && err == nil {
		v.own(e.List, seed, *e.Own)
	}
	return v
}

// own finds a number's place by counting: it needs no sorted ranks and trusts nobody's.
func (v *Verdict) own(list []Number, seed Seed, own Number) {
	ranker := newRanker(seed)
	v.Rank = ranker.rank(own)
	ahead, found := 0, false
	for _, n := range list {
		switch rank := ranker.rank(n); {
		case n == own:
			found = true
		case rank < v.Rank, rank == v.Rank && n.Compare(own) < 0:
			ahead++
		}
	}
	if found {
		v.Place = ahead + 1
	}
	v.add("own", found, fmt.Sprintf("number %s drew", own))
}

func (v *Verdict) add(name string, ok bool, note string) {
	if !ok {
		note = "not so: " + note
	}
	v.Checks = append(v.Checks, Check{Name: name, OK: ok, Note: note})
}

func inSequence(p Proof) bool {
	return p.ClosedAt != nil && p.RevealedAt != nil && p.ClosedAt.Before(*p.RevealedAt)
}

// consistent reports whether nothing that earlier already said was changed later.
func consistent(earlier, later Proof) bool {
	if earlier.Event != later.Event || earlier.Commitment != later.Commitment {
		return false
	}
	if earlier.Root == nil {
		return true
	}
	same := earlier.Count == later.Count && later.Root != nil && *earlier.Root == *later.Root
	return same && (earlier.Seed == "" || earlier.Seed == later.Seed)
}
