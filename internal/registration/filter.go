package registration

import (
	"encoding/binary"
	"sync"
)

// filter remembers which keys and claims this node has seen in the database or put there. It may take a stranger for an
// acquaintance (about one in a thousand), never the other way round: what it does not know needs no look-up before the
// insert, and the unique key in the database stands behind it for what other nodes wrote.
//
// It is a row of Bloom filters, each twice the size of the one before, so that it grows without knowing how far.
type filter struct {
	mu     sync.RWMutex
	layers []bloom
}

// filterStart is how many entries the first layer holds: 64 Ki at 16 bits are 128 KiB.
const filterStart = 1 << 16

const (
	bitsPerEntry = 16
	probes       = 6 // with 16 bits an entry: 0.09% false positives when a layer is full
)

type bloom struct {
	bits  []uint64
	used  int
	limit int
}

func newFilter() *filter { return &filter{layers: []bloom{newBloom(filterStart)}} }

func newBloom(limit int) bloom {
	return bloom{bits: make([]uint64, limit*bitsPerEntry/64), limit: limit}
}

// add remembers h, which must be evenly distributed: every key and claim is a hash already.
func (f *filter) add(h [16]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := &f.layers[len(f.layers)-1]
	if last.used >= last.limit {
		f.layers = append(f.layers, newBloom(last.limit*2))
		last = &f.layers[len(f.layers)-1]
	}
	last.add(h)
}

// mayHave reports false only for what was never added.
func (f *filter) mayHave(h [16]byte) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for i := range f.layers {
		if f.layers[i].has(h) {
			return true
		}
	}
	return false
}

func (b *bloom) add(h [16]byte) {
	b.used++
	at, step := binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:])|1
	n := uint64(len(b.bits)) * 64
	for range probes {
		bit := at % n
		b.bits[bit/64] |= 1 << (bit % 64)
		at += step
	}
}

func (b *bloom) has(h [16]byte) bool {
	at, step := binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:])|1
	n := uint64(len(b.bits)) * 64
	for range probes {
		bit := at % n
		if b.bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		at += step
	}
	return true
}
