package site

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gapura/internal/fault"
	"gapura/internal/id"
)

// Mailings stops mass mailings.
type Mailings interface {
	// OptOut ends mailings about an event to a participant: a no_such_order fault if key does not fit.
	OptOut(ctx context.Context, order id.ID, position int, key string) error
}

// unsubscribeView is the page that asks, and the one that says it is done.
type unsubscribeView struct {
	Done   bool
	Action string
}

// unsubscribe asks before it does anything: programs that check a mail's links open them.
func (s *Site) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	return s.showUnsubscribe(w, r, false)
}

// stopMailings does it, for the button of the page and for a mail program's own (RFC 8058, which sends no page's form).
func (s *Site) stopMailings(w http.ResponseWriter, r *http.Request) error {
	order, err := id.Parse(r.PathValue("id"))
	position, positionErr := strconv.Atoi(r.PathValue("position"))
	if err != nil || positionErr != nil || s.config.Mailings == nil {
		return fault.New(fault.NotFound)
	}
	if err := s.config.Mailings.OptOut(r.Context(), order, position, r.URL.Query().Get("key")); err != nil {
		return err
	}
	return s.showUnsubscribe(w, r, true)
}

func (s *Site) showUnsubscribe(w http.ResponseWriter, r *http.Request, done bool) error {
	say := s.words(r)
	query := url.Values{"key": {r.URL.Query().Get("key")}}
	path := "/unsubscribe/" + r.PathValue("id") + "/" + r.PathValue("position")
	v := s.view(say, "unsubscribe", path, query)
	v.Title, v.NoIndex, v.NoScript = say.T("unsubscribe.title"), true, true
	v.Body = unsubscribeView{Done: done, Action: s.link(say.lang, path, query)}
	w.Header().Set("Referrer-Policy", "strict-origin")
	return s.send(w, http.StatusOK, v)
}
