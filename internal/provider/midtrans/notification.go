package midtrans

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gapura/internal/money"
	"gapura/internal/payment"
)

// text is a JSON string, or a number, boolean or null as it is written: the provider documents strings and sends both.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
		return nil
	case len(b) > 0 && b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
		return nil
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return errors.New("an object or list where a value belongs")
	}
	*t = text(b)
	return nil
}

// message is a transaction as notifications and status answers describe it. Fields that nothing depends on are not read, so
// that a change of theirs cannot break anything.
type message struct {
	StatusCode        text        `json:"status_code"`
	StatusMessage     text        `json:"status_message"`
	SignatureKey      text        `json:"signature_key"`
	TransactionStatus text        `json:"transaction_status"`
	TransactionID     text        `json:"transaction_id"`
	OrderID           text        `json:"order_id"`
	GrossAmount       text        `json:"gross_amount"`
	Currency          text        `json:"currency"`
	PaymentType       text        `json:"payment_type"`
	TransactionType   text        `json:"transaction_type"` // QRIS: on-us or off-us
	FraudStatus       text        `json:"fraud_status"`
	SettlementTime    text        `json:"settlement_time"`
	TransactionTime   text        `json:"transaction_time"`
	RefundAmount      text        `json:"refund_amount"`
	Refunds           refundsList `json:"refunds"`
}

type refund struct {
	Amount text `json:"refund_amount"`
	Key    text `json:"refund_key"`
}

// refundsList is a list; anything else (the provider has sent null and "") counts as empty.
type refundsList []refund

// UnmarshalJSON implements json.Unmarshaler.
func (l *refundsList) UnmarshalJSON(b []byte) error {
	*l = nil
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '[' {
		return nil
	}
	var list []refund
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*l = list
	return nil
}

// maxID bounds order and transaction ids; the provider's own limit is 50.
const maxID = 64

// ParseNotification reads a notification and verifies its signature. It returns payment.ErrBadNotification or
// payment.ErrBadSignature, wrapped.
func (c *Client) ParseNotification(body []byte) (payment.Notification, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return payment.Notification{}, fmt.Errorf("%w: %w", payment.ErrBadNotification, err)
	}
	switch {
	case m.OrderID == "" || len(m.OrderID) > maxID || len(m.TransactionID) > maxID:
		return payment.Notification{}, fmt.Errorf("%w: order_id or transaction_id", payment.ErrBadNotification)
	case m.StatusCode == "" || m.GrossAmount == "" || m.TransactionStatus == "":
		return payment.Notification{}, fmt.Errorf("%w: status_code, gross_amount or transaction_status is missing", payment.ErrBadNotification)
	}
	if !c.signed(m) {
		return payment.Notification{}, payment.ErrBadSignature
	}
	return payment.Notification{
		OrderID: string(m.OrderID), TransactionID: string(m.TransactionID), StatusCode: string(m.StatusCode),
		TransactionStatus: payment.TransactionStatus(m.TransactionStatus), GrossAmount: string(m.GrossAmount),
	}, nil
}

func (c *Client) signed(m message) bool {
	want := Signature(string(m.OrderID), string(m.StatusCode), string(m.GrossAmount), c.cfg.ServerKey)
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(string(m.SignatureKey)))) == 1
}

// Signature returns the hexadecimal SHA-512 of order id, status code, gross amount and server key, each exactly as it is
// written in the notification. It covers neither the transaction's status nor a time.
func Signature(orderID, statusCode, grossAmount, serverKey string) string {
	sum := sha512.Sum512([]byte(orderID + statusCode + grossAmount + serverKey))
	return hex.EncodeToString(sum[:])
}

// status turns the provider's words into the product's.
func (m message) status() (payment.ProviderStatus, error) {
	gross, err := rupiah(string(m.GrossAmount))
	if err != nil {
		return payment.ProviderStatus{}, fmt.Errorf("gross_amount: %w", err)
	}
	s := payment.ProviderStatus{
		OrderID: string(m.OrderID), TransactionID: string(m.TransactionID),
		Status: payment.TransactionStatus(strings.ToLower(string(m.TransactionStatus))), StatusCode: string(m.StatusCode),
		Fraud: strings.ToLower(string(m.FraudStatus)), Gross: gross, Currency: strings.ToUpper(string(m.Currency)),
		Channel:   payment.Channel{Type: string(m.PaymentType), OnUs: m.TransactionType == "on-us"},
		SettledAt: m.settledAt(),
	}
	if m.RefundAmount != "" {
		if s.RefundAmount, err = rupiah(string(m.RefundAmount)); err != nil {
			return payment.ProviderStatus{}, fmt.Errorf("refund_amount: %w", err)
		}
	}
	for _, r := range m.Refunds {
		amount, err := rupiah(string(r.Amount))
		if err != nil {
			return payment.ProviderStatus{}, fmt.Errorf("refunds: %w", err)
		}
		s.Refunds = append(s.Refunds, payment.ProviderRefund{Key: string(r.Key), Amount: amount})
	}
	return s, nil
}

// wib is the zone of the provider's times, which carry no offset.
var wib = time.FixedZone("WIB", 7*60*60)

func (m message) settledAt() time.Time {
	for _, s := range []text{m.SettlementTime, m.TransactionTime} {
		if t, err := time.ParseInLocation(time.DateTime, string(s), wib); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// rupiah reads an amount such as 250000 or 250000.00. A fraction that is not zero is an error: rupiah have none.
func rupiah(s string) (money.Rupiah, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if strings.Trim(fraction, "0") != "" {
		return 0, errors.New("an amount with a fraction")
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("not an amount")
	}
	return money.Rupiah(n), nil
}
