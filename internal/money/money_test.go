package money

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRupiahIsWrittenAsIndonesiansDo(t *testing.T) {
	t.Parallel()
	for amount, want := range map[Rupiah]string{
		0: "Rp0", 7: "Rp7", 999: "Rp999", 1_000: "Rp1.000", 12_345: "Rp12.345", 250_000: "Rp250.000", 999_999: "Rp999.999",
		1_000_000: "Rp1.000.000", 1_234_567_890: "Rp1.234.567.890", -1: "-Rp1", -999: "-Rp999", -1_000: "-Rp1.000", -250_000: "-Rp250.000",
		math.MaxInt64: "Rp9.223.372.036.854.775.807", math.MinInt64: "-Rp9.223.372.036.854.775.808",
	} {
		if got := amount.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(amount), got, want)
		}
	}
}

// TestRupiahCanBeReadBack: without the dots it is the number, and between them are three digits.
func TestRupiahCanBeReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := Rupiah(rapid.Int64().Draw(t, "amount"))
		s := amount.String()
		plain := strings.ReplaceAll(strings.Replace(s, "Rp", "", 1), ".", "")
		if n, err := strconv.ParseInt(plain, 10, 64); err != nil || Rupiah(n) != amount {
			t.Fatalf("%s reads %d, %v", s, n, err)
		}
		groups := strings.Split(s[strings.Index(s, "Rp")+2:], ".")
		for i, g := range groups {
			if len(g) > 3 || g == "" || (i > 0 && len(g) != 3) {
				t.Fatalf("%s has the group %q", s, g)
			}
		}
	})
}
