package store_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"gapura/internal/audit"
	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
)

// aftermath is an event in which everything has followed: order 1 is paid, order 2 free, order 3 waits for its money.
type aftermath struct {
	*store.Store
	d       *conformance.Database
	eventID int64
	orders  [3]registration.Order
}

func newAftermath(t *testing.T, d *conformance.Database) *aftermath {
	t.Helper()
	a := &aftermath{Store: d.Store(t), d: d}
	a.eventID = conformance.Apply(t, a.Store, conformance.Race(t, "aftermath-race", 1000))
	paid := conformance.NewOrder(a.eventID, 1, func(o *registration.NewOrder) {
		o.Order.Status, o.Order.ExpiresAt = registration.Confirmed, time.Time{}
	})
	written := []registration.NewOrder{paid, conformance.NewOrder(a.eventID, 2, conformance.Free), conformance.NewOrder(a.eventID, 3)}
	must(t, conformance.Write(t, a.Store, a.eventID, written...))
	for i := range written {
		a.orders[i] = *written[i].Order
	}
	d.Exec(t, "INSERT INTO payment_attempts (order_id, n, provider_id, amount, state, token, redirect_url, started_at, expires_at, provider, "+
		"transaction_id, channel, on_us, paid_at, received, reversed, refunded, by_hand, charged_back, asks) "+
		"VALUES (?, 1, 'P-1', 150000, 'paid', '', '', 1, 1, 'settlement', 'T', 'qris', 0, 1, 150000, 0, 0, 0, 0, 0)", a.orders[0].ID)
	d.Exec(t, "INSERT INTO payment_entries (order_id, n, attempt, from_account, to_account, amount, reason, booked_at) "+
		"VALUES (?, 1, 1, 'in', 'paid', 150000, 'payment', 1)", a.orders[0].ID)
	a.follow(t)
	return a
}

// follow has everything done that is planned, as the workers do.
func (a *aftermath) follow(t *testing.T) {
	t.Helper()
	ctx, now := t.Context(), conformance.Opening
	plan := func(f fulfil.Follow) fulfil.Plan { return fulfil.Decide(now, f) }
	must(t, a.Follow(ctx, now, a.claim(t, jobs.Plan), plan))
	for _, j := range a.claim(t, jobs.Ticket) {
		kind := fulfil.TicketsPDF
		if j.Kind == jobs.InvoiceRender {
			kind = fulfil.InvoicePDF
			_, err := a.NumberInvoices(ctx, []fulfil.InvoiceNumber{{Order: j.Order, Organiser: "Yayasan", Year: 2026, IssuedAt: now}})
			must(t, err)
		}
		must(t, a.KeepDocuments(ctx, []fulfil.Kept{{
			Document: fulfil.Document{Order: j.Order, Kind: kind, Version: j.Version, Name: "x.pdf", Content: []byte("%PDF")}, Job: j,
		}}))
	}
	var ends []jobs.Outcome
	for _, j := range append(a.claim(t, jobs.Mail), a.claim(t, jobs.Payment)...) {
		if j.Kind == jobs.MailSend {
			must(t, a.Record(ctx, notify.Delivery{
				MessageID: fmt.Sprintf("%s.%s.%d@x.example", j.Order, j.Arg, j.Version), Kind: notify.Kind(j.Arg), Outcome: notify.Sent, At: now,
			}))
		}
		ends = append(ends, jobs.Outcome{Sending: jobs.Sending{Job: j}, End: jobs.Done, At: now})
	}
	must(t, a.Settle(ctx, ends))
}

func (a *aftermath) claim(t *testing.T, q jobs.Queue) []jobs.Job {
	t.Helper()
	claims, err := a.ClaimJobs(t.Context(), q, conformance.Opening.AddDate(1, 0, 0), conformance.Opening.AddDate(2, 0, 0), jobs.Want{Send: 1000})
	must(t, err)
	all := make([]jobs.Job, len(claims.Send))
	for i, s := range claims.Send {
		all[i] = s.Job
	}
	return all
}

// audited returns the findings that are broken, by invariant, and all of them as text.
func (a *aftermath) audited(t *testing.T) (broken map[int]bool, text string) {
	t.Helper()
	broken = map[int]bool{}
	must(t, a.Audit(t.Context(), a.eventID, func(source *store.Audited) error {
		findings, err := audit.Followed(t.Context(), "aftermath-race", source)
		for _, f := range findings {
			broken[f.Invariant] = f.Broken
			text += fmt.Sprintf("%d %s\n", f.Invariant, f.Text)
		}
		return err
	}))
	return broken, text
}

// sql puts the orders' ids in: $1 is the first order's, and $0 that of none.
func (a *aftermath) sql(statement string) string {
	for i, order := range append([]registration.Order{{ID: id.New()}}, a.orders[:]...) {
		statement = strings.ReplaceAll(statement, fmt.Sprintf("$%d", i), "X'"+hex.EncodeToString(order.ID[:])+"'")
		statement = strings.ReplaceAll(statement, fmt.Sprintf("@%d", i), order.ID.String())
	}
	return strings.ReplaceAll(statement, "$e", strconv.FormatInt(a.eventID, 10))
}

// planted are faults that no part of the program makes: each breaks one invariant.
var planted = []struct {
	name      string
	invariant int
	fault     string
	says      string
}{
	{"a ticket is missing", 7, "DELETE FROM tickets WHERE order_id = $1", "1 tickets missing or too many"},
	{"a ticket is void", 7, "UPDATE tickets SET void = 1 WHERE order_id = $2", "1 tickets missing or too many"},
	{"a ticket for nobody", 7, "INSERT INTO tickets VALUES ($1, 7, $e, 1, 1, 0)", "tickets missing or too many"},
	{"a ticket without payment", 7, "INSERT INTO tickets VALUES ($3, 1, $e, 1, 1, 0)", "1 tickets missing or too many"},
	{"a ticket without an order", 7, "INSERT INTO tickets VALUES ($0, 1, $e, 1, 1, 0)", "1 tickets missing or too many"},
	{"an invoice is missing", 7, "DELETE FROM invoices", "1 invoices missing or too many"},
	{"an invoice of what was free", 7, "INSERT INTO invoices VALUES ('other', 2026, 1, $2, 1)", "1 invoices missing or too many"},
	{"an invoice without payment", 7, "INSERT INTO invoices VALUES ('other', 2026, 1, $3, 1)", "1 invoices missing or too many"},
	{"an invoice without an order", 7, "INSERT INTO invoices VALUES ('other', 2026, 1, $0, 1)", "1 tickets missing or too many"},
	{"a number is missing", 7, "UPDATE invoices SET number = 2", "1 of 1 books with a gap"},
	{"a number was given to nobody", 7, "UPDATE invoice_numbers SET last = 2", "1 of 1 books with a gap"},
	{"an entry is missing", 8, "DELETE FROM payment_entries", "1 do not balance"},
	{"an entry of another amount", 8, "UPDATE payment_entries SET amount = 149999", "1 do not balance"},
	{"an entry to nowhere", 8, "UPDATE payment_entries SET to_account = 'pocket'", "1 do not balance"},
	{"more was received than booked", 8, "UPDATE payment_attempts SET received = 300000", "attempt 1: 300000 came in"},
	{"a refund without its money", 8, "INSERT INTO payment_refunds VALUES ($1, 1, 'rf', 1, 5, 'refund_requested', 'open', '', '', 1, 1, 0, 1)", "1 do not balance"},
	{"money without a confirmed order", 8, "UPDATE orders SET status = 'expired' WHERE id = $1", "1 do not balance"},
	{"a document is missing", 10, "DELETE FROM documents WHERE order_id = $2", "1 effects missing"},
	{"an invoice is not printed", 10, "DELETE FROM documents WHERE kind = 'invoice'", "1 effects missing"},
	{"a mail is missing", 10, "DELETE FROM mail_deliveries WHERE message_id LIKE '@1%'", "1 effects missing"},
	{"a mail of an older state", 10, "UPDATE mail_deliveries SET message_id = '@1.order_confirmed.0@x.example' WHERE message_id LIKE '@1%'", "1 effects missing"},
	{"a mail twice", 10, "INSERT INTO mail_deliveries VALUES ('@1.order_confirmed.1@y.example', 'order_confirmed', 'sent', '', 1)", "1 doubled"},
}

func TestAuditFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		for _, p := range planted {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				again := conformance.SQLite
				if d.Driver == store.DriverMySQL {
					again = conformance.MariaDB
				}
				a := newAftermath(t, again(t))
				if broken, text := a.audited(t); broken[7] || broken[8] || broken[10] || len(broken) != 3 {
					t.Fatalf("before:\n%s", text)
				}
				a.d.Exec(t, a.sql(p.fault))
				broken, text := a.audited(t)
				if !broken[p.invariant] || !strings.Contains(text, p.says) {
					t.Errorf("not found, or not %q:\n%s", p.says, text)
				}
			})
		}
	})
}

// What a job is still to bring about is counted and not broken, also if it waits for a person.
func TestAuditKnowsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		a := newAftermath(t, d)
		d.Exec(t, a.sql("DELETE FROM mail_deliveries WHERE message_id LIKE '@1%'"))
		d.Exec(t, a.sql("DELETE FROM documents WHERE order_id = $2"))
		d.Exec(t, a.sql("INSERT INTO outbox (queue, kind, event_id, order_id, version, arg, created_at) VALUES ('mail', 'mail.send', $e, $1, 1, 'order_confirmed', 1)"))
		d.Exec(t, a.sql("INSERT INTO dead_letters (id, queue, kind, event_id, order_id, version, arg, created_at, sends, attempts, died_at) "+
			"VALUES (9001, 'ticket', 'ticket.render', $e, $2, 1, '', 1, 1, 1, 1)"))
		if broken, text := a.audited(t); broken[10] || !strings.Contains(text, "1 jobs are waiting, 1 effects with them; 1 dead letters wait for a person") {
			t.Errorf("on their way:\n%s", text)
		}
		d.Exec(t, "UPDATE dead_letters SET discarded_at = 1, reason = 'printed by hand'")
		if broken, text := a.audited(t); broken[10] || strings.Contains(text, "dead letters") {
			t.Errorf("given up:\n%s", text)
		}
		d.Exec(t, "DELETE FROM outbox")
		d.Exec(t, "DELETE FROM dead_letters")
		if broken, text := a.audited(t); !broken[10] || !strings.Contains(text, "2 effects missing") {
			t.Errorf("forgotten:\n%s", text)
		}
	})
}
