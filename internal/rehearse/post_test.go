package rehearse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/rehearse/inbox"
)

// fakeDesk gives codes out by mail, in front of a fake waiting room. Without sins it does what the contract says.
type fakeDesk struct {
	sins deskSins
	mail chan [2]string // recipient and text

	mu        sync.Mutex
	addresses map[string]string // of a confirmation
	attempts  map[string]int
	confirmed map[string]bool
}

// deskSins are the ways in which it can be wrong.
type deskSins struct {
	mails    string // where they go; empty: nowhere
	mute     int    // every n-th mail is lost
	deaf     int    // every n-th right code is refused
	gullible bool   // any code is right
	strays   bool   // mails go to somebody else
	forgets  bool   // who confirms again is somebody else
	n        int
}

func newFakeDesk(t *testing.T, s deskSins) *fakeDesk {
	t.Helper()
	d := &fakeDesk{sins: s, mail: make(chan [2]string, 10_000), addresses: map[string]string{}, attempts: map[string]int{}, confirmed: map[string]bool{}}
	var sending sync.WaitGroup
	sending.Go(d.send)
	t.Cleanup(func() { close(d.mail); sending.Wait() })
	return d
}

// send carries the mails over one connection, as a program does.
func (d *fakeDesk) send() {
	var c *smtp.Client
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for m := range d.mail {
		if d.sins.mails == "" {
			continue
		}
		var err error
		if c == nil {
			if c, err = smtp.Dial(d.sins.mails); err != nil {
				continue // the rehearsal has ended
			}
		}
		if err = carry(c, m[0], m[1]); err != nil {
			_ = c.Close()
			c = nil
		}
	}
}

func carry(c *smtp.Client, to, text string) error {
	if err := c.Mail("gapura@example.id"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

func (d *fakeDesk) ask(w http.ResponseWriter, r *http.Request) {
	var request struct{ Email string }
	_ = json.NewDecoder(r.Body).Decode(&request)
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := sha256.Sum256([]byte(r.Header.Get("Idempotency-Key") + request.Email))
	id := hex.EncodeToString(sum[:16])
	d.addresses[id] = request.Email
	to := request.Email
	if d.sins.strays {
		to = "someone." + to
	}
	if d.sins.n++; d.sins.mute == 0 || d.sins.n%d.sins.mute != 0 {
		d.mail <- [2]string{to, "Subject: 123456 kode\r\n\r\nKonfirmasi: http://run.example/e/night-run/antre?konfirmasi=" + id + "&kode=" + codeOf(id) + "\r\n"}
	}
	w.WriteHeader(http.StatusAccepted)
	now := time.Now()
	_, _ = fmt.Fprintf(w, `{"confirmation":%q,"expires_at":%q,"resend_at":%q}`, id, now.Add(time.Hour).Format(time.RFC3339), now.Add(time.Minute).Format(time.RFC3339))
}

func codeOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[:])%1_000_000)
}

// confirm returns the address that a code is right for, or why it is not.
func (d *fakeDesk) confirm(r *http.Request) (address, reason string) {
	var request struct{ Confirmation, Code string }
	_ = json.NewDecoder(r.Body).Decode(&request)
	d.mu.Lock()
	defer d.mu.Unlock()
	address, known := d.addresses[request.Confirmation]
	right := request.Code == codeOf(request.Confirmation)
	d.sins.n++
	switch {
	case request.Confirmation == "":
		return "", "missing"
	case d.sins.gullible:
		return "anybody" + request.Confirmation, ""
	case !known:
		return "", "lapsed"
	case d.attempts[request.Confirmation] >= 5:
		return "", "too_many"
	case !right:
		d.attempts[request.Confirmation]++
		return "", "wrong_code"
	case d.sins.deaf > 0 && d.sins.n%d.sins.deaf == 0:
		return "", "lapsed"
	}
	d.confirmed[address] = true
	if d.sins.forgets {
		address += request.Confirmation + strconv.Itoa(d.sins.n)
	}
	return address, ""
}

// theirs reports whether the contact of an order has confirmed its address, and leaves the order readable.
func (d *fakeDesk) theirs(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var order struct{ Contact struct{ Email string } }
	_ = json.Unmarshal(body, &order)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.confirmed[order.Contact.Email]
}

func refuseCode(w http.ResponseWriter, reason string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, `{"code":"confirmation_required","reason":%q}`, reason)
}

// mailPlan brings people, and bots, to a room in which they confirm an address.
func mailPlan(t *testing.T, people, bots int, s roomSins) Plan {
	t.Helper()
	box, err := inbox.Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	s.person = "email"
	if s.desk.mails == "" {
		s.desk.mails = box.Address()
	}
	p := roomPlan(newFakeRoom(t, 2500*time.Millisecond, 10_000, s).URL, people, bots)
	p.Mail = box
	return p
}

func TestPeopleConfirmTheirAddresses(t *testing.T) {
	t.Parallel()
	p := mailPlan(t, 300, 60, roomSins{})
	p.Room.Patience = 7 * time.Second // some come late, wait for the mail and type a wrong code first
	r := run(t, p)
	if got := brokenChecks(r); len(got) > 0 {
		t.Fatalf("broken: %v\n%+v", got, Broken(r.Findings))
	}
	rr := r.Room
	if rr.Sold.Had != rr.Sold.Wanted || rr.Sold.Wanted < 200 {
		t.Errorf("%d of %d people have an order; outcomes %v", rr.Sold.Had, rr.Sold.Wanted, rr.named())
	}
	m := rr.Mail
	if m.People.Asked < 280 || m.People.Mailed != m.People.Asked || m.People.Silent != 0 || int(m.Wait.Count) != m.People.Asked || m.Wait.P99 <= 0 {
		t.Errorf("people: %+v, waits %+v", m.People, m.Wait)
	}
	if m.People.Wrong == 0 || m.People.Wrong > 40 || m.Bots.Wrong < 20 || m.Bots.Asked < 20 {
		t.Errorf("people: %+v, bots: %+v", m.People, m.Bots)
	}
	checked := map[string]int{}
	for _, f := range r.Findings {
		checked[f.Check] = f.Checked
	}
	for _, check := range []string{"room_code_taken", "room_one_number", "room_code_private", "room_code_mailed", "room_nothing_forged"} {
		if checked[check] == 0 {
			t.Errorf("check %s looked at nothing", check)
		}
	}
}

func TestEverySinOfCodesIsFound(t *testing.T) {
	t.Parallel()
	for check, s := range map[string]deskSins{
		"room_code_taken":     {deaf: 5},
		"room_one_number":     {forgets: true},
		"room_code_private":   {strays: true},
		"room_nothing_forged": {gullible: true},
		"room_code_mailed":    {mails: "127.0.0.1:1"},
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			p := mailPlan(t, 60, 60, roomSins{desk: s})
			p.Room.Patience = 2500 * time.Millisecond
			if got := brokenChecks(run(t, p)); !slices.Contains(got, check) {
				t.Errorf("%s is not broken; broken: %v", check, got)
			}
		})
	}
}

func TestAFewLostMailsAreToldAndNoFault(t *testing.T) {
	t.Parallel()
	p := mailPlan(t, 60, 0, roomSins{desk: deskSins{mute: 4}})
	p.Room.Patience = 2 * time.Second
	r := run(t, p)
	if m := r.Room.Mail.People; m.Silent == 0 || m.Silent+m.Mailed != m.Asked || r.Room.Outcomes[Impatient] == 0 {
		t.Errorf("%+v, outcomes %v", m, r.Room.named())
	}
	if got := brokenChecks(r); len(got) > 0 {
		t.Errorf("broken: %v", got)
	}
}

func TestARoomThatAsksForAnAddressWantsToKnowWhereMailsCome(t *testing.T) {
	t.Parallel()
	p := mailPlan(t, 10, 0, roomSins{})
	p.Mail = nil
	_, err := Run(t.Context(), p, t.Output())
	if err == nil || !strings.Contains(err.Error(), "--mail 127.0.0.1:2525") || !strings.Contains(err.Error(), "MAIL_MAILER=smtp") {
		t.Errorf("%v", err)
	}
}

// The report and the summaries say what came of the mails, and have neither an address nor a code.
func TestTheReportTellsOfMails(t *testing.T) {
	t.Parallel()
	r := run(t, mailPlan(t, 40, 40, roomSins{}))
	var terminal strings.Builder
	if err := WriteSummary(&terminal, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(terminal.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && !strings.HasPrefix(line, "      ") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(terminal.String(), "codes for people") || !strings.Contains(terminal.String(), "code, since asked for") {
		t.Errorf("the summary lacks the codes:\n%s", terminal.String())
	}
	dir := t.TempDir()
	if err := WriteContrast(dir, &Contrast{Without: r, With: r}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		ReportFile: {"code by mail, p99", "ask for a code 6 times for one address"}, WithDirectory + "/" + ReportFile: {"confirmations asked for", "Code by mail, since it was asked for"},
		WithDirectory + "/" + SummaryFile: {`"code_ms"`, `"wrong"`}, WithDirectory + "/" + AttemptsFile: nil,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s lacks %q", name, w)
			}
		}
		if strings.Contains(string(text), "@example.id") || strings.Contains(string(text), "NaN") || strings.Contains(string(text), "ZgotmplZ") {
			t.Errorf("%s has an address, or something that is no number", name)
		}
	}
}
