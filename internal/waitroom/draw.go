package waitroom

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sort"
)

// Draw is the closed list of those who drew. It never changes; it costs 16 bytes a number, and 12 more once revealed.
type Draw struct {
	numbers []Number // sorted
	root    Hash
	order   []int32 // after Reveal: indexes into numbers by rank
	ranks   []Rank  // after Reveal: sorted
}

// CloseDraw returns the draw of numbers, which it sorts in place. A number that is there twice counts once.
func CloseDraw(numbers []Number) *Draw {
	slices.SortFunc(numbers, Number.Compare)
	numbers = slices.Compact(numbers)
	return &Draw{numbers: numbers, root: Root(numbers)}
}

// Reveal returns the draw in the order that seed gives it.
func (d *Draw) Reveal(seed Seed) *Draw {
	ranker := newRanker(seed)
	ranks := make([]Rank, len(d.numbers))
	order := make([]int32, len(d.numbers))
	for i, n := range d.numbers {
		ranks[i], order[i] = ranker.rank(n), int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b))
	})
	sorted := make([]Rank, len(order))
	for i, at := range order {
		sorted[i] = ranks[at]
	}
	return &Draw{numbers: d.numbers, root: d.root, order: order, ranks: sorted}
}

// Len returns how many drew.
func (d *Draw) Len() int { return len(d.numbers) }

// Root returns the Merkle root of the sorted list.
func (d *Draw) Root() Hash { return d.root }

// Has reports whether n drew.
func (d *Draw) Has(n Number) bool {
	_, ok := slices.BinarySearchFunc(d.numbers, n, Number.Compare)
	return ok
}

// Proof returns n's index in the sorted list and the hashes that prove it; false if n did not draw.
func (d *Draw) Proof(n Number) (int, []Hash, bool) {
	i, ok := slices.BinarySearchFunc(d.numbers, n, Number.Compare)
	if !ok {
		return 0, nil, false
	}
	return i, Prove(d.numbers, i), true
}

// Place returns n's place, from 1, in a revealed draw; false if n did not draw.
func (d *Draw) Place(n Number, seed Seed) (int, bool) {
	rank := seed.Rank(n)
	at := sort.Search(len(d.ranks), func(i int) bool { return d.ranks[i] >= rank })
	for ; at < len(d.ranks) && d.ranks[at] == rank; at++ {
		if d.numbers[d.order[at]] == n {
			return at + 1, true
		}
	}
	return 0, false
}

// Threshold returns the rank of the last of the first served visitors of a revealed draw: whoever has this rank or a
// lower one has had its turn. The second value is false while nobody has.
func (d *Draw) Threshold(served int64) (Rank, bool) {
	switch {
	case served <= 0:
		return 0, false
	case served >= int64(len(d.ranks)):
		return lastRank, true
	}
	return d.ranks[served-1], true
}

// WriteList writes the published list: the sorted numbers, one a line. It returns the SHA-256 of what it wrote, which is
// what sha256sum prints for the file.
func (d *Draw) WriteList(w io.Writer) (Hash, error) {
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	for _, n := range d.numbers {
		_, _ = out.WriteString(n.String()) // the writer keeps its first error for Flush
		_ = out.WriteByte('\n')
	}
	if err := out.Flush(); err != nil {
		return Hash{}, fmt.Errorf("write the list of draw numbers: %w", err)
	}
	return Hash(sum.Sum(nil)), nil
}

// ListHash returns the SHA-256 of the published list.
func (d *Draw) ListHash() Hash {
	h, _ := d.WriteList(io.Discard) // neither io.Discard nor a hash can object
	return h
}

// MaxDrawn bounds a list that is read from outside: 5 million lines are 165 MB.
const MaxDrawn = 5_000_000

// ReadList reads a published list and returns its SHA-256. It refuses anything but sorted, distinct numbers, one a line:
// a list in another order would hide a number that is there twice.
func ReadList(r io.Reader) ([]Number, Hash, error) {
	sum := sha256.New()
	in := bufio.NewScanner(io.TeeReader(r, sum))
	in.Buffer(make([]byte, 0, 4096), 4096)
	var numbers []Number
	for line := 1; in.Scan(); line++ {
		n, err := ParseNumber(in.Text())
		switch {
		case err != nil:
			return nil, Hash{}, fmt.Errorf("line %d: %w", line, err)
		case len(numbers) > 0 && numbers[len(numbers)-1].Compare(n) >= 0:
			return nil, Hash{}, fmt.Errorf("line %d: not above the line before it", line)
		case line > MaxDrawn:
			return nil, Hash{}, fmt.Errorf("more than %d lines", MaxDrawn)
		}
		numbers = append(numbers, n)
	}
	if err := in.Err(); err != nil {
		return nil, Hash{}, fmt.Errorf("read the list of draw numbers: %w", err)
	}
	return numbers, Hash(sum.Sum(nil)), nil
}
