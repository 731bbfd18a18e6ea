package standin

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// local lets only this machine in, and nothing that a proxy passed on: the controls turn every payment around.
func (s *Server) local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		ip := net.ParseIP(host)
		proxied := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != ""
		if err != nil || ip == nil || !ip.IsLoopback() || proxied {
			http.Error(w, "only from this machine", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// control serves the control page and its API:
//
//	GET  /control                              a page
//	GET  /control/state                        {"trouble": ..., "transactions": [...], "waiting": n}
//	POST /control/trouble                      the members of Trouble, as JSON or as a form; what is not named is switched off
//	POST /control/transactions/{order}/{do}    pay, choose, challenge, accept, settle, deny, expire, close, refund, chargeback
//
// pay and choose take ?channel= (other_qris if absent), refund takes ?amount= (everything if absent).
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	path := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/control"), "/"), "/")
	switch {
	case r.URL.Path == "/control/":
		seeOther(w, "../control")
	case r.Method == http.MethodGet && path[0] == "":
		s.controlPage(w)
	case r.Method == http.MethodGet && path[0] == "state":
		answer(w, http.StatusOK, map[string]any{"trouble": s.Trouble(), "transactions": s.Transactions(), "waiting": s.Waiting()})
	case r.Method == http.MethodPost && path[0] == "trouble":
		s.controlTrouble(w, r)
	case r.Method == http.MethodPost && path[0] == "transactions" && len(path) == 3:
		s.controlTransaction(w, r, path[1], path[2])
	default:
		http.NotFound(w, r)
	}
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

func (s *Server) controlTrouble(w http.ResponseWriter, r *http.Request) {
	t, err := readTrouble(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetTrouble(t)
	done(w, r)
}

func readTrouble(r *http.Request) (Trouble, error) {
	var t Trouble
	if !isForm(r) {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		return t, d.Decode(&t)
	}
	var errs error
	for name, count := range t.counts() {
		if v := r.PostFormValue(name); v != "" {
			n, err := strconv.Atoi(v)
			*count, errs = max(n, 0), errors.Join(errs, err)
		}
	}
	for name, d := range t.durations() {
		if v := r.PostFormValue(name); v != "" {
			length, err := time.ParseDuration(v)
			*d, errs = max(length, 0), errors.Join(errs, err)
		}
	}
	t.Reorder, t.DropAll = r.PostFormValue("reorder") != "", r.PostFormValue("drop_all") != ""
	return t, errs
}

func (t *Trouble) counts() map[string]*int {
	return map[string]*int{
		"too_many": &t.TooMany, "broken": &t.Broken, "lose_answer": &t.LoseAnswer, "drop": &t.Drop, "duplicate": &t.Duplicate,
		"bad_signature": &t.BadSignature, "wrong_amount": &t.WrongAmount, "deny_after_settlement": &t.DenyAfterSettlement,
	}
}

func (t *Trouble) durations() map[string]*time.Duration {
	return map[string]*time.Duration{"latency": &t.Latency, "delay": &t.Delay, "shuffle": &t.Shuffle}
}

func (s *Server) controlTransaction(w http.ResponseWriter, r *http.Request, order, do string) {
	if err := s.command(r, order, do); err != nil {
		status := http.StatusConflict
		if errors.Is(err, errNoTransaction) {
			status = http.StatusNotFound
		}
		http.Error(w, err.Error(), status)
		return
	}
	done(w, r)
}

func (s *Server) command(r *http.Request, order, do string) error {
	channel := r.FormValue("channel")
	if channel == "" {
		channel = "other_qris"
	}
	switch do {
	case "accept":
		return s.Accept(order)
	case "settle":
		return s.Settle(order)
	case "chargeback":
		return s.Chargeback(order)
	case "deny":
		return s.Deny(order)
	case "refund":
		amount, err := strconv.ParseInt("0"+r.FormValue("amount"), 10, 64)
		if err != nil {
			return err
		}
		return s.RefundFromDashboard(order, amount)
	}
	return s.perform(order, do, channel)
}

// done answers a form with the page and a program with nothing.
func done(w http.ResponseWriter, r *http.Request) {
	if !isForm(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	depth := strings.Count(strings.Trim(strings.TrimPrefix(r.URL.Path, "/control"), "/"), "/") + 1
	seeOther(w, strings.Repeat("../", depth)+"control")
}

type controlView struct {
	Trouble      Trouble
	Counts       []controlField
	Durations    []controlField
	Transactions []controlRow
	Waiting      int
}

type controlField struct {
	Name, Label, Value string
}

type controlRow struct {
	View
	Sum   string
	Since string
	Can   []string
}

// listed is how many transactions the page shows.
const listed = 50

func (s *Server) controlPage(w http.ResponseWriter) {
	t := s.Trouble()
	v := controlView{Trouble: t, Waiting: s.Waiting()}
	counts, durations := t.counts(), t.durations()
	for _, f := range [...][2]string{
		{"duplicate", "Send every notification this many times more"},
		{"drop", "Never send the next notifications"},
		{"bad_signature", "Sign the next notifications wrongly"},
		{"wrong_amount", "Name another sum in the next notifications"},
		{"deny_after_settlement", "Reverse the next settlements"},
		{"too_many", "Answer the next calls with 429"},
		{"broken", "Answer the next calls with 500"},
		{"lose_answer", "Do, but never answer the next calls"},
	} {
		v.Counts = append(v.Counts, controlField{Name: f[0], Label: f[1], Value: strconv.Itoa(*counts[f[0]])})
	}
	for _, f := range [...][2]string{
		{"delay", "Delay notifications by"}, {"shuffle", "Shuffle notifications within"}, {"latency", "Answer calls after"},
	} {
		v.Durations = append(v.Durations, controlField{Name: f[0], Label: f[1], Value: durations[f[0]].String()})
	}
	for _, tx := range s.Transactions() {
		if len(v.Transactions) == listed {
			break
		}
		v.Transactions = append(v.Transactions, controlRow{
			View: tx, Sum: rupiah(tx.Gross), Since: tx.CreatedAt.In(wib).Format("15.04.05"), Can: possible(tx),
		})
	}
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'")
	render(w, http.StatusOK, "control.html", v)
}

// possible are the commands that a transaction can take.
func possible(v View) []string {
	switch v.Status {
	case "":
		if v.Revoked {
			return nil
		}
		return []string{"pay", "close"}
	case "pending":
		return []string{"pay", "deny", "expire"}
	case "capture":
		if v.Fraud == "challenge" {
			return []string{"accept", "deny"}
		}
		return []string{"settle", "deny", "chargeback"}
	case "settlement":
		return []string{"deny", "refund", "chargeback"}
	case "partial_refund":
		return []string{"refund"}
	}
	return nil
}
