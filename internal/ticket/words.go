package ticket

import (
	"strings"

	"gapura/internal/money"
)

// InWords writes an amount as Indonesian invoices repeat it, so that a changed digit is noticed: dua ratus lima puluh ribu
// rupiah; in English: two hundred and fifty thousand rupiah.
func InWords(amount money.Rupiah, locale string) string {
	n := int64(amount)
	minus, magnitude := "", uint64(n) //nolint:gosec // negated below, in two's complement
	if n < 0 {
		minus, magnitude = "minus ", -magnitude
	}
	if locale == "en" {
		return minus + numberEN(magnitude) + " rupiah"
	}
	return minus + numberID(magnitude) + " rupiah"
}

// power is a named power of a thousand.
type power struct {
	value uint64
	id    string
	en    string
}

var powers = [...]power{
	{1e18, "kuintiliun", "quintillion"},
	{1e15, "kuadriliun", "quadrillion"},
	{1e12, "triliun", "trillion"},
	{1e9, "miliar", "billion"},
	{1e6, "juta", "million"},
	{1e3, "ribu", "thousand"},
}

var unitsID = [...]string{
	"nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh", "sebelas",
}

func numberID(n uint64) string {
	if n < 1000 {
		return smallID(n)
	}
	var words []string
	for _, p := range powers {
		switch count := n / p.value; {
		case count == 0:
		case count == 1 && p.value == 1e3:
			words = append(words, "seribu")
		default:
			words = append(words, smallID(count), p.id)
		}
		n %= p.value
	}
	if n > 0 {
		words = append(words, smallID(n))
	}
	return strings.Join(words, " ")
}

// smallID writes 0 to 999; "se-" stands for one of a ten, hundred or thousand.
func smallID(n uint64) string {
	switch {
	case n < 12:
		return unitsID[n]
	case n < 20:
		return unitsID[n-10] + " belas"
	case n < 100:
		return followed(unitsID[n/10]+" puluh", n%10, smallID, " ")
	case n < 200:
		return followed("seratus", n%100, smallID, " ")
	default:
		return followed(unitsID[n/100]+" ratus", n%100, smallID, " ")
	}
}

var unitsEN = [...]string{
	"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
	"fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
}

var tensEN = [...]string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}

func numberEN(n uint64) string {
	if n < 1000 {
		return smallEN(n)
	}
	var words []string
	for _, p := range powers {
		if count := n / p.value; count > 0 {
			words = append(words, smallEN(count), p.en)
		}
		n %= p.value
	}
	switch {
	case n == 0:
	case n < 100:
		words = append(words, "and", smallEN(n))
	default:
		words = append(words, smallEN(n))
	}
	return strings.Join(words, " ")
}

func smallEN(n uint64) string {
	switch {
	case n < 20:
		return unitsEN[n]
	case n < 100:
		return followed(tensEN[n/10], n%10, smallEN, "-")
	default:
		return followed(unitsEN[n/100]+" hundred", n%100, smallEN, " and ")
	}
}

func followed(head string, rest uint64, words func(uint64) string, by string) string {
	if rest == 0 {
		return head
	}
	return head + by + words(rest)
}
