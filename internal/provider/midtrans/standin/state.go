package standin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"
)

// Channel is a way to pay.
type Channel struct {
	Key      string // as enabled_payments names it
	Type     string // payment_type in notifications
	Group    string // which heading it stands under on the page
	Name     string
	Bank     string
	Expiry   time.Duration // of a charge, unless the page asks for another
	Refund   bool
	Whole    bool          // no partial refunds
	Window   time.Duration // for refunds, after settlement; 0: none
	Instant  bool          // no pending state: the card is charged at once
	CanDeny  bool          // a settlement may be reversed within minutes
	NoFraud  bool          // notifications carry no fraud_status
	Subtitle string
}

const day = 24 * time.Hour

// channels are what the page offers, in this order.
var channels = [...]Channel{
	{
		Key: "other_qris", Type: "qris", Group: "qr", Name: "QRIS", Subtitle: "GoPay, OVO, DANA, ShopeePay, m-banking",
		Expiry: 15 * time.Minute, Refund: true, Window: 7 * day,
	},
	{Key: "gopay", Type: "gopay", Group: "qr", Name: "GoPay", Expiry: 15 * time.Minute, Refund: true, Window: 45 * day},
	{Key: "shopeepay", Type: "shopeepay", Group: "qr", Name: "ShopeePay", Expiry: 15 * time.Minute, Refund: true, Whole: true, Window: 365 * day},
	{Key: "bca_va", Type: "bank_transfer", Group: "va", Name: "BCA Virtual Account", Bank: "bca", Expiry: day},
	{Key: "bni_va", Type: "bank_transfer", Group: "va", Name: "BNI Virtual Account", Bank: "bni", Expiry: day},
	{Key: "bri_va", Type: "bank_transfer", Group: "va", Name: "BRI Virtual Account", Bank: "bri", Expiry: day},
	{Key: "permata_va", Type: "bank_transfer", Group: "va", Name: "Permata Virtual Account", Bank: "permata", Expiry: day, CanDeny: true},
	{Key: "echannel", Type: "echannel", Group: "va", Name: "Mandiri Bill", Bank: "mandiri", Expiry: day, CanDeny: true},
	{
		Key: "credit_card", Type: "credit_card", Group: "card", Name: "Kartu kredit / debit", Subtitle: "Visa, Mastercard, JCB",
		Expiry: day, Refund: true, Instant: true,
	},
	{Key: "indomaret", Type: "cstore", Group: "store", Name: "Indomaret", Expiry: day, CanDeny: true, NoFraud: true},
	{Key: "alfamart", Type: "cstore", Group: "store", Name: "Alfamart", Expiry: day, NoFraud: true},
}

func channelOf(key string) (Channel, bool) {
	for _, c := range channels {
		if c.Key == key {
			return c, true
		}
	}
	return Channel{}, false
}

// transaction is one order id: first only a page, then a charge. Its exported fields are its snapshot.
type transaction struct {
	OrderID   string
	Token     string
	Gross     int64
	Items     []item
	Payer     string
	Finish    string
	NotifyURL string
	Enabled   []string
	CreatedAt time.Time
	PageEnds  time.Time
	ChargeEnd time.Time // from the page's expiry with a start time; zero: by channel
	Revoked   bool
	RevokedAt time.Time

	// From here on only once a way to pay was chosen.
	Charge        bool
	TransactionID string
	Channel       string
	Status        string
	Fraud         string
	Began         time.Time
	Ends          time.Time
	Settled       time.Time
	Number        string // virtual account, bill key or payment code
	Refunds       []giveBack
	DenyAt        time.Time
	ConfirmAt     time.Time // when the bank confirms the last refund, which is told a second time
}

type item struct {
	ID       string `json:"id"`
	Price    int64  `json:"price"`
	Quantity int64  `json:"quantity"`
	Name     string `json:"name"`
}

type giveBack struct {
	ID        int64
	Key       string
	Amount    int64
	Reason    string
	At        time.Time
	Confirmed time.Time
}

// View is a transaction as tests and the control page see it.
type View struct {
	OrderID       string    `json:"order_id"`
	Token         string    `json:"token"`
	TransactionID string    `json:"transaction_id"`
	Channel       string    `json:"channel"`
	Status        string    `json:"status"` // empty: no way to pay was chosen
	Fraud         string    `json:"fraud_status"`
	Gross         int64     `json:"gross_amount"`
	Refunded      int64     `json:"refund_amount"`
	Revoked       bool      `json:"revoked"`
	CreatedAt     time.Time `json:"created_at"`
}

func (t *transaction) view() View {
	return View{
		OrderID: t.OrderID, Token: t.Token, TransactionID: t.TransactionID, Channel: t.Channel, Status: t.Status, Fraud: t.Fraud,
		Gross: t.Gross, Refunded: t.refunded(), Revoked: t.Revoked, CreatedAt: t.CreatedAt,
	}
}

func (t *transaction) refunded() int64 {
	var sum int64
	for _, r := range t.Refunds {
		sum += r.Amount
	}
	return sum
}

func (t *transaction) channel() Channel {
	c, _ := channelOf(t.Channel)
	return c
}

// payable reports whether the page still takes a choice.
func (t *transaction) payable(now time.Time) bool {
	return !t.Revoked && now.Before(t.PageEnds) && (!t.Charge || t.Status == "deny")
}

// What cannot be done with a transaction.
var (
	errNoTransaction = errors.New("there is no such transaction")
	errClosed        = errors.New("the page is closed")
	errChannel       = errors.New("there is no such way to pay")
	errState         = errors.New("not in this state")
)

// charge begins a payment through a channel. A card has no pending state.
func (s *Server) charge(t *transaction, key string) error {
	c, ok := channelOf(key)
	now := s.clock.Now()
	switch {
	case !t.payable(now):
		return errClosed
	case !ok:
		return errChannel
	}
	t.Charge, t.TransactionID, t.Channel, t.Began, t.Fraud = true, newToken(), key, now, "accept"
	if c.NoFraud {
		t.Fraud = ""
	}
	t.Ends = now.Add(c.Expiry)
	if !t.ChargeEnd.IsZero() {
		t.Ends = t.ChargeEnd
	}
	if !c.Instant {
		t.Number = s.number(c)
		s.become(t, "pending")
	}
	return nil
}

// number makes a virtual account number or payment code that looks like one of the channel and is none.
func (s *Server) number(c Channel) string {
	digits := func(n int64) string {
		v, err := rand.Int(rand.Reader, big.NewInt(n))
		if err != nil {
			return "0"
		}
		return fmt.Sprintf("%0*d", len(strconv.FormatInt(n, 10))-1, v)
	}
	switch c.Group {
	case "va":
		return "00000" + digits(10_000_000_000)
	case "store":
		return "TEST" + digits(1_000_000_000)
	}
	return ""
}

// become is the only place where a status changes, and every change is told.
func (s *Server) become(t *transaction, status string) {
	now := s.clock.Now()
	t.Status = status
	if status == "settlement" || status == "capture" {
		t.Settled = now
		if s.trouble.DenyAfterSettlement > 0 {
			s.trouble.DenyAfterSettlement--
			t.DenyAt = now.Add(s.scaled(3 * time.Minute))
		}
	}
	s.dirty = true
	s.notify(t)
}

// Pay lets the customer of an order choose a channel and pay. An order that has chosen one is paid through that.
func (s *Server) Pay(orderID, channel string) error {
	return s.withTransaction(orderID, func(t *transaction) error { return s.pay(t, channel) })
}

func (s *Server) pay(t *transaction, channel string) error {
	if t.payable(s.clock.Now()) {
		if err := s.charge(t, channel); err != nil {
			return err
		}
	}
	switch {
	case t.channel().Instant && (t.Status == "" || t.Status == "deny"):
		s.become(t, "capture")
	case t.Status == "pending":
		s.become(t, "settlement")
	default:
		return errState
	}
	return nil
}

// Choose lets the customer choose a channel without paying yet.
func (s *Server) Choose(orderID, channel string) error {
	return s.withTransaction(orderID, func(t *transaction) error { return s.charge(t, channel) })
}

// Challenge lets a card payment be put under review.
func (s *Server) Challenge(orderID string) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		if err := s.charge(t, "credit_card"); err != nil {
			return err
		}
		t.Fraud = "challenge"
		s.become(t, "capture")
		return nil
	})
}

// Accept ends a review in the customer's favour.
func (s *Server) Accept(orderID string) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		if t.Status != "capture" || t.Fraud != "challenge" {
			return errState
		}
		t.Fraud = "accept"
		s.become(t, "capture")
		return nil
	})
}

// Settle lets a captured card payment settle, which a bank does at the end of the day.
func (s *Server) Settle(orderID string) error { return s.turn(orderID, "settlement", "capture") }

// Deny lets the bank refuse a payment, or reverse one that settled.
func (s *Server) Deny(orderID string) error {
	return s.turn(orderID, "deny", "pending", "capture", "settlement")
}

// Expire lets a pending payment run out.
func (s *Server) Expire(orderID string) error { return s.turn(orderID, "expire", "pending") }

// Chargeback lets the customer's bank take a card payment back.
func (s *Server) Chargeback(orderID string) error {
	return s.turn(orderID, "chargeback", "settlement", "capture")
}

// CloseSilently ends a page on which nothing was chosen. The provider tells nobody.
func (s *Server) CloseSilently(orderID string) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		if t.Charge {
			return errState
		}
		t.PageEnds, s.dirty = s.clock.Now(), true
		return nil
	})
}

// RefundFromDashboard gives money back as a person would in the provider's own console.
func (s *Server) RefundFromDashboard(orderID string, amount int64) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		if code, message := s.giveBack(t, giveBack{Key: "dashboard-" + newToken()[:8], Amount: amount, Reason: "dashboard"}); code != "200" {
			return errors.New(message)
		}
		return nil
	})
}

func (s *Server) turn(orderID, to string, from ...string) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		for _, f := range from {
			if t.Status == f {
				s.become(t, to)
				return nil
			}
		}
		return errState
	})
}

func (s *Server) withTransaction(orderID string, do func(*transaction) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	t, ok := s.txs[orderID]
	if !ok {
		return errNoTransaction
	}
	return do(t)
}

// pass lets time do its work: pending payments expire, settlements are reversed, refunds are confirmed by the bank.
func (s *Server) pass() {
	now := s.clock.Now()
	for _, t := range s.txs {
		if t.Status == "pending" && !now.Before(t.Ends) {
			s.become(t, "expire")
		}
		if !t.DenyAt.IsZero() && !now.Before(t.DenyAt) {
			t.DenyAt = time.Time{}
			if t.Status == "settlement" || t.Status == "capture" {
				s.become(t, "deny")
			}
		}
		if !t.ConfirmAt.IsZero() && !now.Before(t.ConfirmAt) {
			s.confirmRefunds(t, now)
		}
	}
}

func (s *Server) confirmRefunds(t *transaction, now time.Time) {
	t.ConfirmAt = time.Time{}
	for i := range t.Refunds {
		if t.Refunds[i].Confirmed.IsZero() {
			t.Refunds[i].Confirmed = now
		}
	}
	s.dirty = true
	s.notify(t)
}

// giveBack refunds, and returns the provider's code and message.
func (s *Server) giveBack(t *transaction, r giveBack) (code, message string) {
	now, c := s.clock.Now(), t.channel()
	if r.Amount == 0 {
		r.Amount = t.Gross - t.refunded()
	}
	for _, done := range t.Refunds {
		if done.Key == r.Key {
			return "406", "Duplicate refund_key"
		}
	}
	switch {
	case t.Status != "settlement" && t.Status != "partial_refund",
		!c.Refund, c.Whole && r.Amount != t.Gross, c.Window > 0 && now.Sub(t.Settled) >= c.Window:
		return "412", "Merchant cannot modify the status of the transaction"
	case r.Amount < 1 || r.Amount > t.Gross-t.refunded():
		return "414", "Refund amount exceeds the available amount"
	}
	s.serial++
	r.ID, r.At = s.serial, now
	t.Refunds = append(t.Refunds, r)
	t.ConfirmAt = now.Add(s.scaled(time.Minute))
	next := "partial_refund"
	if t.refunded() == t.Gross {
		next = "refund"
	}
	s.become(t, next)
	return "200", "Success, refund is approved"
}
