package standin

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

var wib = time.FixedZone("WIB", 7*60*60)

// wibTime is how the provider writes a moment: GMT+7, without saying so.
func wibTime(t time.Time) string { return t.In(wib).Format(time.DateTime) }

func amountText(n int64) string { return strconv.FormatInt(n, 10) + ".00" }

func statusCode(t *transaction) string {
	switch t.Status {
	case "pending", "authorize":
		return "201"
	case "deny", "cancel":
		return "202"
	case "expire":
		return "407" // as a status call has it; a notification says 202
	case "capture":
		if t.Fraud == "challenge" {
			return "201"
		}
	}
	return "200"
}

// describe is a transaction as status answers and notifications tell it, without code and signature. All values are text.
func (s *Server) describe(t *transaction) map[string]any {
	c := t.channel()
	m := map[string]any{
		"transaction_time": wibTime(t.Began), "transaction_status": t.Status, "transaction_id": t.TransactionID,
		"payment_type": c.Type, "order_id": t.OrderID, "merchant_id": "G000000000", "gross_amount": amountText(t.Gross),
		"currency": "IDR", "expiry_time": wibTime(t.Ends),
	}
	if t.Fraud != "" {
		m["fraud_status"] = t.Fraud
	}
	if !t.Settled.IsZero() {
		m["settlement_time"] = wibTime(t.Settled)
	}
	maps.Copy(m, details(t, c))
	if len(t.Refunds) > 0 {
		m["refund_amount"], m["refunds"] = amountText(t.refunded()), refundList(t.Refunds)
	}
	code := statusCode(t)
	m["status_code"] = code
	m["signature_key"] = s.sign(t.OrderID, code, amountText(t.Gross))
	return m
}

// details are what only one kind of channel tells.
func details(t *transaction, c Channel) map[string]any {
	switch {
	case c.Key == "permata_va":
		return map[string]any{"permata_va_number": t.Number}
	case c.Key == "echannel":
		return map[string]any{"biller_code": "70012", "bill_key": t.Number}
	case c.Group == "va":
		return map[string]any{"va_numbers": []map[string]string{{"bank": c.Bank, "va_number": t.Number}}, "payment_amounts": []any{}}
	case c.Group == "store":
		return map[string]any{"store": c.Key, "payment_code": t.Number}
	case c.Type == "qris":
		return map[string]any{"transaction_type": "off-us", "issuer": "dana", "acquirer": "gopay"}
	case c.Type == "credit_card":
		return map[string]any{
			"masked_card": "48111111-1114", "bank": "bni", "card_type": "credit", "eci": "05", "approval_code": "000000",
			"channel_response_code": "00", "channel_response_message": "Approved", "three_ds_version": "2",
		}
	}
	return nil
}

func refundList(refunds []giveBack) []map[string]any {
	list := make([]map[string]any, 0, len(refunds))
	for _, r := range refunds {
		m := map[string]any{
			"refund_chargeback_id": r.ID, "refund_amount": amountText(r.Amount), "created_at": wibTime(r.At), "reason": r.Reason,
			"refund_key": r.Key, "refund_method": "ONLINE",
		}
		if !r.Confirmed.IsZero() {
			m["bank_confirmed_at"] = wibTime(r.Confirmed)
		}
		list = append(list, m)
	}
	return list
}

func (s *Server) sign(orderID, code, gross string) string {
	h := sha512.New()
	for _, part := range []string{orderID, code, gross, s.cfg.ServerKey} {
		_, _ = io.WriteString(h, part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// delivery is one notification on its way.
type delivery struct {
	order  string
	status string
	target string
	body   []byte
	due    time.Time
	tries  int
	held   bool // until the next notification of the same order is out, so that it comes second
}

// Sent is one delivery that was tried.
type Sent struct {
	OrderID string
	Status  string
	Try     int // from 1
	Code    int // the receiver's HTTP status; 0: no answer
	At      time.Time
}

// Sent returns every delivery that was tried, oldest first, at most the last 10,000.
func (s *Server) Sent() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Sent(nil), s.sent...)
}

// Waiting returns how many deliveries are still to be made.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// notify queues a notification of the transaction as it is now, with the troubles that are switched on.
func (s *Server) notify(t *transaction) {
	if t.NotifyURL == "" || s.trouble.dropped() {
		return
	}
	m := s.describe(t)
	if t.Status == "expire" {
		m["status_code"] = "202"
		m["signature_key"] = s.sign(t.OrderID, "202", amountText(t.Gross))
	}
	m["status_message"] = "midtrans payment notification"
	s.trouble.spoil(m, s.sign)
	body, err := json.Marshal(m)
	if err != nil {
		s.log.Error("stand-in notification", slog.Any("error", err))
		return
	}
	s.release(t.OrderID)
	for range 1 + s.trouble.Duplicate {
		s.queue = append(s.queue, &delivery{
			order: t.OrderID, status: t.Status, target: t.NotifyURL, body: body, due: s.clock.Now().Add(s.lateness()),
			held: s.trouble.Reorder && t.Status == "pending",
		})
	}
	s.dirty = true
}

// release lets a notification go that was held back, a moment after the one that overtakes it.
func (s *Server) release(order string) {
	for _, d := range s.queue {
		if d.order == order && d.held {
			d.held, d.due = false, s.clock.Now().Add(s.trouble.Delay+50*time.Millisecond)
		}
	}
}

func (s *Server) lateness() time.Duration {
	d := s.trouble.Delay
	if s.trouble.Shuffle > 0 {
		d += rand.N(s.trouble.Shuffle)
	}
	return d
}

func (s *Server) takeDue() []*delivery {
	var due, rest []*delivery
	now := s.clock.Now()
	for _, d := range s.queue {
		if d.held || d.due.After(now) {
			rest = append(rest, d)
		} else {
			due = append(due, d)
		}
	}
	s.queue = rest
	return due
}

// parallel is how many deliveries run at once. Those of one order among them may overtake each other, as the provider's do.
const parallel = 16

func (s *Server) deliverAll(ctx context.Context, due []*delivery) {
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for _, d := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.deliver(ctx, d)
		})
	}
	wg.Wait()
}

// deliveryTimeout is the provider's own.
const deliveryTimeout = 15 * time.Second

func (s *Server) deliver(ctx context.Context, d *delivery) {
	code := s.post(ctx, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.tries++
	s.sent = append(s.sent, Sent{OrderID: d.order, Status: d.status, Try: d.tries, Code: code, At: s.clock.Now()})
	if len(s.sent) > 10_000 {
		s.sent = s.sent[1:]
	}
	if ctx.Err() != nil && code == 0 {
		d.tries--
		s.queue = append(s.queue, d) // stopping is not the receiver's fault
		return
	}
	if d.tries <= retriesAfter(code) {
		d.due = s.clock.Now().Add(s.gap(d.tries))
		s.queue = append(s.queue, d)
	}
	s.dirty = true
}

func (s *Server) post(ctx context.Context, d *delivery) int {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target, bytes.NewReader(d.body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Veritrans")
	res, err := s.http.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10))
	_ = res.Body.Close()
	return res.StatusCode
}

// retriesAfter is how often the provider tries again after an answer.
func retriesAfter(code int) int {
	switch {
	case code >= 200 && code < 300, code >= 301 && code <= 303:
		return 0
	case code == 500:
		return 1
	case code == 503:
		return 4
	case code == 400, code == 404:
		return 2
	}
	return 5
}

// gap is the time before retry n, from 1, with a tenth of jitter.
func (s *Server) gap(n int) time.Duration {
	gaps := [...]time.Duration{2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 90 * time.Minute, 210 * time.Minute}
	d := s.scaled(gaps[min(n, len(gaps))-1])
	return d + time.Duration(float64(d)*0.1*rand.Float64())
}

// checkTarget allows notifications to loopback and to the configured address only: whoever can reach the stand-in must not
// be able to send its requests into the network it stands in.
func (s *Server) checkTarget(target string) error {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return errors.New("the notification URL is not a URL")
	}
	app, err := url.Parse(s.cfg.AppURL)
	if err == nil && s.cfg.AppURL != "" && u.Scheme == app.Scheme && u.Host == app.Host {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("notifications go to loopback or to APP_URL, not to %s", u.Host)
}

// sender follows 307 and 308 up to five times, to allowed targets, and no other redirect. A name such as localhost must also
// resolve to loopback when it is dialled.
func (s *Server) sender() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				if !s.mayReach(conn.RemoteAddr(), address) {
					return nil, errors.Join(fmt.Errorf("%s is not loopback", address), conn.Close())
				}
				return conn, nil
			},
			MaxIdleConnsPerHost: parallel,
			IdleConnTimeout:     10 * time.Second,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			code := req.Response.StatusCode
			if code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect || len(via) > 5 {
				return http.ErrUseLastResponse
			}
			return s.checkTarget(req.URL.String())
		},
	}
}

func (s *Server) mayReach(remote net.Addr, address string) bool {
	if tcp, ok := remote.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return true
	}
	app, err := url.Parse(s.cfg.AppURL)
	if err != nil || app.Host == "" {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	return err == nil && host == app.Hostname()
}
