package inbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gapura/internal/notify"
	provider "gapura/internal/provider/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const confirmation = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

func open(t *testing.T) *Box {
	t.Helper()
	b, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// collect keeps what comes.
func collect(b *Box) func() []Letter {
	var mu sync.Mutex
	var came []Letter
	b.Hand(func(l Letter) { mu.Lock(); came = append(came, l); mu.Unlock() })
	return func() []Letter { mu.Lock(); defer mu.Unlock(); return came }
}

// The program's own sender, with the words that it really writes, beside mails that have no code.
func TestTheProgramsMailsAreRead(t *testing.T) {
	t.Parallel()
	b := open(t)
	came := collect(b)
	words, err := os.ReadFile(filepath.Join("..", "..", "notify", "testdata", "confirm_address.id.txt"))
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(b.Address())
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	sender, err := provider.New(provider.Config{Host: host, Port: number})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Close() }()
	m := notify.Message{
		ID: "1@x.example", Class: notify.Transactional, Locale: "id", From: notify.Address{Name: "Gapura", Email: "tiket@run.example"},
		To: notify.Address{Name: "Siti", Email: "siti@example.id"}, Subject: "Tiket", Text: "Halo Siti, ini 123456.", HTML: "<p>Halo</p>", Date: time.Now(),
		Attachments: []notify.Attachment{{Name: "tiket.pdf", Type: "application/pdf", Content: make([]byte, 200_000)}},
	}
	for range 2 {
		if err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		m.ID, m.Text, m.Attachments = "2@x.example", string(words), nil
	}
	want := Letter{To: "siti@example.id", Confirmation: confirmation, Code: "048213"}
	if got := came(); len(got) != 1 || got[0] != want {
		t.Errorf("read %v, want %v", got, want)
	}
	if b.Mails() != 2 {
		t.Errorf("%d mails", b.Mails())
	}
}

func TestWhatHasNoCode(t *testing.T) {
	t.Parallel()
	deep := ""
	for i := range 10 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n", i)
	}
	address := "https://run.example/e/x/antre?konfirmasi=" + confirmation + "&kode=048213"
	for name, raw := range map[string]string{
		"nothing":           "",
		"no header":         "siti",
		"another code":      "Subject: 123456\r\n\r\n123456 " + confirmation,
		"too short":         "Subject: x\r\n\r\n" + strings.TrimSuffix(address, "3"),
		"too long":          "Subject: x\r\n\r\n" + address + "4",
		"no link":           "Subject: x\r\n\r\n?konfirmasi=" + confirmation + "&kode=048213",
		"broken link":       "Subject: x\r\n\r\nhttp://[?konfirmasi=" + confirmation + "&kode=048213",
		"too deep":          deep + "\r\n" + address,
		"only HTML":         "Content-Type: text/html\r\n\r\n" + address,
		"not base64":        "Content-Transfer-Encoding: base64\r\n\r\n" + address,
		"without its parts": "Content-Type: multipart/mixed\r\n\r\n" + address,
	} {
		if c, code := read(strings.NewReader(raw)); code != "" {
			t.Errorf("%s: %s %s", name, c, code)
		}
	}
	for name, raw := range map[string]string{
		"plain":            "Subject: x\r\n\r\nhttps://run.example/ " + address,
		"turned round":     "Subject: x\r\n\r\nhttps://run.example/?kode=048213&konfirmasi=" + confirmation + "&lang=en",
		"quoted-printable": "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.ReplaceAll(address, "=", "=3D"),
	} {
		if c, code := read(strings.NewReader(raw)); c != confirmation || code != "048213" {
			t.Errorf("%s: %q %q", name, c, code)
		}
	}
}

func TestOnlyThisMachineMayBeListenedAt(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "2525", ":2525", "0.0.0.0:2525", "192.0.2.1:25", "mail.example.id:25", "[::]:2525"} {
		b, err := Open(t.Context(), address)
		if err == nil {
			_ = b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:2525") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAMailWithoutAnEndIsRefused(t *testing.T) {
	t.Parallel()
	b := open(t)
	c, err := smtp.Dial(b.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Mail("a@example.id"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("b@example.id"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 998) + "\r\n")
	for range maxMessage/len(line) + 10 {
		if _, err := w.Write(line); err != nil {
			break
		}
	}
	if err := w.Close(); err == nil || !strings.HasPrefix(err.Error(), "552") {
		t.Errorf("%v", err)
	}
	if b.Mails() != 0 {
		t.Error("it was taken")
	}
}

// One who comes too many waits outside until another leaves, and closing shows everybody out.
func TestOnlySoManyAreInAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	var inside []net.Conn
	greeted := func(within time.Duration) (net.Conn, bool) {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(within))
		_, err = c.Read(make([]byte, 3))
		return c, err == nil
	}
	for range maxConnections {
		c, ok := greeted(10 * time.Second)
		if !ok {
			t.Fatalf("connection %d is not greeted", len(inside)+1)
		}
		inside = append(inside, c)
	}
	waiting, ok := greeted(200 * time.Millisecond)
	if ok {
		t.Fatal("one too many is greeted")
	}
	_ = inside[0].Close()
	_ = waiting.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := waiting.Read(make([]byte, 3)); err != nil {
		t.Errorf("a place is free: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, inside[1]); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after the end: %v", err)
	}
	for _, c := range append(inside, waiting) {
		_ = c.Close()
	}
	if _, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", b.Address()); err == nil {
		t.Error("it still listens")
	}
}
