package waitroom

import (
	"crypto/sha256"
	"errors"
)

// The tree is that of RFC 6962: leaves and inner nodes are hashed under different prefixes, so a node can never pass for
// a leaf, and a list of any length has one root.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// Root returns the Merkle root of numbers, which must be sorted. The root of none is the SHA-256 of nothing.
func Root(numbers []Number) Hash {
	switch len(numbers) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leafHash(numbers[0])
	}
	k := splitPoint(len(numbers))
	return nodeHash(Root(numbers[:k]), Root(numbers[k:]))
}

// Prove returns the hashes that lead from numbers[i] to the root, from the leaf up.
func Prove(numbers []Number, i int) []Hash {
	if len(numbers) <= 1 {
		return nil
	}
	k := splitPoint(len(numbers))
	if i < k {
		return append(Prove(numbers[:k], i), Root(numbers[k:]))
	}
	return append(Prove(numbers[k:], i-k), Root(numbers[:k]))
}

// ErrProof is returned when a proof does not lead from the number to the root.
var ErrProof = errors.New("the proof does not lead to the published root")

// CheckProof verifies that n is entry i (from 0) of the list of count numbers with that root.
func CheckProof(n Number, i, count int, proof []Hash, root Hash) error {
	if i < 0 || i >= count {
		return ErrProof
	}
	got, rest, ok := climb(leafHash(n), i, count, proof)
	if !ok || len(rest) > 0 || got != root {
		return ErrProof
	}
	return nil
}

// climb returns the root of the subtree of count leaves that h, its leaf i, leads to, and the hashes it did not need.
func climb(h Hash, i, count int, proof []Hash) (Hash, []Hash, bool) {
	if count == 1 {
		return h, proof, true
	}
	k := splitPoint(count)
	left := i < k
	if left {
		count = k
	} else {
		i, count = i-k, count-k
	}
	h, rest, ok := climb(h, i, count, proof)
	if !ok || len(rest) == 0 {
		return h, nil, false
	}
	if left {
		return nodeHash(h, rest[0]), rest[1:], true
	}
	return nodeHash(rest[0], h), rest[1:], true
}

// splitPoint returns the largest power of two below n, for n > 1.
func splitPoint(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func leafHash(n Number) Hash {
	var b [1 + len(n)]byte
	b[0] = leafPrefix
	copy(b[1:], n[:])
	return sha256.Sum256(b[:])
}

func nodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
