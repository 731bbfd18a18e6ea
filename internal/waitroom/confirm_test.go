package waitroom_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gapura/internal/fault"
	"gapura/internal/waitroom"
)

func persons(s *waitroom.Settings) { s.Person = true }

// mailbox reads the codes of the mails that went out, as the people do who own the addresses.
type mailbox struct {
	h      *house
	signer *waitroom.Signer
}

func (h *house) mailbox() *mailbox {
	h.t.Helper()
	signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
	if err != nil {
		h.t.Fatal(err)
	}
	return &mailbox{h, signer}
}

// last returns the code of the newest mail to address.
func (m *mailbox) last(address string) string {
	m.h.t.Helper()
	mails := m.h.store.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		to, err := m.signer.Address(&mails[i])
		if err != nil {
			m.h.t.Fatal(err)
		}
		if to == address {
			code, err := m.signer.Code(&mails[i])
			if err != nil {
				m.h.t.Fatal(err)
			}
			return code
		}
	}
	m.h.t.Fatalf("no mail to %s", address)
	return ""
}

func askCode(t *testing.T, rs *waitroom.Rooms, address, key string) waitroom.Asked {
	t.Helper()
	a, err := rs.Ask(t.Context(), eventID, address, "id", key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// comes asks, reads the mail and confirms, as one browser does.
func (m *mailbox) comes(rs *waitroom.Rooms, typed, address, browser string) (waitroom.Ticket, string) {
	m.h.t.Helper()
	a := askCode(m.h.t, rs, typed, browser)
	t, text, err := rs.Confirm(m.h.t.Context(), eventID, a.ID.String(), m.last(address))
	if err != nil {
		m.h.t.Fatal(err)
	}
	return t, text
}

func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// A person who draws again, from other browsers, in other spellings, has one number; one whose pass has lapsed goes to the end
// of the line, and the old ticket stays worthless.
func TestOnePersonOneDraw(t *testing.T) {
	bubble(t, persons, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		b, stopB := h.node("b", 0)
		defer stopB()
		m := h.mailbox()
		if _, _, err := a.Join(t.Context(), eventID, waitroom.NewVisitor()); why(err) != "missing" {
			t.Fatalf("a number for nobody: %v", err)
		}
		if s := first(a.State(eventID)); s.Person != "email" {
			t.Errorf("the state says %q is confirmed", s.Person)
		}
		numbers := map[waitroom.Number]bool{}
		var old string
		for i, typed := range []string{"siti@example.id", "Siti@Example.ID", " SITI@example.id ", "siti@example.id"} {
			ticket, text := m.comes([]*waitroom.Rooms{a, b}[i%2], typed, "siti@example.id", "browser "+string(rune('a'+i)))
			numbers[ticket.Visitor.Number(eventID)], old = true, text
			if !ticket.Person || ticket.Kind != waitroom.Drawn {
				t.Fatalf("%+v", ticket)
			}
			time.Sleep(waitroom.ResendAfter / 4)
		}
		// The engine takes addresses with a plus as others, but the draw knows that they are one mailbox.
		if ticket, _ := m.comes(a, "siti+2@example.id", "siti+2@example.id", "x"); len(numbers) != 1 || !numbers[ticket.Visitor.Number(eventID)] {
			t.Fatalf("one person has %d numbers, or another one by a plus", len(numbers))
		}
		h.until(-30 * time.Second)
		for _, browser := range []string{"d", "e", "f"} {
			if ticket, _ := m.comes(b, "siti@example.id", "siti@example.id", browser); ticket.Kind != waitroom.Drawn {
				t.Fatalf("who drew and lost the ticket: %+v", ticket)
			}
			if ticket, _ := m.comes(b, "budi@example.id", "budi@example.id", browser); ticket.Kind != waitroom.Late || ticket.Place != 1 {
				t.Fatalf("who came late three times: %+v", ticket)
			}
		}
		h.until(3 * time.Second)
		if p := proof(t, a); p.Count != 1 {
			t.Fatalf("%d drew", p.Count)
		}
		exchange(t, a, old, "k")
		time.Sleep(waitroom.PassLife)
		again, fresh := m.comes(a, "siti@example.id", "siti@example.id", "g")
		if again.Kind != waitroom.Late || again.Place != 2 {
			t.Fatalf("after the pass has lapsed: %+v", again)
		}
		if _, _, err := a.Exchange(t.Context(), eventID, old, "k"); why(err) != "lapsed" {
			t.Errorf("the old ticket: %v", err)
		}
		time.Sleep(time.Second)
		exchange(t, a, fresh, "k")
		if _, _, err := a.Exchange(t.Context(), eventID, old, "other"); why(err) != "used" {
			t.Errorf("the old ticket with the new pass: %v", err)
		}
	})
}

// A person's pass serves that person's order. One of an invitation, or of a room that confirms nothing, serves any.
func TestAPersonsPassIsNobodyElses(t *testing.T) {
	bubble(t, persons, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		_, text := h.mailbox().comes(a, "siti@example.id", "siti@example.id", "x")
		operate(t, a, func(o *waitroom.Operator) { o.Groups = []int64{1} })
		invited, err := a.Invite(eventID, waitroom.NewVisitor(), 1)
		if err != nil {
			t.Fatal(err)
		}
		h.until(3 * time.Second)
		_, pass := exchange(t, a, text, "k")
		read, err := a.Check(t.Context(), eventID, pass, "k")
		if err != nil || !read.Person || !a.Theirs(read, " Siti@example.id") || !a.Theirs(read, "siti+1@example.id") {
			t.Errorf("the person's own order: %+v %v", read, err)
		}
		for _, address := range []string{"budi@example.id", "siti@example.org", "", "siti", "siti@example.id\x00"} {
			if a.Theirs(read, address) {
				t.Errorf("the pass serves the order of %q", address)
			}
		}
		guest, _ := exchange(t, a, invited, "k2")
		if guest.Person || !a.Theirs(guest, "anyone@example.id") {
			t.Errorf("an invited pass: %+v", guest)
		}
		if _, err := a.Check(t.Context(), eventID, "P"+pass[1:], "k"); why(err) == "" || err == nil {
			t.Error("a person's pass was made anybody's by changing its first letter")
		}
	})
}

// Five wrong codes end a round; the next mail has another code. A code lives half an hour from its last mail.
func TestCodesAreHardToGuess(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Person = true; s.OpensAt = s.OpensAt.Add(24 * time.Hour) }, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		m := h.mailbox()
		asked := askCode(t, a, "siti@example.id", "browser")
		code := m.last("siti@example.id")
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("code %q", code)
		}
		try := func(id, code string) error {
			_, _, err := a.Confirm(t.Context(), eventID, id, code)
			return err
		}
		for left := 4; left >= 0; left-- {
			err := try(asked.ID.String(), other(code))
			var f *fault.Fault
			if why(err) != "wrong_code" || !errors.As(err, &f) || f.Params["attempts_left"] != left {
				t.Fatalf("%d attempts left: %v", left, err)
			}
		}
		if err := try(asked.ID.String(), code); why(err) != "too_many" {
			t.Fatalf("the right code after five wrong ones: %v", err)
		}
		if again := askCode(t, a, "siti@example.id", "browser"); again.ID != asked.ID || len(h.store.Mails()) != 1 {
			t.Fatalf("asked again at once: %d mails", len(h.store.Mails()))
		}
		time.Sleep(waitroom.ResendAfter)
		askCode(t, a, "siti@example.id", "browser")
		fresh := m.last("siti@example.id")
		if fresh == code || len(h.store.Mails()) != 2 {
			t.Fatalf("the next round has the same code, or no mail of its own")
		}
		for range 3 { // a lost answer is no second use
			if err := try(asked.ID.String(), fresh); err != nil {
				t.Fatal(err)
			}
		}
		stranger := askCode(t, a, "siti@example.id", "another browser")
		if err := try(stranger.ID.String(), fresh); stranger.ID == asked.ID || why(err) != "wrong_code" {
			t.Errorf("a code counts for the browser that asked: %v", err)
		}
		for _, id := range []string{"", "zz", strings.Repeat("0", 32), asked.ID.String()[:31]} {
			if err := try(id, fresh); why(err) != "lapsed" {
				t.Errorf("confirmation %q: %v", id, err)
			}
		}
		time.Sleep(20 * time.Minute)
		askCode(t, a, "siti@example.id", "browser")
		if m.last("siti@example.id") != fresh {
			t.Error("a second mail while the code is good has another one")
		}
		time.Sleep(20 * time.Minute)
		if err := try(asked.ID.String(), fresh); err != nil {
			t.Errorf("20 minutes after the last mail: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if err := try(asked.ID.String(), fresh); why(err) != "lapsed" {
			t.Errorf("half an hour after the last mail: %v", err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := h.store.Confirmations(); n != 0 {
			t.Errorf("%d addresses are kept for nothing", n)
		}
	})
}

// A room that has ended keeps no address, though nobody leads it any more, and writes nothing.
func TestAnEndedRoomForgets(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Person = true; s.ClosesAt = s.OpensAt.Add(5 * time.Minute) }, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		askCode(t, a, "siti@example.id", "browser")
		h.until(6 * time.Minute)
		if s := first(a.State(eventID)); s.Phase != waitroom.Ended || h.store.Confirmations() != 1 {
			t.Fatalf("%s with %d confirmations", s.Phase, h.store.Confirmations())
		}
		if _, err := a.Ask(t.Context(), eventID, "budi@example.id", "id", ""); why(err) != string(fault.Closed) {
			t.Errorf("a code after the end: %v", err)
		}
		time.Sleep(time.Minute)
		before := h.store.Calls("Save") + h.store.Calls("Lease")
		time.Sleep(2 * time.Hour)
		if n := h.store.Calls("Save") + h.store.Calls("Lease") - before; n != 0 || h.store.Confirmations() != 0 {
			t.Errorf("%d writes, %d addresses are kept", n, h.store.Confirmations())
		}
	})
}

// Nobody learns from an answer whether an address has a number, and a bad one is a fault of the form.
func TestAskingTellsNothing(t *testing.T) {
	bubble(t, persons, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		m := h.mailbox()
		m.comes(a, "siti@example.id", "siti@example.id", "x")
		known, unknown := askCode(t, a, "siti@example.id", "y"), askCode(t, a, "budi@example.id", "y")
		if known.Expires != unknown.Expires || known.Resend != unknown.Resend || known.ID == unknown.ID {
			t.Errorf("a known address is answered with %+v, an unknown one with %+v", known, unknown)
		}
		for _, bad := range []string{"", "siti", "siti@", "a@b@c.id", "siti@example.id\r\nBcc: all@example.id"} {
			if _, err := a.Ask(t.Context(), eventID, bad, "id", ""); why(err) != string(fault.ValidationFailed) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestNothingIsConfirmedElsewhere(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		if _, err := a.Ask(t.Context(), eventID, "siti@example.id", "id", ""); why(err) != string(fault.NotFound) {
			t.Errorf("%v", err)
		}
		if s := first(a.State(eventID)); s.Person != "" {
			t.Errorf("the state says that %q is confirmed", s.Person)
		}
	})
}

// A room lives for weeks: while nothing happens it writes six times a minute, and while people enter once a step.
func TestAQuietRoomHardlyWrites(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.OpensAt = s.OpensAt.Add(time.Hour); s.Draw = false }, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		defer stopA()
		_, stopB := h.node("b", 0)
		defer stopB()
		writes := func() int { return h.store.Calls("Save") + h.store.Calls("Lease") }
		during := func(d time.Duration) int {
			before := writes()
			time.Sleep(d)
			return writes() - before
		}
		time.Sleep(time.Minute)
		if n := during(10 * time.Minute); n > 130 {
			t.Errorf("%d writes in ten minutes before opening", n)
		}
		for range 1000 {
			join(t, a, waitroom.NewVisitor())
		}
		operate(t, a, func(o *waitroom.Operator) { o.Ceiling = 20 })
		h.until(5 * time.Second)
		if n := during(10 * time.Second); n < 18 || n > 22 {
			t.Errorf("%d writes in ten seconds in which people enter twice a second", n)
		}
		h.until(3 * time.Minute)
		if s := first(a.State(eventID)); s.Served < 1000 {
			t.Fatalf("only %d entered", s.Served)
		}
		if n := during(10 * time.Minute); n > 130 {
			t.Errorf("%d writes in ten minutes with nobody in line", n)
		}
	})
}

// A stopped leader hands the room over at once, and a dead one in a quiet room within the quiet lease.
func TestTheLeadIsHandedOver(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Draw = false }, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		b, stopB := h.node("b", 0)
		defer stopB()
		operate(t, a, func(o *waitroom.Operator) { o.Ceiling = 20 })
		h.until(5 * time.Minute) // quiet for long
		_, ticket := join(t, a, waitroom.NewVisitor())
		for range 2000 {
			join(t, a, waitroom.NewVisitor())
		}
		before := first(b.State(eventID)).Served
		stopA()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if after := first(b.State(eventID)).Served; after <= before {
			t.Errorf("%d were served when the leader stopped, %d a second and a half later", before, after)
		}
		exchange(t, b, ticket, "k")
	})
}
