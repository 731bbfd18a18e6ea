package audit

import (
	"context"
	"strings"
	"testing"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

// books are an event's effects in memory: one paid order of two people with everything it should have.
type books struct {
	accounts []Account
	cases    []payment.Case
	years    []Book
	orphans  int
	waiting  []Waiting
	mails    []string
}

func (b *books) Accounts(_ context.Context, each func(Account) error) error {
	for _, a := range b.accounts {
		if err := each(a); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Cases(_ context.Context, each func(payment.Case) error) error {
	for _, c := range b.cases {
		if err := each(c); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Books(context.Context) ([]Book, error) { return b.years, nil }
func (b *books) Orphans(context.Context) (int, error)  { return b.orphans, nil }
func (b *books) Waiting(_ context.Context, each func(Waiting)) error {
	for _, w := range b.waiting {
		each(w)
	}
	return nil
}

func (b *books) Mails(_ context.Context, each func(string)) error {
	for _, m := range b.mails {
		each(m)
	}
	return nil
}

const theOrder = "0198f1c2-7a4b-7cde-8f01-23456789abcd"

func inOrder(t *testing.T) *books {
	t.Helper()
	order, err := id.Parse(theOrder)
	if err != nil {
		t.Fatal(err)
	}
	o := registration.Order{ID: order, Number: "GNR27-000001", Status: registration.Confirmed, Version: 2, Total: 400_000}
	return &books{
		accounts: []Account{{Order: o, People: 2, Tickets: 2, Invoices: 1, Documents: []string{"tickets", "invoice"}}},
		cases: []payment.Case{{
			Order:    o,
			Attempts: []payment.Attempt{{N: 1, Amount: 400_000, Received: 400_000, State: payment.AttemptPaid}},
			Entries:  []payment.Entry{{N: 1, Attempt: 1, From: payment.AccountIn, To: payment.AccountPaid, Amount: 400_000}},
		}},
		years: []Book{{Organiser: "Yayasan", Year: 2026, Last: 1, Count: 1, First: 1, Latest: 1}},
		mails: []string{theOrder + ".order_received.1@x.example", theOrder + ".order_confirmed.2@x.example", "broadcast.7.aabb@x.example"},
	}
}

func followed(t *testing.T, b *books) map[int]Finding {
	t.Helper()
	findings, err := Followed(t.Context(), "night-run", b)
	if err != nil {
		t.Fatal(err)
	}
	byNumber := map[int]Finding{}
	for _, f := range findings {
		byNumber[f.Invariant] = f
	}
	return byNumber
}

// Every fault that is planted is found by the invariant it breaks, and by no other.
func TestPlantedFaultsOfWhatFollows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken int // 0: none
		plant  func(b *books)
	}{
		"all in order":                    {0, func(*books) {}},
		"a ticket is missing":             {7, func(b *books) { b.accounts[0].Tickets = 1 }},
		"a ticket too many":               {7, func(b *books) { b.accounts[0].Tickets = 3 }},
		"a ticket of no participant":      {7, func(b *books) { b.accounts[0].Tickets, b.accounts[0].Stray = 2, 1 }},
		"a ticket of no order":            {7, func(b *books) { b.orphans = 1 }},
		"no invoice":                      {7, func(b *books) { b.accounts[0].Invoices, b.accounts[0].Documents = 0, []string{"tickets"} }},
		"two invoices":                    {7, func(b *books) { b.accounts[0].Invoices = 2 }},
		"a gap between the numbers":       {7, func(b *books) { b.years[0].Last, b.years[0].Latest = 2, 2 }},
		"numbers that begin at two":       {7, func(b *books) { b.years[0].First, b.years[0].Latest, b.years[0].Last = 2, 2, 1 }},
		"an invoice for a free order":     {7, func(b *books) { b.accounts[0].Order.Total = 0 }},
		"a ledger that differs":           {8, func(b *books) { b.cases[0].Entries[0].Amount = 399_999 }},
		"a refund that nobody booked":     {8, func(b *books) { b.cases[0].Attempts[0].Refunded = 1 }},
		"no rendered ticket":              {10, func(b *books) { b.accounts[0].Documents = []string{"invoice"} }},
		"no rendered invoice":             {10, func(b *books) { b.accounts[0].Documents = []string{"tickets"} }},
		"no mail":                         {10, func(b *books) { b.mails = b.mails[:1] }},
		"a mail of another state":         {10, func(b *books) { b.mails[1] = theOrder + ".order_confirmed.1@x.example" }},
		"two mails of one state":          {10, func(b *books) { b.mails = append(b.mails, theOrder+".order_confirmed.2@y.example") }},
		"the wrong job waits for a mail":  {10, func(b *books) { b.mails = b.mails[:1]; b.wait(jobs.MailSend, "order_received") }},
		"the wrong job waits for tickets": {7, func(b *books) { b.accounts[0].Tickets = 0; b.wait(jobs.InvoiceRender, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := inOrder(t)
			c.plant(b)
			for number, f := range followed(t, b) {
				if f.Broken != (number == c.broken) {
					t.Errorf("invariant %d: broken %v: %s", number, f.Broken, f.Text)
				}
			}
		})
	}
}

func (b *books) wait(kind jobs.Kind, arg string) {
	b.waiting = append(b.waiting, Waiting{Kind: kind, Order: b.accounts[0].Order.ID, Arg: arg})
}

// A queue that has not drained is no broken invariant, and neither is a dead letter: both are counted.
func TestWhatStillWaitsIsNotBroken(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(b *books){
		"nothing is planned yet": func(b *books) {
			b.accounts[0].Tickets, b.accounts[0].Invoices, b.accounts[0].Documents, b.mails = 0, 0, nil, nil
			b.wait(jobs.OrderChanged, "")
		},
		"nothing is rendered yet": func(b *books) {
			b.accounts[0].Invoices, b.accounts[0].Documents = 0, nil
			b.wait(jobs.TicketRender, "")
			b.wait(jobs.InvoiceRender, "")
		},
		"the mail is on its way": func(b *books) {
			b.mails = b.mails[:1]
			b.wait(jobs.MailSend, "order_confirmed")
		},
		"an old ticket is still to be voided": func(b *books) {
			b.accounts[0].Order.Status, b.accounts[0].Order.Version = registration.Refunding, 3
			b.wait(jobs.OrderChanged, "")
		},
	} {
		for _, dead := range []bool{false, true} {
			b := inOrder(t)
			plant(b)
			want := "jobs are waiting"
			if dead {
				want = "dead letters wait for a person"
				for i := range b.waiting {
					b.waiting[i].Dead = true
				}
			}
			found := followed(t, b)
			for _, number := range []int{7, 10} {
				if found[number].Broken {
					t.Errorf("%s, dead %v: invariant %d: %s", name, dead, number, found[number].Text)
				}
			}
			if !strings.Contains(found[10].Text, want) {
				t.Errorf("%s, dead %v: %s", name, dead, found[10].Text)
			}
		}
	}
}
