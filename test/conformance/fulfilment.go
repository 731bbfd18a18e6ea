package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/notify"
	"gapura/internal/payment"
	"gapura/internal/registration"
	"gapura/internal/store"
)

// Fulfilment holds a database to what follows an order: tickets, invoices, documents and mails.
func Fulfilment(t *testing.T, fresh func(t *testing.T) *Database) {
	tests := []struct {
		name string
		run  func(t *testing.T, w *works)
	}{
		{"what follows is planned once", fulfilPlans},
		{"many orders at a time", fulfilMany},
		{"two jobs about one order", fulfilNewest},
		{"two workers with one job", fulfilRace},
		{"a plan is all or nothing", fulfilRollback},
		{"new jobs are followed where they lie", fulfilNew},
		{"several take the new jobs", fulfilNewRace},
		{"tickets that are void and issued again", fulfilVoid},
		{"invoice numbers have no gap", fulfilNumbers},
		{"every seller and year counts from one", fulfilBooks},
		{"a document is kept once, the newest", fulfilDocuments},
		{"how an order was paid", fulfilReceipt},
		{"a message ends once", fulfilMails},
		{"addresses that bounced", fulfilSuppressed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := fresh(t)
			s, eventID := opened(t, d)
			test.run(t, &works{Store: s, database: d, eventID: eventID})
		})
	}
}

// works is a store with an event whose orders are followed.
type works struct {
	*store.Store
	database *Database
	eventID  int64
}

// confirmed writes free orders 1 to n, which are confirmed at once, and returns them by number with the jobs that plan what
// follows.
func (w *works) confirmed(t *testing.T, n int) ([]registration.Order, []jobs.Job) {
	t.Helper()
	written := make([]registration.NewOrder, n)
	orders := make([]registration.Order, n)
	for i := range n {
		written[i] = NewOrder(w.eventID, i+1, Free)
		orders[i] = *written[i].Order
	}
	must(t, Write(t, w.Store, w.eventID, written...))
	all := w.jobs(t, jobs.OrderPlaced)
	if len(all) != n {
		t.Fatalf("%d jobs for %d orders", len(all), n)
	}
	planned := make([]jobs.Job, n)
	for i, o := range orders {
		planned[i] = all[slices.IndexFunc(all, func(j jobs.Job) bool { return j.Order == o.ID })]
	}
	return orders, planned
}

// jobs claims every job of a kind.
func (w *works) jobs(t *testing.T, kind jobs.Kind) []jobs.Job {
	t.Helper()
	claims, err := w.ClaimJobs(t.Context(), kind.Queue(), Opening.AddDate(1, 0, 0), Opening.AddDate(1, 0, 1), jobs.Want{Send: 10_000})
	must(t, err)
	var all []jobs.Job
	for _, s := range claims.Send {
		if s.Kind == kind {
			all = append(all, s.Job)
		}
	}
	return all
}

func (w *works) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	return w.database.Number(t, query, args...)
}

// follow plans with the rules of the product.
func (w *works) follow(t *testing.T, batch ...jobs.Job) error {
	t.Helper()
	return w.Follow(t.Context(), Opening, batch, func(f fulfil.Follow) fulfil.Plan { return fulfil.Decide(Opening, f) })
}

func fulfilPlans(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 1)
	for range 2 { // a worker that died after the commit has it done again
		must(t, w.follow(t, planned...))
	}
	tickets, err := w.Tickets(t.Context(), orders[0].ID)
	want := []fulfil.Ticket{{Order: orders[0].ID, Position: 1, EventID: w.eventID, Serial: 1, IssuedAt: Opening}}
	if diff := gocmp.Diff(want, tickets); diff != "" || err != nil {
		t.Errorf("tickets: %v (-want +got):\n%s", err, diff)
	}
	if n := w.count(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'order.placed'"); n != 0 {
		t.Errorf("%d planning jobs are left", n)
	}
	for _, kind := range []jobs.Kind{jobs.TicketRender, jobs.MailSend} {
		n := w.count(t, "SELECT COUNT(*) FROM outbox WHERE kind = ? AND order_id = ? AND version = 1", string(kind), orders[0].ID)
		if n != 1 {
			t.Errorf("%d jobs of kind %s", n, kind)
		}
	}
	if n := w.count(t, "SELECT COUNT(*) FROM outbox"); n != 2 {
		t.Errorf("%d jobs in all", n)
	}
	must(t, w.follow(t))
	if tickets, err := w.Tickets(t.Context(), id.New()); err != nil || len(tickets) != 0 {
		t.Errorf("tickets of no order: %v, %v", tickets, err)
	}
}

func fulfilMany(t *testing.T, w *works) {
	_, planned := w.confirmed(t, 700) // more than one statement takes
	slices.Reverse(planned)
	must(t, w.follow(t, planned...))
	if n := w.count(t, "SELECT COUNT(*) FROM tickets"); n != 700 {
		t.Errorf("%d tickets", n)
	}
	if n := w.count(t, "SELECT COUNT(*) FROM outbox"); n != 1400 {
		t.Errorf("%d jobs", n)
	}
}

func fulfilNewest(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 1)
	newer := planned[0]
	w.database.Exec(t, "INSERT INTO outbox (queue, kind, event_id, order_id, version, created_at) VALUES ('plan', 'order.changed', ?, ?, 2, 0)",
		w.eventID, orders[0].ID)
	newer.ID = int64(w.count(t, "SELECT MAX(id) FROM outbox"))
	newer.Kind, newer.Version = jobs.OrderChanged, 2
	var asked []int
	must(t, w.Follow(t.Context(), Opening, []jobs.Job{newer, planned[0]}, func(f fulfil.Follow) fulfil.Plan {
		asked = append(asked, f.Job.Version)
		return fulfil.Plan{}
	}))
	if !slices.Equal(asked, []int{2}) {
		t.Errorf("planned for versions %v", asked)
	}
	if n := w.count(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

func fulfilRace(t *testing.T, w *works) {
	_, planned := w.confirmed(t, 20)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := w.follow(t, planned...); err != nil {
				t.Errorf("follow: %v", err)
			}
		})
	}
	wg.Wait()
	if tickets, left := w.count(t, "SELECT COUNT(*) FROM tickets"), w.count(t, "SELECT COUNT(*) FROM outbox"); tickets != 20 || left != 40 {
		t.Errorf("%d tickets, %d jobs", tickets, left)
	}
}

func fulfilRollback(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 2)
	err := w.Follow(t.Context(), Opening, planned, func(f fulfil.Follow) fulfil.Plan {
		p := fulfil.Decide(Opening, f)
		p.Issue = append(p.Issue, fulfil.Ticket{Order: orders[0].ID, Position: 1, EventID: w.eventID, Serial: 1, IssuedAt: Opening}) // for the second time
		return p
	})
	if err == nil {
		t.Error("one participant has two tickets")
	}
	if tickets, left := w.count(t, "SELECT COUNT(*) FROM tickets"), w.count(t, "SELECT COUNT(*) FROM outbox"); tickets != 0 || left != 2 {
		t.Errorf("%d tickets, %d jobs", tickets, left)
	}
	must(t, w.follow(t, planned...))
}

// unclaim makes planning jobs new again.
func (w *works) unclaim(t *testing.T, planned []jobs.Job) {
	t.Helper()
	for _, j := range planned {
		w.database.Exec(t, "UPDATE outbox SET next_at = 0, leased = 0, sends = 0 WHERE id = ?", j.ID)
	}
}

// followNew plans at most n new jobs with the rules of the product, and returns the numbers of their rows.
func (w *works) followNew(t *testing.T, n int) []int64 {
	t.Helper()
	done, err := w.FollowNew(t.Context(), Opening, n, func(f fulfil.Follow) fulfil.Plan { return fulfil.Decide(Opening, f) })
	if err != nil {
		t.Errorf("follow new jobs: %v", err)
	}
	ids := make([]int64, len(done))
	for i, j := range done {
		ids[i] = j.ID
	}
	return ids
}

func fulfilNew(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 30)
	slices.SortFunc(planned, func(a, b jobs.Job) int { return cmp.Compare(a.ID, b.ID) })
	w.unclaim(t, planned[:20]) // the other ten are a worker's
	_, err := w.FollowNew(t.Context(), Opening, 15, func(f fulfil.Follow) fulfil.Plan {
		p := fulfil.Decide(Opening, f)
		p.Issue = append(p.Issue, p.Issue...)
		return p
	})
	if tickets := w.count(t, "SELECT COUNT(*) FROM tickets"); err == nil || tickets != 0 {
		t.Errorf("a participant with two tickets: %v, %d are written", err, tickets)
	}
	for _, want := range [][]jobs.Job{planned[:15], planned[15:20], nil} {
		ids := make([]int64, len(want))
		for i, j := range want {
			ids[i] = j.ID
		}
		if got := w.followNew(t, 15); !slices.Equal(got, ids) {
			t.Errorf("followed %v, want %v", got, ids)
		}
	}
	if tickets, left := w.count(t, "SELECT COUNT(*) FROM tickets"), w.count(t, "SELECT COUNT(*) FROM outbox"); tickets != 20 || left != 50 {
		t.Errorf("%d tickets, %d jobs of %d orders", tickets, left, len(orders))
	}
}

func fulfilNewRace(t *testing.T, w *works) {
	_, planned := w.confirmed(t, 200)
	w.unclaim(t, planned)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for len(w.followNew(t, 17)) > 0 {
			}
		})
	}
	wg.Wait()
	if tickets, left := w.count(t, "SELECT COUNT(*) FROM tickets"), w.count(t, "SELECT COUNT(*) FROM outbox"); tickets != 200 || left != 400 {
		t.Errorf("%d tickets, %d jobs", tickets, left)
	}
}

func fulfilVoid(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 3)
	must(t, w.follow(t, planned...))
	change := func(n int, decide func(fulfil.Follow) fulfil.Plan) {
		t.Helper()
		w.database.Exec(t, "INSERT INTO outbox (queue, kind, event_id, order_id, version, created_at) VALUES ('plan', 'order.changed', ?, ?, 2, 0)",
			w.eventID, orders[n].ID)
		j := jobs.Job{ID: int64(w.count(t, "SELECT MAX(id) FROM outbox")), Kind: jobs.OrderChanged, Order: orders[n].ID, Version: 2}
		must(t, w.Follow(t.Context(), Opening.Add(time.Hour), []jobs.Job{j}, decide))
	}
	void := func(fulfil.Follow) fulfil.Plan { return fulfil.Plan{Void: true} }
	change(0, void)
	change(1, void)
	change(1, func(f fulfil.Follow) fulfil.Plan { return fulfil.Decide(Opening.Add(time.Hour), f) }) // confirmed again
	got, err := w.VoidTickets(t.Context(), w.eventID)
	slices.SortFunc(got, func(a, b fulfil.Voided) int { return strings.Compare(a.Order.String(), b.Order.String()) })
	want := []fulfil.Voided{{Order: orders[0].ID, Position: 1, Serial: 1}, {Order: orders[1].ID, Position: 1, Serial: 1}}
	slices.SortFunc(want, func(a, b fulfil.Voided) int { return strings.Compare(a.Order.String(), b.Order.String()) })
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("void: %v (-want +got):\n%s", err, diff)
	}
	again, err := w.Tickets(t.Context(), orders[1].ID)
	if err != nil || len(again) != 1 || again[0].Serial != 2 || again[0].Void || !again[0].IssuedAt.Equal(Opening.Add(time.Hour)) {
		t.Errorf("issued again: %+v, %v", again, err)
	}
	if got, err := w.VoidTickets(t.Context(), w.eventID+1); err != nil || len(got) != 0 {
		t.Errorf("of another event: %v, %v", got, err)
	}
}

// numbers asks for numbers in one seller's year.
func numbers(organiser string, year int, orders ...registration.Order) []fulfil.InvoiceNumber {
	all := make([]fulfil.InvoiceNumber, len(orders))
	for i, o := range orders {
		all[i] = fulfil.InvoiceNumber{Order: o.ID, Organiser: organiser, Year: year, IssuedAt: Opening}
	}
	return all
}

func fulfilNumbers(t *testing.T, w *works) {
	orders, _ := w.confirmed(t, 120)
	var wg sync.WaitGroup
	var mu sync.Mutex
	given := map[id.ID]int{}
	for n := range 12 { // every order is asked for twice, by different workers
		wg.Go(func() {
			from := (n * 10) % 110
			got, err := w.NumberInvoices(t.Context(), numbers("Yayasan Lari", 2026, orders[from:from+20]...))
			if err != nil {
				t.Errorf("numbers: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, in := range got {
				if known, ok := given[in.Order]; ok && known != in.Number {
					t.Errorf("an order has the numbers %d and %d", known, in.Number)
				}
				given[in.Order] = in.Number
			}
		})
	}
	wg.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.NumberInvoices(ended, numbers("Yayasan Lari", 2026, orders[119])); err == nil {
		t.Error("a number was given without a transaction")
	}
	used := make([]bool, len(given)+1)
	for _, n := range given {
		if n < 1 || n > len(given) || used[n] {
			t.Fatalf("%d orders have the numbers %v", len(given), given)
		}
		used[n] = true
	}
	if last := w.count(t, "SELECT last FROM invoice_numbers"); last != len(given) {
		t.Errorf("the last is %d of %d", last, len(given))
	}
	got, err := w.NumberInvoices(t.Context(), numbers("Yayasan Lari", 2026, orders[119], orders[119])) // twice in one batch too
	if err != nil || got[0].Number != got[1].Number {
		t.Errorf("%+v, %v", got, err)
	}
}

func fulfilBooks(t *testing.T, w *works) {
	orders, _ := w.confirmed(t, 8)
	batch := slices.Concat(numbers("Yayasan", 2026, orders[0], orders[1]), numbers("yayasan", 2026, orders[2]), numbers("Yayasan", 2027, orders[3]),
		numbers("", 2026, orders[4]), numbers("ヤヤサン", 2026, orders[5]))
	got, err := w.NumberInvoices(t.Context(), batch)
	must(t, err)
	var given []string
	for _, in := range got {
		given = append(given, fmt.Sprintf("%s %d/%d", in.Organiser, in.Year, in.Number))
	}
	want := []string{"Yayasan 2026/1", "Yayasan 2026/2", "yayasan 2026/1", "Yayasan 2027/1", " 2026/1", "ヤヤサン 2026/1"}
	if diff := gocmp.Diff(want, given); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
	// An invoice keeps its number when the order is asked for in another year.
	kept, err := w.NumberInvoices(t.Context(), numbers("Yayasan", 2027, orders[0], orders[6]))
	must(t, err)
	if kept[0] != got[0] || kept[1].Number != 2 || kept[0].String() != "INV/2026/000001" {
		t.Errorf("kept %+v, next %+v", kept[0], kept[1])
	}
}

func fulfilDocuments(t *testing.T, w *works) {
	orders, planned := w.confirmed(t, 2)
	if _, err := w.Document(t.Context(), orders[0].ID, fulfil.TicketsPDF); !errors.Is(err, fulfil.ErrNoDocument) {
		t.Errorf("no document: %v", err)
	}
	binary := make([]byte, 300_000)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	keep := func(version int, content []byte, job jobs.Job) fulfil.Document {
		d := fulfil.Document{Order: orders[0].ID, Kind: fulfil.TicketsPDF, Version: version, Name: fmt.Sprintf("tiket-%d.pdf", version), Content: content}
		must(t, w.KeepDocuments(t.Context(), []fulfil.Kept{{Document: d, Job: job}}))
		return d
	}
	keep(1, []byte("first"), planned[0])
	keep(1, []byte("the same again"), jobs.Job{})
	newest := keep(3, binary, jobs.Job{})
	keep(2, []byte("rendered late"), planned[1])
	got, err := w.Document(t.Context(), orders[0].ID, fulfil.TicketsPDF)
	if diff := gocmp.Diff(newest, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%.300s", err, diff)
	}
	if n := w.count(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
	if _, err := w.Document(t.Context(), orders[0].ID, fulfil.InvoicePDF); !errors.Is(err, fulfil.ErrNoDocument) {
		t.Errorf("another kind: %v", err)
	}
	var wg sync.WaitGroup
	for n := range 6 { // two workers that render the first document of an order at the same moment
		wg.Go(func() {
			d := fulfil.Document{Order: orders[1].ID, Kind: fulfil.InvoicePDF, Version: n, Name: "f.pdf", Content: binary}
			err := w.KeepDocuments(t.Context(), []fulfil.Kept{{Document: d}})
			if err != nil {
				t.Errorf("keep: %v", err)
			}
		})
	}
	wg.Wait()
	if n := w.count(t, "SELECT COUNT(*) FROM documents"); n != 2 {
		t.Errorf("%d documents", n)
	}
	many := func(kind fulfil.DocumentKind, version int, content string) fulfil.Kept {
		return fulfil.Kept{Document: fulfil.Document{Order: orders[1].ID, Kind: kind, Version: version, Name: "n.pdf", Content: []byte(content)}}
	}
	must(t, w.KeepDocuments(t.Context(), []fulfil.Kept{
		many(fulfil.TicketsPDF, 1, "older"), many(fulfil.InvoicePDF, 9, "invoice"), many(fulfil.TicketsPDF, 2, "it's \\ \x00 newer"), many(fulfil.TicketsPDF, 1, "late"),
	}))
	for kind, content := range map[fulfil.DocumentKind]string{fulfil.TicketsPDF: "it's \\ \x00 newer", fulfil.InvoicePDF: "invoice"} {
		if got, err := w.Document(t.Context(), orders[1].ID, kind); err != nil || string(got.Content) != content {
			t.Errorf("%s of many: %q, %v", kind, got.Content, err)
		}
	}
}

func fulfilReceipt(t *testing.T, w *works) {
	orders, _ := w.confirmed(t, 2)
	o := orders[0]
	if got, err := w.Receipt(t.Context(), o.ID); err != nil || got != (fulfil.Receipt{}) {
		t.Errorf("nobody paid: %+v, %v", got, err)
	}
	attempts := []payment.Attempt{
		attempt(o, 1, payment.AttemptReversed), attempt(o, 2, payment.AttemptPaid), attempt(o, 3, payment.AttemptPaid), bare(o, 4),
	}
	attempts[0].Reversed = attempts[0].Received
	attempts[1].Channel.Type = "gopay"
	for i := range attempts {
		plant(t, w.database, o.ID, attempts[i])
	}
	want := fulfil.Receipt{
		Method: "gopay", Reference: attempts[1].TransactionID, PaidAt: attempts[1].PaidAt, Refunded: 3 * money.Rupiah(2+3),
	}
	got, err := w.Receipt(t.Context(), o.ID)
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// plant writes an attempt beside the store.
func plant(t *testing.T, d *Database, order id.ID, a payment.Attempt) {
	t.Helper()
	var paid any
	if !a.PaidAt.IsZero() {
		paid = a.PaidAt.UnixMilli()
	}
	d.Exec(t, "INSERT INTO payment_attempts (order_id, n, provider_id, amount, state, token, redirect_url, started_at, expires_at, provider, "+
		"transaction_id, channel, on_us, paid_at, received, reversed, refunded, by_hand, charged_back, asks) "+
		"VALUES (?, ?, ?, ?, ?, '', '', ?, ?, '', ?, ?, 0, ?, ?, ?, ?, ?, ?, 0)",
		order, a.N, a.ProviderID, int64(a.Amount), string(a.State), a.StartedAt.UnixMilli(), a.ExpiresAt.UnixMilli(), a.TransactionID,
		a.Channel.Type, paid, int64(a.Received), int64(a.Reversed), int64(a.Refunded), int64(a.ByHand), int64(a.ChargedBack))
}

func fulfilMails(t *testing.T, w *works) {
	d := notify.Delivery{
		MessageID: "0198.order_confirmed.2@x.example", Kind: notify.OrderConfirmed, Outcome: notify.Sent, Detail: strings.Repeat("字", 500), At: Opening,
	}
	for range 2 {
		must(t, w.Record(t.Context(), d))
	}
	other := d
	other.Outcome = notify.Bounce
	must(t, w.Record(t.Context(), other)) // the first end counts
	for messageID, want := range map[string]bool{
		d.MessageID: true, strings.ToUpper(d.MessageID): false, "0198.order_confirmed.3@x.example": false,
	} {
		if got, err := w.Ended(t.Context(), messageID); err != nil || got != want {
			t.Errorf("%q has ended: %t, %v", messageID, got, err)
		}
	}
	if n := w.count(t, "SELECT COUNT(*) FROM mail_deliveries WHERE outcome = 'sent'"); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

func fulfilSuppressed(t *testing.T, w *works) {
	for range 2 {
		must(t, w.Suppress(t.Context(), "siti@example.id", "550 5.1.1 at RCPT"))
	}
	for email, want := range map[string]bool{"siti@example.id": true, "Siti@example.id": false, "budi@example.id": false} {
		if got, err := w.Suppressed(t.Context(), email); err != nil || got != want {
			t.Errorf("%q is suppressed: %t, %v", email, got, err)
		}
	}
}
