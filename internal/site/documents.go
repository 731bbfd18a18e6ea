package site

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gapura/internal/fault"
	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/registration"
)

// Cashier leads a visitor to where an order is paid.
type Cashier interface {
	// PayAt returns the address of the provider's page for the order, beginning to pay if nobody has.
	PayAt(ctx context.Context, order id.ID) (string, error)
}

// Files are what an order's owner may take along.
type Files interface {
	// File returns one: a not_found fault if there is none of that name, not_ready while it is made.
	File(ctx context.Context, o registration.Order, name string) (fulfil.File, error)
}

// documentLink is a file of an order on its page.
type documentLink struct{ Label, Link string }

// pay sends the browser to the provider's page. It works without script, and a second press leads to the same page.
func (s *Site) pay(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	o, err := s.opened(r, r.PostForm.Get("token"))
	if err != nil {
		return err
	}
	if s.config.Cashier == nil {
		return fault.New(fault.PaymentUnavailable)
	}
	address, err := s.config.Cashier.PayAt(r.Context(), o.ID)
	if fault.CodeOf(err) == fault.WrongState {
		return s.toOrder(w, r, s.words(r), o, nil) // paid or ended meanwhile: its page says so
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, no-store")
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// file hands one of an order's files to whoever has its token.
func (s *Site) file(w http.ResponseWriter, r *http.Request) error {
	if s.config.Files == nil {
		return fault.New(fault.NotFound)
	}
	o, err := s.opened(r, r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	f, err := s.config.Files.File(r.Context(), o, r.PathValue("file"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", f.MediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Length", strconv.Itoa(len(f.Content)))
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(f.Content) // a browser that is gone cannot be told so
	return nil
}

// documents lists the links to an order's files.
func (s *Site) documents(say words, o registration.Order) []documentLink {
	if s.config.Files == nil {
		return nil
	}
	var links []documentLink
	for _, name := range fulfil.FilesOf(o.Status, o.Total == 0) {
		path := "/orders/" + o.ID.String() + "/" + name
		links = append(links, documentLink{say.T("order.file." + name), s.link(say.lang, path, url.Values{"token": {s.config.Desk.Token(o.ID)}})})
	}
	return links
}

// payPath is where an unpaid order's form leads to; nowhere if nothing can be paid here.
func (s *Site) payPath(say words, o registration.Order) string {
	if o.Status != registration.AwaitingPayment || s.config.Cashier == nil {
		return ""
	}
	return s.link(say.lang, "/orders/"+o.ID.String()+"/pay", nil)
}

// paymentPolicy is the policy of a page whose form leads to the provider: browsers hold the redirect that answers a form
// to form-action too.
func (s *Site) paymentPolicy() string {
	return strings.Replace(contentSecurityPolicy, "form-action 'self'", "form-action 'self' "+strings.Join(s.config.PaymentHosts, " "), 1)
}
