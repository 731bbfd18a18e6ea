package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gapura/internal/lifecycle"
	"gapura/internal/provider/midtrans/standin"
)

// bankKey is what the stand-in's notifications are signed with.
const bankKey = "SB-Mid-server-trouble"

// counter is one node that does everything, on SQLite, with a payment stand-in and a mail server.
type counter struct {
	*installation
	*node
	bank *standin.Server
	post *postOffice
}

func openCounter(t *testing.T) *counter {
	t.Helper()
	i := onSQLite(t)
	c := &counter{installation: i, post: openPostOffice(t)}
	address := freeAddress(t)
	var err error
	c.bank, err = standin.New(standin.Config{ServerKey: bankKey, NotifyURL: "http://" + address + "/webhooks/midtrans", Scale: 60})
	if err != nil {
		t.Fatal(err)
	}
	pages := serveBank(t, c.bank, c.bank.Handler())
	host, port, _ := net.SplitHostPort(c.post.address)
	i.environment = append(i.environment, "HTTP_ADDR="+address, "APP_URL=http://"+address, "RATE_LIMITS=off", "CAPTCHA_PROVIDER=none",
		"MIDTRANS_SERVER_KEY="+bankKey, "MIDTRANS_BASE_URL="+pages, "MIDTRANS_SNAP_URL="+pages, "MAIL_MAILER=smtp", "MAIL_HOST="+host, "MAIL_PORT="+port)
	i.apply(t, 1000)
	c.node = i.serve(t)
	return c
}

// serveBank answers with h for the stand-in, and returns where.
func serveBank(t *testing.T, bank *standin.Server, h http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	work := lifecycle.NewGroup(t.Context())
	bank.Start(work)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = work.Stop(context.WithoutCancel(t.Context()))
		_ = server.Close()
		bank.Close()
	})
	return "http://" + listener.Addr().String()
}

// placed is an acknowledged order.
type placed struct {
	ID     string `json:"id"`
	Number string `json:"number"`
	Token  string `json:"access_token"`
}

// place registers one person and fails the test if that is not acknowledged.
func (c *counter) place(t *testing.T, person int, category, name, email string) placed {
	t.Helper()
	body := fmt.Sprintf(`{"contact":{"name":%[1]q,"email":%[2]q,"phone":"0812-3456-789"},"participants":[{"category":%[3]q,"name":%[1]q,`+
		`"email":"runner%[4]d@example.id","phone":"+6281200%06[4]d","birth_date":"1994-05-02","gender":"female"}]}`, name, email, category, person)
	a := send(t, c.node, post(fmt.Sprintf("trouble-%016d", person), body), false)
	var o placed
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || a.status != http.StatusCreated {
		t.Fatalf("%s: %d %s", name, a.status, a.body)
	}
	return o
}

// pay pays the order as soon as its page is there.
func (c *counter) pay(t *testing.T, o placed) {
	t.Helper()
	c.soon(t, "the page of "+o.Number, func() bool {
		for _, v := range c.bank.Transactions() {
			if strings.HasPrefix(v.OrderID, o.Number+"-") && v.Status == "" {
				return c.bank.Pay(v.OrderID, "other_qris") == nil
			}
		}
		return false
	})
}

// soon waits until it is so: longer than a job's first back-off, which for mails is at most 5 s.
func (c *counter) soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.Now().Add(40 * time.Second)
	for !so() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 40 s\n%s", what, c.must(t, "queue", "list"))
		}
		wait(t.Context(), 50*time.Millisecond)
	}
}

// becomes waits until a query returns want.
func (c *counter) becomes(t *testing.T, want int, query string) {
	t.Helper()
	c.soon(t, query, func() bool { return c.count(t, query) == want })
}

// letter returns the number of the dead letter of a kind about an order.
func (c *counter) letter(t *testing.T, kind string, o placed) string {
	t.Helper()
	raw := strings.ToUpper(strings.ReplaceAll(o.ID, "-", ""))
	query := fmt.Sprintf("SELECT COALESCE(MAX(id), 0) FROM dead_letters WHERE kind = '%s' AND hex(order_id) = '%s'", kind, raw)
	c.soon(t, "a dead letter of kind "+kind, func() bool { return c.count(t, query) > 0 })
	return strconv.Itoa(c.count(t, query))
}

// of ends a query with the rows of one order.
func (o placed) of() string {
	return " WHERE hex(order_id) = '" + strings.ToUpper(strings.ReplaceAll(o.ID, "-", "")) + "'"
}

// file fetches a file of an order.
func (c *counter) file(t *testing.T, o placed, name string) (status int, content []byte) {
	t.Helper()
	w, err := http.Get(c.url() + "/orders/" + o.ID + "/" + name + "?token=" + o.Token)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	content, err = io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, content
}

// refusals is how the mail server takes them.
func refusals(to string, n int) string {
	switch {
	case strings.HasPrefix(to, "gone"):
		return "550 5.1.1 <" + to + "> no such mailbox"
	case strings.HasPrefix(to, "busy") && n < 2:
		return "451 4.3.2 try again later"
	case strings.HasPrefix(to, "spam"):
		return "554 5.7.1 message to <" + to + "> looks like spam"
	}
	return ""
}

// Mails that do not arrive, documents that cannot be printed and names that no font has: each comes to an end that somebody
// can see and do something about.
func TestTroubleAfterTheAcknowledgement(t *testing.T) { //nolint:tparallel // the group ends before the rows are counted
	t.Parallel()
	c := openCounter(t)
	c.post.refusing(refusals)
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(t *testing.T, c *counter){
			"an address that bounces": bounced, "a server that is busy": busy, "a mail that is refused": refused,
			"an invoice that cannot be printed": unprinted, "names in any script": foreign,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); test(t, c) })
		}
	})
	c.becomes(t, 0, "SELECT COUNT(*) FROM outbox")
	c.becomes(t, 0, "SELECT COUNT(*) FROM dead_letters")
	c.clean(t)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	for _, never := range []string{"panic", "gone1@", "spam1@", "no such mailbox", "looks like spam"} {
		if bytes.Contains(c.log.Bytes(), []byte(never)) {
			t.Errorf("the log says %q:\n%s", never, c.log)
		}
	}
}

func bounced(t *testing.T, c *counter) {
	c.place(t, 1, "fun", "Siti Aminah", "gone1@example.id")
	c.becomes(t, 1, "SELECT COUNT(*) FROM mail_deliveries WHERE outcome = 'bounced'")
	if n := c.count(t, "SELECT COUNT(*) FROM mail_suppressions WHERE email = 'gone1@example.id' AND reason NOT LIKE '%mailbox%'"); n != 1 {
		t.Errorf("%d suppressed addresses", n)
	}
	c.place(t, 2, "fun", "Budi Santoso", "gone1@example.id")
	c.becomes(t, 1, "SELECT COUNT(*) FROM mail_deliveries WHERE outcome = 'suppressed'")
	if n := c.post.tries("gone1@example.id"); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

func busy(t *testing.T, c *counter) {
	o := c.place(t, 3, "fun", "Siti Rahma", "busy3@example.id")
	c.soon(t, "the mail", func() bool { return c.post.has(o.ID, "order_confirmed") > 0 })
	if n, came := c.post.tries("busy3@example.id"), c.post.has(o.ID, "order_confirmed"); n != 2 || came != 1 {
		t.Errorf("tried %d times, came %d times", n, came)
	}
}

func refused(t *testing.T, c *counter) {
	o := c.place(t, 4, "fun", "Dewi Lestari", "spam4@example.id")
	letter := c.letter(t, "mail.send", o)
	said := c.must(t, "queue", "show", letter)
	for _, want := range []string{"dead", "order_confirmed", "554", "5.7.1"} {
		if !strings.Contains(said, want) {
			t.Errorf("queue show does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "spam4@") {
		t.Errorf("queue show names a person:\n%s", said)
	}
	if said := c.must(t, "audit", "night-run"); !strings.Contains(said, "wait for a person (gapura queue list)") {
		t.Errorf("audit:\n%s", said)
	}
	if n := c.count(t, "SELECT COUNT(*) FROM mail_suppressions WHERE email LIKE 'spam%'"); n != 0 {
		t.Error("a refused message suppressed its address")
	}
	// A template that is not there is the same: nothing leaves without words, and nothing is forgotten.
	c.must(t, "queue", "edit", letter, "--arg", "order_praised")
	c.soon(t, "the template's error", func() bool { return strings.Contains(c.must(t, "queue", "show", letter), "no template") })
	if n := c.count(t, "SELECT COUNT(*) FROM mail_deliveries WHERE message_id LIKE '"+o.ID+"%'"); n != 0 {
		t.Errorf("%d mails have ended", n)
	}
	c.post.refusing(func(to string, n int) string { return refusals(strings.Replace(to, "spam", "", 1), n) }) // somebody has spoken to them
	c.must(t, "queue", "edit", letter, "--arg", "order_confirmed")
	c.soon(t, "the mail", func() bool { return c.post.has(o.ID, "order_confirmed") == 1 })
}

// unprinted: an invoice that does not add up is not printed. The ticket is, and the invoice as soon as somebody has mended it.
func unprinted(t *testing.T, c *counter) {
	o := c.place(t, 6, "5k", "Rina Kartika", "rina6@example.id")
	c.exec(t, "UPDATE participants SET price = price + 1"+o.of())
	c.pay(t, o)
	letter := c.letter(t, "invoice.render", o)
	if said := c.must(t, "queue", "show", letter); !strings.Contains(said, "invoice of "+o.Number) {
		t.Errorf("queue show:\n%s", said)
	}
	c.soon(t, "the ticket", func() bool { got, _ := c.file(t, o, "tickets.pdf"); return got == http.StatusOK })
	if got, _ := c.file(t, o, "invoice.pdf"); got != http.StatusServiceUnavailable {
		t.Errorf("an invoice that is not there: %d", got)
	}
	c.exec(t, "UPDATE participants SET price = price - 1"+o.of())
	c.must(t, "queue", "retry", "--kind", "invoice.render", "--all")
	c.soon(t, "the invoice", func() bool { got, _ := c.file(t, o, "invoice.pdf"); return got == http.StatusOK })
	if n := c.count(t, "SELECT COUNT(*) FROM invoices WHERE number = 1"); n != 1 {
		t.Error("the failed attempt has used up a number")
	}
}

// exec changes the database beside the program.
func (i *installation) exec(t *testing.T, statement string) {
	t.Helper()
	db := i.open(t)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// foreign: every name that is taken can be printed, also one that no font has letters for.
func foreign(t *testing.T, c *counter) {
	for k, name := range []string{
		"محمد بن عبد الله", "李小龍", "ꦲꦏ꧀ꦱꦫꦗꦮ", "ᬳᬓ᭄ᬱᬭᬩᬮᬶ", "Ван Иван", "ශ්\u200dරී", "𒀀𒁀 Cuneiform", "𓀀𓁐 Hieroglyph", "𞤀𞤣𞤤𞤢𞤥", "Ñandú-Ðórð", "Siti " + strings.Repeat("Kusumaningrat ", 6),
	} {
		o := c.place(t, 100+k, "fun", strings.TrimSpace(name), fmt.Sprintf("foreign%d@example.id", k))
		var pdf []byte
		c.soon(t, "the ticket of "+name, func() bool {
			got, content := c.file(t, o, "tickets.pdf")
			if got != http.StatusOK && got != http.StatusServiceUnavailable {
				t.Fatalf("the ticket of %s: %d", name, got)
			}
			pdf = content
			return got == http.StatusOK
		})
		text := textOf(t, pdf)
		if !strings.Contains(text, o.Number) || strings.HasPrefix(name, "𒀀") && !strings.Contains(text, "[U+12000]") {
			t.Errorf("the ticket of %s:\n%s", name, text)
		}
		c.soon(t, "the mail to "+name, func() bool { return c.post.has(o.ID, "order_confirmed") == 1 })
	}
}

// textOf reads a PDF.
func textOf(t *testing.T, pdf []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v\n%s", err, out)
	}
	return string(out)
}
