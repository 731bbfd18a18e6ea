package ticket

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gapura/internal/id"

	"pgregory.net/rapid"
	"rsc.io/qr"
)

func testSigner(t testing.TB, generation int) *Signer {
	t.Helper()
	key, err := DeriveKey([]byte("a secret of this installation"), generation)
	if err != nil {
		t.Fatal(err)
	}
	return NewSigner(key)
}

func testRing(t testing.TB, signers ...*Signer) *Keyring {
	t.Helper()
	ring, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signers {
		ring.keys[KeyOf(s.Public())] = s.Public()
	}
	return ring
}

func testOrder(t testing.TB) id.ID {
	t.Helper()
	order, err := id.Parse("0198f1c2-7a4b-7cde-8f01-23456789abcd")
	if err != nil {
		t.Fatal(err)
	}
	return order
}

func testClaim(t testing.TB) Claim {
	t.Helper()
	return Claim{Event: 12, Order: testOrder(t), Position: 1, Category: "10k", Serial: 1}
}

func sign(t testing.TB, s *Signer, c Claim) string {
	t.Helper()
	text, err := s.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tool returns the path of a program from poppler-utils or zbar-tools; on a developer's machine without it the test is
// skipped, in CI its absence is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed: nothing reads the rendered page here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTicketVector(t *testing.T) {
	t.Parallel()
	const want = "G1:CC2DN13FJGQOJO956SL60$Y88IHB-PZ60K56XS6FZ806TPSD4:A101DNVFEB:ZL9$EH0RFX17D5YJN.5R%CH59GPMDEKDQBIL4BXAVMQ4.7W95W-2KXSBC72$9C*DL%LGZOF"
	if got := sign(t, testSigner(t, 1), testClaim(t)); got != want {
		t.Errorf("the text of a ticket changed: printed tickets would no longer be valid\ngot  %s\nwant %s", got, want)
	}
}

func TestSignedClaimsAreReadBack(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	ring := testRing(t, signer)
	rapid.Check(t, func(r *rapid.T) {
		claim := Claim{
			Event:    rapid.Int64Min(1).Draw(r, "event"),
			Order:    id.New(),
			Position: rapid.IntRange(1, 255).Draw(r, "position"),
			Category: rapid.StringOfN(rapid.RuneFrom([]rune("abc-é9")), 0, 20, MaxCategory).Draw(r, "category"),
			Serial:   rapid.IntRange(1, 1<<30).Draw(r, "serial"),
		}
		text, err := signer.Sign(claim)
		if err != nil {
			r.Fatal(err)
		}
		if got, err := ring.Verify(text); err != nil || got != claim {
			r.Fatalf("Verify(Sign(%+v)) = %+v, %v", claim, got, err)
		}
	})
}

func TestTicketFitsASmallCode(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	for _, test := range []struct {
		category string
		version  int
	}{{"10k", 6}, {"half-marathon", 6}, {strings.Repeat("x", MaxCategory), 8}} {
		claim := testClaim(t)
		claim.Category = test.category
		symbol, err := QR(sign(t, signer, claim))
		if err != nil {
			t.Fatal(err)
		}
		if symbol.Version() != test.version {
			t.Errorf("category %q: version %d, want %d", test.category, symbol.Version(), test.version)
		}
	}
}

// The reason for base 45: the same ticket with a longer category already needs a version more in base 32, and two at Q.
func TestBase45BeatsBase32(t *testing.T) {
	t.Parallel()
	claim := testClaim(t)
	claim.Category = "half-marathon"
	text := sign(t, testSigner(t, 1), claim)
	raw, _ := base45Decode(strings.TrimPrefix(text, Prefix))
	inBase32 := Prefix + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	version := func(s string, level qr.Level) int {
		code, err := qr.Encode(s, level)
		if err != nil {
			t.Fatal(err)
		}
		return (code.Size - 17) / 4
	}
	if b45, b32 := version(text, qr.M), version(inBase32, qr.M); b45 != 6 || b32 != 7 {
		t.Errorf("level M: base 45 takes version %d, base 32 version %d; want 6 and 7", b45, b32)
	}
	if q := version(text, qr.Q); q != 8 {
		t.Errorf("level Q takes version %d, want 8", q)
	}
}

func TestTicketsThatAreNotValid(t *testing.T) {
	t.Parallel()
	signer, stranger := testSigner(t, 1), testSigner(t, 2)
	ring := testRing(t, signer)
	valid := sign(t, signer, testClaim(t))
	list := Prefix + base45Encode(signer.SignRevocations(NewRevocations(12, 1, time.Unix(0, 0))))
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrNotATicket},
		{"prefix only", "G1:", ErrNotATicket},
		{"another format", "HC1:6BFOXN", ErrNotATicket},
		{"lower case", strings.ToLower(valid), ErrNotATicket},
		{"cut", valid[:len(valid)-3], ErrForged},
		{"cut inside a group", valid[:len(valid)-1], ErrNotATicket},
		{"longer than any ticket", valid + strings.Repeat("0", 1000), ErrNotATicket},
		{"key of another generation", sign(t, stranger, testClaim(t)), ErrUnknownKey},
		{"signature of a revocation list", list, ErrForged},
	} {
		if _, err := ring.Verify(test.text); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestNoChangedByteIsValid(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	ring := testRing(t, signer)
	raw, _ := base45Decode(strings.TrimPrefix(sign(t, signer, testClaim(t)), Prefix))
	for i := range raw {
		for bit := range 8 {
			forged := append([]byte(nil), raw...)
			forged[i] ^= 1 << bit
			if claim, err := ring.Verify(Prefix + base45Encode(forged)); err == nil {
				t.Fatalf("bit %d of byte %d changed and the ticket is still valid: %+v", bit, i, claim)
			}
		}
	}
}

// A claim has one encoding: a second one would be a second ticket for the gate's list of used texts.
func TestPaddedNumbersAreRefused(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	body := binary.BigEndian.AppendUint16(nil, uint16(signer.id))
	body = append(body, 0x8c, 0x00) // 12 in two bytes
	body = append(body, testClaim(t).append(nil)[1:]...)
	text := Prefix + base45Encode(append(body, signer.seal(Prefix, body)...))
	if _, err := testRing(t, signer).Verify(text); !errors.Is(err, ErrNotATicket) {
		t.Errorf("a padded event number: %v, want %v", err, ErrNotATicket)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	old, current := testSigner(t, 1), testSigner(t, 2)
	if old.Public().Equal(current.Public()) {
		t.Fatal("two generations have the same key")
	}
	both := testRing(t, old, current)
	for _, s := range []*Signer{old, current} {
		if _, err := both.Verify(sign(t, s, testClaim(t))); err != nil {
			t.Errorf("key %04x: %v", s.id, err)
		}
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	if _, err := DeriveKey([]byte("short"), 1); err == nil {
		t.Error("a secret of five bytes made a key")
	}
	if _, err := NewKeyring([]byte("short")); err == nil {
		t.Error("five bytes were taken for a public key")
	}
	public := testSigner(t, 1).Public()
	if _, err := NewKeyring(public, public); err != nil {
		t.Errorf("the same key twice: %v", err)
	}
}

func TestClaimsThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	for name, change := range map[string]func(*Claim){
		"no event":      func(c *Claim) { c.Event = 0 },
		"no order":      func(c *Claim) { c.Order = id.Nil },
		"position 0":    func(c *Claim) { c.Position = 0 },
		"position 256":  func(c *Claim) { c.Position = 256 },
		"serial 0":      func(c *Claim) { c.Serial = 0 },
		"long category": func(c *Claim) { c.Category = strings.Repeat("x", MaxCategory+1) },
		"not UTF-8":     func(c *Claim) { c.Category = "\xff" },
	} {
		claim := testClaim(t)
		change(&claim)
		if text, err := signer.Sign(claim); err == nil {
			t.Errorf("%s: signed as %s", name, text)
		}
	}
}

func FuzzVerify(f *testing.F) {
	signer := testSigner(f, 1)
	ring := testRing(f, signer)
	f.Add(sign(f, signer, testClaim(f)))
	f.Add("G1:")
	f.Add("G1:BB8")
	f.Add(Prefix + base45Encode(make([]byte, 90)))
	f.Fuzz(func(t *testing.T, text string) {
		claim, err := ring.Verify(text)
		if err != nil {
			return
		}
		if again, err := signer.Sign(claim); err != nil || again != text {
			t.Errorf("%q is valid but is not what Sign writes: %q, %v", text, again, err)
		}
	})
}

func FuzzClaim(f *testing.F) {
	f.Add(testClaim(f).append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		claim, err := readClaim(raw)
		if err == nil && string(claim.append(nil)) != string(raw) {
			t.Errorf("%x reads as %+v, which is written %x", raw, claim, claim.append(nil))
		}
	})
}

// The examples of RFC 9285.
func TestBase45(t *testing.T) {
	t.Parallel()
	for raw, text := range map[string]string{
		"": "", "AB": "BB8", "Hello!!": "%69 VD92EX0", "base-45": "UJCLQE7W581", "ietf!": "QED8WEX0",
	} {
		if got := base45Encode([]byte(raw)); got != text {
			t.Errorf("encode %q = %q, want %q", raw, got, text)
		}
		if got, ok := base45Decode(text); !ok || string(got) != raw {
			t.Errorf("decode %q = %q, %v, want %q", text, got, ok, raw)
		}
	}
	for _, text := range []string{"GGW", ":::", "::", "A", "ab8", "ABCD"} {
		if got, ok := base45Decode(text); ok {
			t.Errorf("decode %q = %q, want a refusal", text, got)
		}
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	list := NewRevocations(12, 7, time.Date(2027, 3, 7, 9, 0, 0, 0, time.UTC))
	gone, reissued := id.New(), id.New()
	list.Void(gone, 1, 1)
	list.Void(reissued, 2, 3)
	list.Void(reissued, 2, 1) // never takes a revocation back
	read, err := testRing(t, signer).OpenRevocations(signer.SignRevocations(list))
	if err != nil {
		t.Fatal(err)
	}
	if read.Event != 12 || read.Issue != 7 || !read.Issued.Equal(list.Issued) || read.Len() != 2 {
		t.Errorf("read back as %+v", read)
	}
	for _, test := range []struct {
		claim Claim
		void  bool
	}{
		{Claim{Order: gone, Position: 1, Serial: 1}, true},
		{Claim{Order: gone, Position: 2, Serial: 1}, false},
		{Claim{Order: reissued, Position: 2, Serial: 3}, true},
		{Claim{Order: reissued, Position: 2, Serial: 4}, false},
		{Claim{Order: id.New(), Position: 1, Serial: 1}, false},
	} {
		if got := read.Has(test.claim); got != test.void {
			t.Errorf("%+v void: %v, want %v", test.claim, got, test.void)
		}
	}
}

func TestRevocationListIsCompactAndStable(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	list := NewRevocations(12, 7, time.Unix(1_800_000_000, 0))
	for range 1000 {
		list.Void(id.New(), 1, 1)
	}
	raw := signer.SignRevocations(list)
	if len(raw) > 18*1000+96 {
		t.Errorf("1,000 void tickets take %d bytes", len(raw))
	}
	if string(signer.SignRevocations(list)) != string(raw) {
		t.Error("the same list gave other bytes")
	}
}

func TestRevocationListsThatAreNotValid(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	ring := testRing(t, signer)
	list := NewRevocations(12, 7, time.Unix(1_800_000_000, 0))
	list.Void(testOrder(t), 1, 1)
	raw := signer.SignRevocations(list)
	ticket, _ := base45Decode(strings.TrimPrefix(sign(t, signer, testClaim(t)), Prefix))
	for name, forged := range map[string][]byte{"empty": nil, "cut": raw[:len(raw)-1], "a ticket": ticket} {
		if _, err := ring.OpenRevocations(forged); err == nil {
			t.Errorf("%s: taken for a list", name)
		}
	}
	for i := range raw {
		forged := append([]byte(nil), raw...)
		forged[i] ^= 1
		if _, err := ring.OpenRevocations(forged); err == nil {
			t.Fatalf("byte %d changed and the list is still valid", i)
		}
	}
}
