// Package id makes and carries the identifiers of orders: UUIDs of version 7, whose order is the order of time, so that
// rows are appended to a clustered index instead of being scattered over it.
package id

import (
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID, stored as 16 bytes and written in the usual form with dashes.
type ID [16]byte

// Nil is the zero ID; no row has it.
var Nil ID

// ErrMalformed is returned for text that is no UUID.
var ErrMalformed = errors.New("not a UUID")

// New returns a fresh version 7 UUID. IDs made by one process rise strictly.
func New() ID {
	u, err := uuid.NewV7()
	if err != nil {
		// The kernel's random source has failed: no identifier made now could be trusted to be unique.
		panic(fmt.Sprintf("random source: %v", err))
	}
	return ID(u)
}

// Parse reads the 36-character form and no other: short, braced and URN forms would let one order have several names.
func Parse(s string) (ID, error) {
	if len(s) != 36 {
		return Nil, ErrMalformed
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return Nil, ErrMalformed
	}
	return ID(u), nil
}

// String returns the 36-character form in lower case.
func (i ID) String() string {
	var b [36]byte
	i.encode(b[:])
	return string(b[:])
}

// AppendText appends the 36-character form to b.
func (i ID) AppendText(b []byte) ([]byte, error) {
	n := len(b)
	b = append(b, "00000000-0000-0000-0000-000000000000"...)
	i.encode(b[n:])
	return b, nil
}

func (i ID) encode(dst []byte) {
	hex.Encode(dst[0:8], i[0:4])
	dst[8] = '-'
	hex.Encode(dst[9:13], i[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:18], i[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:23], i[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:36], i[10:16])
}

// IsNil reports whether i is the zero ID.
func (i ID) IsNil() bool { return i == Nil }

// MarshalText implements encoding.TextMarshaler.
func (i ID) MarshalText() ([]byte, error) { return i.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *ID) UnmarshalText(b []byte) error {
	parsed, err := Parse(string(b))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// Value implements driver.Valuer: 16 raw bytes, BINARY(16) in MySQL and BLOB in SQLite.
func (i ID) Value() (driver.Value, error) { return i[:], nil }

// Scan implements sql.Scanner.
func (i *ID) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != 16 {
		return fmt.Errorf("an id is 16 bytes, not %T", src)
	}
	copy(i[:], b)
	return nil
}
