package ticket

import "testing"

func BenchmarkTicket(b *testing.B) {
	printer := testPrinter(b)
	pass := testPass(b, "Siti Aminah", sign(b, testSigner(b, 1), testClaim(b)))
	for b.Loop() {
		if _, err := printer.Tickets([]Pass{pass}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTicketOfScript prints names that are shaped and, but for the first two, drawn.
func BenchmarkTicketOfScript(b *testing.B) {
	printer := testPrinter(b)
	code := sign(b, testSigner(b, 1), testClaim(b))
	for _, script := range []string{"decomposed", "cyrillic", "arabic", "javanese", "devanagari", "han", "hangul", "emoji"} {
		pass := testPass(b, names[script], code)
		b.Run(script, func(b *testing.B) {
			for b.Loop() {
				if _, err := printer.Tickets([]Pass{pass}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInvoice(b *testing.B) {
	printer := testPrinter(b)
	invoice := testInvoice(b, 3)
	for b.Loop() {
		if _, err := printer.Invoice(invoice); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	signer := testSigner(b, 1)
	ring, code := testRing(b, signer), sign(b, signer, testClaim(b))
	for b.Loop() {
		if _, err := ring.Verify(code); err != nil {
			b.Fatal(err)
		}
	}
}
