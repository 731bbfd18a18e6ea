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
	"time"

	"gapura/test/peers"
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

// mailingShop is a mailing to n confirmed participants on a real MariaDB and Redis that is released, and the mail server.
func mailingShop(t *testing.T, n int) (i *installation, redis *peers.RedisServer, post *postOffice) {
	t.Helper()
	i, redis, post = onMariaDB(t, peers.PrivateMariaDB(t)), peers.PrivateRedis(t), openPostOffice(t)
	host, port, _ := strings.Cut(post.address, ":")
	i.environment = append(i.environment, "QUEUE_CONNECTION=redis", "REDIS_URL="+redis.URL(0), "APP_URL=http://127.0.0.1:1",
		"MAIL_MAILER=smtp", "MAIL_HOST="+host, "MAIL_PORT="+port, "MAIL_RATE=100000")
	i.apply(t, 2*n)
	i.exec(t, fmt.Sprintf("INSERT INTO orders (id, event_id, seq, number, status, version, total, contact_name, contact_email, contact_phone, locale, "+
		"idem_key, fingerprint, created_at) SELECT UNHEX(LPAD(HEX(seq), 32, '0')), 1, seq, CONCAT('N-', seq), 'confirmed', 1, 0, 'Siti', "+
		"CONCAT('c', seq, '@example.id'), '', 'id', UNHEX(LPAD(HEX(seq), 32, '0')), UNHEX(LPAD(HEX(seq), 32, '0')), 0 FROM seq_1_to_%d", n/2))
	i.exec(t, fmt.Sprintf("INSERT INTO participants (order_id, position, category, name, email, phone, birth_date, gender, answers, tier, price) "+
		"SELECT UNHEX(LPAD(HEX(1 + (seq - 1) DIV 2), 32, '0')), 1 + seq %% 2, 'fun', 'Siti Aminah', CONCAT('p', seq, '@example.id'), '', '1994-05-02', "+
		"'female', '', -1, 0 FROM seq_1_to_%d", n))
	text := filepath.Join(i.directory, "news.md")
	if err := os.WriteFile(text, []byte(strings.Repeat("Rutenya **berubah**, dan nomor dada diambil besok.\n\n", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(t, "mail", "broadcast", "night-run", "--subject-id", "Kabar", "--body", text)
	return i, redis, post
}

// work starts a `gapura work`.
func (i *installation) work(t *testing.T) *worker {
	t.Helper()
	w := &worker{installation: i}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.kill() })
	return w
}

// sent waits until the mailing has ended for n recipients.
func (i *installation) sent(t *testing.T, n int, within time.Duration) {
	t.Helper()
	end := time.Now().Add(within)
	for i.count(t, "SELECT sent + skipped FROM broadcasts") < n {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, i.must(t, "queue", "list"))
		}
		wait(t.Context(), 200*time.Millisecond)
	}
}

// A mailing to 100,000 participants on a real MariaDB and Redis, sent by `gapura work` over SMTP: each of them gets one mail, and
// the worker never has more than 100 MB in RAM, its own code included.
func TestAMailingToAHundredThousand(t *testing.T) {
	peers.Long(t)
	const recipients = 100_000
	i, _, post := mailingShop(t, recipients)
	w, began := i.work(t), time.Now()
	i.sent(t, recipients, 20*time.Minute)
	took, peak := time.Since(began), peakMemory(t, w.process.Pid)
	kinds, twice := post.sorted()
	if len(post.came) != recipients || twice > 0 {
		t.Errorf("%d mails, %d of them twice: %v", len(post.came), twice, kinds)
	}
	t.Logf("%d mails in %s, %.0f a second; the worker had at most %.1f MB in RAM", recipients, took.Round(time.Second),
		recipients/took.Seconds(), float64(peak)/1e6)
	if peak > 100e6 {
		t.Errorf("the worker had %.1f MB in RAM", float64(peak)/1e6)
	}
}

// Redis is wiped while two workers send chunks of a mailing through a slow server. Whoever does a chunk yields to the worker that
// it is sent to again, so that only a message that was just being sent can arrive twice. Without yielding 502 did.
func TestRedisIsWipedInTheMiddleOfAMailing(t *testing.T) {
	peers.Long(t)
	const recipients = 1500
	i, redis, post := mailingShop(t, recipients)
	post.slow.Store(int64(60 * time.Millisecond)) // a chunk of 250 then takes 15 s, longer than a lease
	i.work(t)
	i.work(t)
	(&counter{installation: i, post: post}).soon(t, "the first mails", func() bool {
		post.mu.Lock()
		defer post.mu.Unlock()
		return len(post.came) > 100
	})
	if err := (&shop{redis: redis}).flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.sent(t, recipients, 3*time.Minute)
	_, twice := post.sorted()
	if len(post.came) != recipients || twice > 8 {
		t.Errorf("%d mails, %d of them twice", len(post.came), twice)
	}
	t.Logf("%d mails, %d of them twice", len(post.came), twice)
}

// peakMemory is the most that a process has had in RAM, in bytes, as the kernel counts.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("the peak is read from /proc, which only Linux has")
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes * 1024
		}
	}
	t.Fatalf("no VmHWM in\n%s", text)
	return 0
}
