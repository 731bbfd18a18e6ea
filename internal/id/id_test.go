package id

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyID(t *rapid.T) ID {
	return ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
}

func TestEveryFormIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyID(t)
		if got, err := Parse(want.String()); err != nil || got != want {
			t.Fatalf("text: %v, %v", got, err)
		}
		encoded, err := json.Marshal(want)
		if err != nil || string(encoded) != `"`+want.String()+`"` {
			t.Fatalf("JSON: %s, %v", encoded, err)
		}
		var decoded, scanned ID
		if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != want {
			t.Fatalf("JSON: %v, %v", decoded, err)
		}
		value, err := want.Value()
		if err != nil {
			t.Fatal(err)
		}
		if err := scanned.Scan(value); err != nil || scanned != want {
			t.Fatalf("SQL: %v, %v", scanned, err)
		}
		appended, err := want.AppendText([]byte("/orders/"))
		if err != nil || string(appended) != "/orders/"+want.String() {
			t.Fatalf("appended: %s, %v", appended, err)
		}
	})
}

// TestTextSortsLikeBytes: a listing by id is in the same order on the page and in the index.
func TestTextSortsLikeBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyID(t), anyID(t)
		if bytes.Compare(a[:], b[:]) != strings.Compare(a.String(), b.String()) {
			t.Fatalf("%s and %s", a, b)
		}
	})
}

// TestNewIDsRise: within a process strictly, whichever goroutine asks, and by time.
func TestNewIDsRise(t *testing.T) {
	t.Parallel()
	var last ID
	for range 20_000 {
		next := New()
		if bytes.Compare(last[:], next[:]) >= 0 {
			t.Fatalf("%s after %s", next, last)
		}
		last = next
	}
	if version, variant := last[6]>>4, last[8]>>6; version != 7 || variant != 2 {
		t.Errorf("version %d, variant %d", version, variant)
	}
	ms := int64(last[0])<<40 | int64(last[1])<<32 | int64(last[2])<<24 | int64(last[3])<<16 | int64(last[4])<<8 | int64(last[5])
	if off := time.Since(time.UnixMilli(ms)).Abs(); off > time.Minute {
		t.Errorf("the id's time is %v off", off)
	}
}

func TestNewIDsAreUnique(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[ID]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			mine := make([]ID, 2_000)
			for i := range mine {
				mine[i] = New()
			}
			mu.Lock()
			defer mu.Unlock()
			for _, i := range mine {
				seen[i] = true
			}
		})
	}
	all.Wait()
	if len(seen) != 16_000 {
		t.Errorf("%d ids of 16,000", len(seen))
	}
}

func TestOneOrderHasOneName(t *testing.T) {
	t.Parallel()
	canonical := New().String()
	if up, err := Parse(strings.ToUpper(canonical)); err != nil || up.String() != canonical {
		t.Errorf("upper case: %v, %v", up, err)
	}
	for _, s := range []string{
		"", "x", canonical[:35], canonical + "0", "{" + canonical[1:35] + "}", "urn:uuid:" + canonical, strings.ReplaceAll(canonical, "-", ""),
		strings.Replace(canonical, "-", "_", 1), strings.Repeat("z", 36), canonical[:35] + " ",
	} {
		if got, err := Parse(s); err == nil || got != Nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
	var i ID
	if err := i.UnmarshalText([]byte("x")); err == nil {
		t.Error("x was decoded")
	}
	for _, src := range []any{nil, "text", []byte("short"), 7} {
		if err := i.Scan(src); err == nil {
			t.Errorf("%v was scanned", src)
		}
	}
	if !Nil.IsNil() || New().IsNil() || Nil.String() != "00000000-0000-0000-0000-000000000000" {
		t.Error("only the zero id is nil")
	}
}
