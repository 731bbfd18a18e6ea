package registration

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"testing"
)

func numbered(n int) [16]byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return [16]byte(sum[:16])
}

// TestTheFilterForgetsNothing grows the filter over several layers.
func TestTheFilterForgetsNothing(t *testing.T) {
	t.Parallel()
	const n = 4 * filterStart
	f := newFilter()
	for i := range n {
		f.add(numbered(i))
	}
	for i := range n {
		if !f.mayHave(numbered(i)) {
			t.Fatalf("entry %d is forgotten", i)
		}
	}
	if len(f.layers) < 3 {
		t.Fatalf("%d layers: the test should grow the filter", len(f.layers))
	}
	strangers := 0
	for i := n; i < 2*n; i++ {
		if f.mayHave(numbered(i)) {
			strangers++
		}
	}
	if rate := float64(strangers) / n; rate > 0.005 {
		t.Errorf("%.3f%% of strangers are taken for acquaintances", rate*100)
	}
}

func TestRecentKeepsTheLatestGeneration(t *testing.T) {
	t.Parallel()
	var r recent
	for i := range 3 * generation {
		r.put(Key(numbered(i)), KeyedOrder{Order: Order{Number: strconv.Itoa(i)}})
	}
	for i := 2 * generation; i < 3*generation; i++ {
		if o, ok := r.get(Key(numbered(i))); !ok || o.Order.Number != strconv.Itoa(i) {
			t.Fatalf("%d: %v, %v", i, o.Order.Number, ok)
		}
	}
	if r.has(Key(numbered(0))) {
		t.Error("the first is still remembered: memory grows without bound")
	}
	if n := len(r.young) + len(r.old); n > 2*generation {
		t.Errorf("%d orders are kept", n)
	}
}
