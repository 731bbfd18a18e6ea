// Package money carries amounts as whole rupiah, the smallest unit that is traded, so no amount is ever a fraction.
package money

import "strconv"

// Rupiah is an amount in whole Indonesian rupiah.
type Rupiah int64

// String writes the amount as Indonesians do: Rp250.000, with a dot between thousands and no space. (ICU's id-ID locale
// puts a no-break space after Rp, which is not how prices are written.)
func (r Rupiah) String() string {
	digits := strconv.FormatInt(int64(r), 10)
	sign := ""
	if r < 0 {
		sign, digits = "-", digits[1:]
	}
	out := make([]byte, 0, len(sign)+2+len(digits)+len(digits)/3)
	out = append(out, sign...)
	out = append(out, "Rp"...)
	for i, d := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, '.')
		}
		out = append(out, d)
	}
	return string(out)
}
