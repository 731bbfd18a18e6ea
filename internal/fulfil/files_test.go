package fulfil

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
)

var noon = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)

// shelf is a Store of which only documents are read.
type shelf struct {
	Store
	documents map[DocumentKind]Document
	err       error
}

func (s *shelf) Document(_ context.Context, _ id.ID, kind DocumentKind) (Document, error) {
	if s.err != nil {
		return Document{}, s.err
	}
	d, ok := s.documents[kind]
	if !ok {
		return d, ErrNoDocument
	}
	return d, nil
}

func (s *shelf) EventByID(context.Context, int64) (*event.Event, error) {
	return &event.Event{Name: event.Text{ID: "Lari Malam", EN: "Night Run"}, StartsAt: noon, Venue: event.Venue{Name: "Gasibu", City: "Bandung"}}, s.err
}

func inState(status registration.Status) registration.Order {
	return registration.Order{ID: id.New(), Number: "GNR27-000123", Status: status, Version: 3, Total: 150_000, Locale: "id", CreatedAt: noon}
}

func TestFilesOf(t *testing.T) {
	t.Parallel()
	for status, want := range map[registration.Status]string{
		registration.Confirmed: "tickets.pdf invoice.pdf calendar.ics", registration.AwaitingPayment: "", registration.Refunded: "",
	} {
		if got := strings.Join(FilesOf(status, false), " "); got != want {
			t.Errorf("%s: %s, want %s", status, got, want)
		}
	}
	if got := strings.Join(FilesOf(registration.Confirmed, true), " "); got != "tickets.pdf calendar.ics" {
		t.Errorf("free: %s", got)
	}
}

// What an order has in each of its states, with documents that were rendered for its version 2 and 3.
func TestFile(t *testing.T) {
	t.Parallel()
	const ready, missing, soon = fault.Code(""), fault.NotFound, fault.NotReady
	tests := map[string]struct {
		status  registration.Status
		total   int
		version int // of the documents; 0: there are none
		want    map[string]fault.Code
	}{
		"confirmed":                       {registration.Confirmed, 150_000, 3, map[string]fault.Code{TicketsFile: ready, InvoiceFile: ready, CalendarFile: ready}},
		"confirmed, not rendered yet":     {registration.Confirmed, 150_000, 0, map[string]fault.Code{TicketsFile: soon, InvoiceFile: soon, CalendarFile: ready}},
		"confirmed again after a refund":  {registration.Confirmed, 150_000, 2, map[string]fault.Code{TicketsFile: soon, InvoiceFile: ready, CalendarFile: ready}},
		"free":                            {registration.Confirmed, 0, 3, map[string]fault.Code{TicketsFile: ready, InvoiceFile: missing, CalendarFile: ready}},
		"not paid":                        {registration.AwaitingPayment, 150_000, 0, map[string]fault.Code{TicketsFile: missing, InvoiceFile: missing, CalendarFile: missing}},
		"refunded: the invoice stays":     {registration.Refunded, 150_000, 2, map[string]fault.Code{TicketsFile: missing, InvoiceFile: ready, CalendarFile: missing}},
		"refunded before it was rendered": {registration.Refunded, 150_000, 0, map[string]fault.Code{TicketsFile: missing, InvoiceFile: missing, CalendarFile: missing}},
	}
	for name, test := range tests {
		o := inState(test.status)
		if test.total == 0 {
			o.Total = 0
		}
		s := &shelf{documents: map[DocumentKind]Document{}}
		if test.version > 0 {
			for _, kind := range []DocumentKind{TicketsPDF, InvoicePDF} {
				s.documents[kind] = Document{Version: test.version, Name: string(kind) + ".pdf", Content: []byte("%PDF")}
			}
		}
		service := testService(s)
		for file, want := range test.want {
			f, err := service.File(t.Context(), o, file)
			if got := fault.CodeOf(err); got != want || (want == ready) != (len(f.Content) > 0 && f.Name != "" && f.MediaType != "") {
				t.Errorf("%s, %s: %q %+v, want %q", name, file, got, f, want)
			}
		}
		if _, err := service.File(t.Context(), o, "../../etc/passwd"); fault.CodeOf(err) != missing {
			t.Errorf("%s, another name: %v", name, err)
		}
	}
}

func testService(s Store) *Service {
	return &Service{Store: s, Links: Links{BaseURL: func() string { return "https://run.example" }, Token: func(id.ID) string { return "abc" }}}
}

func TestFileSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	_, err := testService(&shelf{}).File(t.Context(), inState(registration.Confirmed), TicketsFile)
	var f *fault.Fault
	if !errors.As(err, &f) || f.RetryAfter != RenderedIn {
		t.Errorf("%v", err)
	}
	away := errors.New("database away")
	for _, file := range []string{TicketsFile, InvoiceFile, CalendarFile} {
		if _, err := testService(&shelf{err: away}).File(t.Context(), inState(registration.Confirmed), file); !errors.Is(err, away) {
			t.Errorf("%s without a database: %v", file, err)
		}
	}
}

func TestTheCalendarLeadsToTheOrder(t *testing.T) {
	t.Parallel()
	o := inState(registration.Confirmed)
	f, err := testService(&shelf{}).File(t.Context(), o, CalendarFile)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(f.Content), "\r\n ", "")
	for _, want := range []string{"BEGIN:VCALENDAR", "UID:" + o.ID.String() + "@gapura", "SEQUENCE:3", "https://run.example/orders/" + o.ID.String() + "?token=abc", "Lari Malam"} {
		if !strings.Contains(text, want) {
			t.Errorf("the calendar does not say %q:\n%s", want, text)
		}
	}
	if f.Name != "GNR27-000123.ics" {
		t.Errorf("saved as %s", f.Name)
	}
}
