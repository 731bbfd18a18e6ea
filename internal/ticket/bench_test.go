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
