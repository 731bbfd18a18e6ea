package fulfil

import (
	"context"
	"errors"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

// The names under which the files of an order are asked for.
const (
	TicketsFile  = "tickets.pdf"
	InvoiceFile  = "invoice.pdf"
	CalendarFile = "calendar.ics"
)

// File is what a browser gets.
type File struct {
	Name      string // under which it is saved
	MediaType string
	Content   []byte
}

// FilesOf lists what an order in its present state has, or will have as soon as it is rendered.
func FilesOf(status registration.Status, free bool) []string {
	switch {
	case status != registration.Confirmed:
		return nil
	case free:
		return []string{TicketsFile, CalendarFile}
	}
	return []string{TicketsFile, InvoiceFile, CalendarFile}
}

// RenderedIn is how long a client waits for a document: rendering begins within a second and takes a millisecond, but at an opening
// there are thousands before it.
const RenderedIn = 3 * time.Second

// File returns a file of an order: a not_found fault if there is none of that name, not_ready while it is rendered. An
// invoice stays when its order is refunded; a ticket that is void cannot be fetched any more.
func (s *Service) File(ctx context.Context, o registration.Order, name string) (File, error) {
	live := o.Status == registration.Confirmed
	switch {
	case name == TicketsFile && live:
		return s.rendered(ctx, o, TicketsPDF, true)
	case name == InvoiceFile && o.Total > 0:
		return s.rendered(ctx, o, InvoicePDF, live)
	case name == CalendarFile && live:
		e, err := s.Store.EventByID(ctx, o.EventID)
		if err != nil {
			return File{}, err
		}
		return File{Name: o.Number + ".ics", MediaType: "text/calendar; charset=utf-8", Content: s.Calendar(o, e)}, nil
	}
	return File{}, fault.New(fault.NotFound)
}

// rendered reads a document; one of an earlier state of the order shows tickets that are void.
func (s *Service) rendered(ctx context.Context, o registration.Order, kind DocumentKind, expected bool) (File, error) {
	d, err := s.Store.Document(ctx, o.ID, kind)
	missing := errors.Is(err, ErrNoDocument)
	if err != nil && !missing {
		return File{}, err
	}
	if !missing && (d.Version >= o.Version || kind == InvoicePDF) {
		return File{Name: d.Name, MediaType: "application/pdf", Content: d.Content}, nil
	}
	if !expected {
		return File{}, fault.New(fault.NotFound)
	}
	return File{}, fault.New(fault.NotReady).After(RenderedIn)
}
