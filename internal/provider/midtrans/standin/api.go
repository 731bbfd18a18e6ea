package standin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type createRequest struct {
	Transaction struct {
		OrderID string `json:"order_id"`
		Gross   int64  `json:"gross_amount"`
	} `json:"transaction_details"`
	Items    []item `json:"item_details"`
	Customer struct {
		FirstName string `json:"first_name"`
	} `json:"customer_details"`
	Enabled   []string `json:"enabled_payments"`
	Callbacks struct {
		Finish string `json:"finish"`
	} `json:"callbacks"`
	Expiry     expiry `json:"expiry"`
	PageExpiry expiry `json:"page_expiry"`
}

type expiry struct {
	Start    string `json:"start_time"`
	Unit     string `json:"unit"`
	Duration int    `json:"duration"`
}

func (e expiry) length() time.Duration {
	units := map[string]time.Duration{
		"second": time.Second, "minute": time.Minute, "minutes": time.Minute, "hour": time.Hour, "hours": time.Hour, "day": day, "days": day,
	}
	return time.Duration(e.Duration) * units[e.Unit]
}

// maxExpiry is the longest that the provider keeps a page.
const maxExpiry = 7 * day

// replay is a successful answer that is given again for the same Idempotency-Key.
type replay struct {
	body  []byte
	until time.Time
}

var orderIDs = regexp.MustCompile(`^[A-Za-z0-9\-_~.]{1,50}$`)

// fault checks a request as the provider does and returns its words, or nothing.
func (r createRequest) fault() string {
	var sum int64
	for _, i := range r.Items {
		sum += i.Price * i.Quantity
		if len([]rune(i.Name)) > 50 || len(i.ID) > 50 || i.Quantity < 1 {
			return "item_details is invalid"
		}
	}
	switch {
	case r.Transaction.OrderID == "":
		return "transaction_details.order_id is required"
	case !orderIDs.MatchString(r.Transaction.OrderID):
		return "transaction_details.order_id is invalid"
	case r.Transaction.Gross < 1:
		return "transaction_details.gross_amount is required"
	case len(r.Items) > 0 && sum != r.Transaction.Gross:
		return "transaction_details.gross_amount is not equal to the sum of item_details"
	case r.Expiry.length() > maxExpiry || r.PageExpiry.length() > maxExpiry:
		return "expiry is invalid"
	case len(r.Callbacks.Finish) > 255:
		return "callbacks.finish is too long"
	}
	return ""
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var req createRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(w, r, http.StatusBadRequest, "request body is not valid JSON")
		return
	}
	notifyURL := r.Header.Get("X-Override-Notification")
	if notifyURL == "" {
		notifyURL = s.cfg.NotifyURL
	} else if err := s.checkTarget(notifyURL); err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if body, ok := s.replayed(key); ok {
		answer(w, http.StatusCreated, json.RawMessage(body))
		return
	}
	if fault := req.fault(); fault != "" {
		refuse(w, r, http.StatusBadRequest, fault)
		return
	}
	old := s.txs[req.Transaction.OrderID]
	if old != nil && old.Charge {
		refuse(w, r, http.StatusBadRequest, "transaction_details.order_id has been paid and utilized, please use another order ID")
		return
	}
	if old != nil {
		delete(s.tokens, old.Token) // a new page for an order nobody began to pay revokes the old one
	}
	t := s.newTransaction(req, notifyURL)
	body := map[string]string{"token": t.Token, "redirect_url": s.publicURL(r) + "/snap/v3/redirection/" + t.Token}
	s.remember(key, body)
	answer(w, http.StatusCreated, body)
}

func (s *Server) newTransaction(req createRequest, notifyURL string) *transaction {
	now := s.clock.Now()
	t := &transaction{
		OrderID: req.Transaction.OrderID, Token: newToken(), Gross: req.Transaction.Gross, Items: req.Items,
		Payer: req.Customer.FirstName, Finish: req.Callbacks.Finish, NotifyURL: notifyURL, Enabled: req.Enabled,
		CreatedAt: now, PageEnds: now.Add(day),
	}
	if d := req.PageExpiry.length(); d > 0 {
		t.PageEnds = now.Add(d)
	} else if d := req.Expiry.length(); d > 0 {
		t.PageEnds = now.Add(d)
	}
	if start, err := time.Parse("2006-01-02 15:04:05 -0700", req.Expiry.Start); err == nil && req.Expiry.length() > 0 {
		t.ChargeEnd = start.Add(req.Expiry.length()).UTC()
	}
	s.txs[t.OrderID], s.tokens[t.Token], s.dirty = t, t.OrderID, true
	return t
}

// The provider replays a success for 5 minutes and ignores keys of more than 46 characters.
const (
	replayFor  = 5 * time.Minute
	longestKey = 46
)

func (s *Server) replayed(key string) ([]byte, bool) {
	p, ok := s.replays[key]
	return p.body, ok && s.clock.Now().Before(p.until)
}

func (s *Server) remember(key string, body any) {
	if key == "" || len(key) > longestKey {
		return
	}
	now := s.clock.Now()
	for k, p := range s.replays {
		if now.After(p.until) {
			delete(s.replays, k)
		}
	}
	if b, err := json.Marshal(body); err == nil {
		s.replays[key] = replay{body: b, until: now.Add(replayFor)}
	}
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.txs[s.tokens[r.PathValue("token")]]
	switch {
	case t == nil:
		refuse(w, r, http.StatusNotFound, "token not found")
	case t.Revoked:
		refuse(w, r, http.StatusBadRequest, "token already canceled")
	case t.Charge:
		refuse(w, r, http.StatusBadRequest, "Transaction is on progress")
	default:
		t.Revoked, t.RevokedAt, s.dirty = true, s.clock.Now(), true
		answer(w, http.StatusOK, map[string]string{"canceled_at": wibTime(t.RevokedAt)})
	}
}

// find returns a charged transaction by order id or transaction id.
func (s *Server) find(ref string) *transaction {
	if t := s.txs[ref]; t != nil && t.Charge && t.Status != "" {
		return t
	}
	for _, t := range s.txs {
		if t.TransactionID == ref && t.Status != "" {
			return t
		}
	}
	return nil
}

func (s *Server) core(w http.ResponseWriter, r *http.Request, do func(*transaction) (code, message string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
	key := r.Header.Get("Idempotency-Key")
	if body, ok := s.replayed(key); ok && r.Method == http.MethodPost {
		answer(w, http.StatusOK, json.RawMessage(body))
		return
	}
	t := s.find(r.PathValue("order"))
	if t == nil {
		say(w, "404", "Transaction doesn't exist.", map[string]any{"id": newToken()})
		return
	}
	code, message := do(t)
	if code[0] != '2' && code != "407" {
		say(w, code, message, map[string]any{"id": newToken()})
		return
	}
	body := s.describe(t)
	if message == "" {
		message = "Success, transaction is found"
	}
	body["status_code"], body["status_message"] = code, message
	s.remember(key, body)
	answer(w, http.StatusOK, body)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	s.core(w, r, func(t *transaction) (string, string) { return statusCode(t), "" })
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	s.core(w, r, func(t *transaction) (string, string) {
		if t.Status != "pending" && t.Status != "capture" {
			return "412", "Merchant cannot modify the status of the transaction"
		}
		s.become(t, "cancel")
		return "200", "Success, transaction is canceled"
	})
}

func (s *Server) expire(w http.ResponseWriter, r *http.Request) {
	s.core(w, r, func(t *transaction) (string, string) {
		if t.Status != "pending" {
			return "412", "Merchant cannot modify the status of the transaction"
		}
		s.become(t, "expire")
		return "407", "Success, transaction has expired"
	})
}

var refundKeys = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Key    string `json:"refund_key"`
		Amount int64  `json:"amount"`
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil && !errors.Is(err, io.EOF) || !refundKeys.MatchString(req.Key) || req.Amount < 0 {
		say(w, "400", "One or more parameters in the payload is invalid.", nil)
		return
	}
	s.core(w, r, func(t *transaction) (string, string) {
		return s.giveBack(t, giveBack{Key: req.Key, Amount: req.Amount, Reason: req.Reason})
	})
}

// refuse answers an error as the API that was called words it: Snap with error_messages and an HTTP status, Core with a code.
func refuse(w http.ResponseWriter, r *http.Request, status int, message string) {
	if strings.HasPrefix(r.URL.Path, "/snap/") {
		answer(w, status, map[string][]string{"error_messages": {message}})
		return
	}
	answer(w, status, map[string]string{"status_code": strconv.Itoa(status), "status_message": message})
}

// say answers a Core call: HTTP 200, the code in the body.
func say(w http.ResponseWriter, code, message string, body map[string]any) {
	if body == nil {
		body = map[string]any{}
	}
	body["status_code"], body["status_message"] = code, message
	answer(w, http.StatusOK, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
