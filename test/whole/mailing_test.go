package whole

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// letter is a mail that was written to disk.
type letter struct{ to, subject, unsubscribe string }

// letters reads the mails that were written and whose subject holds part, by recipient.
func (i *installation) letters(t *testing.T, part string) map[string]letter {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(i.directory, "mail", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]letter{}
	for _, name := range files {
		l := readLetter(t, name)
		if !strings.Contains(l.subject, part) {
			continue
		}
		if _, twice := found[l.to]; twice {
			t.Errorf("%s got %q twice", l.to, part)
		}
		found[l.to] = l
	}
	return found
}

func readLetter(t *testing.T, name string) letter {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	m, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 {
		t.Fatalf("%s: To %v, %v", name, to, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	link := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
	if link != "" && m.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("%s: unsubscribing is not one click", name)
	}
	return letter{to[0].Address, subject, link}
}

// leave follows an address to unsubscribe as a mail program does, and returns the status of looking at it and of doing it.
func leave(t *testing.T, link string) (looking, doing int) {
	t.Helper()
	looked, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, looked.Body)
	_ = looked.Body.Close()
	done, err := http.PostForm(link, url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, done.Body)
	_ = done.Body.Close()
	return looked.StatusCode, done.StatusCode
}

// A mailing reaches every confirmed participant once and nobody who has left; its trial reaches one address, and the trial's
// own address to unsubscribe leads somewhere.
func TestAMailing(t *testing.T) {
	t.Parallel()
	i := onSQLite(t)
	address := freeAddress(t)
	i.environment = append(i.environment, "HTTP_ADDR="+address, "APP_URL=http://"+address, "RATE_LIMITS=off", "CAPTCHA_PROVIDER=none", "MAIL_MAILER=log")
	i.apply(t, 100)
	c := &counter{installation: i, node: i.serve(t)}
	for person := range 3 {
		c.place(t, person, "fun", "Siti Aminah", fmt.Sprintf("contact%d@example.id", person))
	}
	c.place(t, 9, "5k", "Budi Belum Bayar", "unpaid@example.id")
	text := filepath.Join(i.directory, "news.md")
	if err := os.WriteFile(text, []byte("Halo,\n\n**rutenya** berubah.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.soon(t, "the confirmations", func() bool { return len(i.letters(t, "Tiket")) == 3 })

	i.must(t, "mail", "broadcast", "night-run", "--subject-id", "Kabar coba", "--body", text, "--test", "organiser@example.id")
	trial := i.letters(t, "Kabar coba")
	if len(trial) != 1 || trial["organiser@example.id"].unsubscribe == "" {
		t.Fatalf("the trial: %v", trial)
	}
	if looking, doing := leave(t, trial["organiser@example.id"].unsubscribe); looking != 200 || doing != 200 {
		t.Errorf("the trial's address to unsubscribe: %d, then %d", looking, doing)
	}

	i.must(t, "mail", "broadcast", "night-run", "--subject-id", "Kabar pertama", "--body", text)
	c.soon(t, "the first mailing", func() bool { return len(i.letters(t, "Kabar pertama")) == 3 })
	first := i.letters(t, "Kabar pertama")
	link := first["runner1@example.id"].unsubscribe
	if _, doing := leave(t, link[:len(link)-1]); doing != http.StatusNotFound {
		t.Errorf("with a broken key: %d", doing)
	}
	for range 2 {
		if looking, doing := leave(t, link); looking != 200 || doing != 200 {
			t.Errorf("unsubscribing: %d, then %d", looking, doing)
		}
	}
	if n := i.count(t, "SELECT COUNT(*) FROM mail_optouts"); n != 1 {
		t.Errorf("%d have left", n)
	}

	i.must(t, "mail", "broadcast", "night-run", "--subject-id", "Kabar kedua", "--body", text)
	c.soon(t, "the second mailing", func() bool { return i.count(t, "SELECT COUNT(*) FROM broadcasts WHERE sent = 2") == 1 })
	second := i.letters(t, "Kabar kedua")
	if _, left := second["runner1@example.id"]; left || len(second) != 2 {
		t.Errorf("the second mailing reached %v", second)
	}
	i.clean(t)
}
