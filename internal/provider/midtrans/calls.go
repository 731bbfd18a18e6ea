package midtrans

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gapura/internal/payment"
)

type snapRequest struct {
	Transaction snapTransaction `json:"transaction_details"`
	Items       []snapItem      `json:"item_details"`
	Customer    snapCustomer    `json:"customer_details"`
	Enabled     []string        `json:"enabled_payments,omitempty"`
	Card        snapCard        `json:"credit_card"`
	Callbacks   *snapCallbacks  `json:"callbacks,omitempty"`
	Expiry      snapExpiry      `json:"expiry"`
	PageExpiry  snapExpiry      `json:"page_expiry"`
}

type snapTransaction struct {
	OrderID string `json:"order_id"`
	Gross   int64  `json:"gross_amount"`
}

type snapItem struct {
	ID       string `json:"id"`
	Price    int64  `json:"price"`
	Quantity int    `json:"quantity"`
	Name     string `json:"name"`
}

type snapCustomer struct {
	FirstName string `json:"first_name"`
	Email     string `json:"email"`
	Phone     string `json:"phone"`
}

type snapCard struct {
	Secure bool `json:"secure"`
}

type snapCallbacks struct {
	Finish string `json:"finish"`
	Error  string `json:"error"`
}

type snapExpiry struct {
	Start    string `json:"start_time,omitempty"`
	Unit     string `json:"unit"`
	Duration int    `json:"duration"`
}

type snapAnswer struct {
	Token       string `json:"token"`
	RedirectURL string `json:"redirect_url"`
}

// snapTime is how Snap writes a moment; it wants the offset.
const snapTime = "2006-01-02 15:04:05 -0700"

// Create makes a payment page.
func (c *Client) Create(ctx context.Context, k payment.Checkout) (payment.Page, error) {
	req, err := c.snapRequest(k)
	if err != nil {
		return payment.Page{}, &payment.ProviderError{Op: "create", Cause: err}
	}
	body, err := c.do(ctx, call{
		op: "create", method: http.MethodPost, url: c.cfg.SnapURL + "/snap/v1/transactions", key: idempotencyKey(k.ProviderID),
		notify: true, body: req,
	})
	if err != nil {
		return payment.Page{}, err
	}
	var a snapAnswer
	if err := json.Unmarshal(body, &a); err != nil || a.Token == "" || a.RedirectURL == "" {
		return payment.Page{}, &payment.ProviderError{Op: "create", Temporary: true, Message: "the answer has no token"}
	}
	return payment.Page{Token: a.Token, RedirectURL: a.RedirectURL}, nil
}

// idempotencyKey makes a key of at most 46 characters, since longer ones are ignored, out of an id that is unique per call.
// The provider keeps one for 5 minutes.
func idempotencyKey(id string) string {
	if len(id) <= 46 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:20])
}

func (c *Client) snapRequest(k payment.Checkout) (snapRequest, error) {
	if err := check(k); err != nil {
		return snapRequest{}, err
	}
	minutes := int(k.ExpiresAt.Sub(k.StartsAt) / time.Minute)
	r := snapRequest{
		Transaction: snapTransaction{OrderID: k.ProviderID, Gross: int64(k.Amount)},
		Customer: snapCustomer{
			FirstName: cut(k.Contact.Name, 255), Email: cut(k.Contact.Email, 255), Phone: cut(k.Contact.Phone, 30),
		},
		Enabled:    c.cfg.Channels,
		Card:       snapCard{Secure: true},
		Expiry:     snapExpiry{Start: k.StartsAt.In(wib).Format(snapTime), Unit: "minute", Duration: minutes},
		PageExpiry: snapExpiry{Unit: "minute", Duration: minutes},
	}
	for _, i := range k.Items {
		r.Items = append(r.Items, snapItem{ID: label(i.ID), Price: int64(i.Price), Quantity: i.Quantity, Name: label(i.Name)})
	}
	if finish := k.FinishURL; finish != "" || c.cfg.FinishURL != "" {
		if finish == "" {
			finish = c.cfg.FinishURL
		}
		r.Callbacks = &snapCallbacks{Finish: finish, Error: finish}
	}
	return r, nil
}

// label makes a text fit an item's id or name: at most 50 characters and no bar, which the provider uses as a separator.
func label(s string) string { return cut(strings.ReplaceAll(s, "|", "/"), 50) }

// check refuses what the provider would refuse, with a clearer sentence.
func check(k payment.Checkout) error {
	var sum int64
	for _, i := range k.Items {
		if i.Quantity < 1 {
			return fmt.Errorf("item %q has quantity %d", i.ID, i.Quantity)
		}
		sum += int64(i.Price) * int64(i.Quantity)
	}
	switch {
	case !validOrderID(k.ProviderID):
		return fmt.Errorf("order id %q: 1 to 50 of letters, digits, - _ ~ .", k.ProviderID) //nolint:revive,staticcheck // the full stop is one of the characters
	case sum != int64(k.Amount):
		return fmt.Errorf("the items sum to %d, the amount is %d", sum, k.Amount)
	case k.Amount < 1:
		return fmt.Errorf("the amount is %d", k.Amount)
	case k.ExpiresAt.Sub(k.StartsAt) < time.Minute || k.ExpiresAt.Sub(k.StartsAt) > 7*24*time.Hour:
		return errors.New("the time to pay is not between a minute and 7 days")
	case len(k.FinishURL) > 255:
		return errors.New("the finish URL has more than 255 characters")
	}
	return nil
}

func validOrderID(s string) bool {
	if s == "" || len(s) > 50 {
		return false
	}
	for _, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_~.", r)
		if !ok {
			return false
		}
	}
	return true
}

// Revoke ends a page on which nobody chose a way to pay. It is nil for a page that was revoked before or that the provider
// does not know; a transaction in progress is a permanent error.
func (c *Client) Revoke(ctx context.Context, token string) error {
	_, err := c.do(ctx, call{
		op: "revoke", method: http.MethodPost, url: c.cfg.SnapURL + "/snap/v1/transactions/" + url.PathEscape(token) + "/cancel",
	})
	var e *payment.ProviderError
	if errors.As(err, &e) && !e.Temporary && gone(e.Message) {
		return nil
	}
	return err
}

func gone(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "token already canceled") || strings.Contains(m, "token not found")
}

// Status asks about a transaction by order id or transaction id. Missing is set while nobody has chosen a way to pay.
func (c *Client) Status(ctx context.Context, ref string) (payment.ProviderStatus, error) {
	body, err := c.do(ctx, call{op: "status", method: http.MethodGet, url: c.core(ref, "status")},
		"202", "407", payment.CodeNotFound)
	if err != nil {
		return payment.ProviderStatus{}, err
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return payment.ProviderStatus{}, &payment.ProviderError{Op: "status", Temporary: true, Message: "the answer is not a transaction"}
	}
	if m.TransactionStatus == "" {
		return c.missing(m)
	}
	s, err := m.status()
	if err != nil {
		return payment.ProviderStatus{}, &payment.ProviderError{Op: "status", Code: string(m.StatusCode), Cause: err}
	}
	return s, nil
}

// missing believes that there is no transaction only when the provider itself says so in the body: a 404 of a proxy or a
// wrong base URL must not let a hold end.
func (c *Client) missing(m message) (payment.ProviderStatus, error) {
	if m.StatusCode == payment.CodeNotFound {
		return payment.ProviderStatus{Missing: true}, nil
	}
	return payment.ProviderStatus{}, &payment.ProviderError{
		Op: "status", Code: string(m.StatusCode), Temporary: true, Message: "the answer has no transaction_status",
	}
}

// Cancel ends a transaction that was begun.
func (c *Client) Cancel(ctx context.Context, providerID string) error {
	_, err := c.do(ctx, call{op: "cancel", method: http.MethodPost, url: c.core(providerID, "cancel")})
	return err
}

// Expire ends a pending transaction; code 407 is the provider's word for success here.
func (c *Client) Expire(ctx context.Context, providerID string) error {
	_, err := c.do(ctx, call{op: "expire", method: http.MethodPost, url: c.core(providerID, "expire")}, "407")
	return err
}

type refundRequest struct {
	Key    string `json:"refund_key"`
	Amount int64  `json:"amount"`
	Reason string `json:"reason"`
}

// Refund gives money back. The provider remembers the key for 7 days and answers a repetition with code 406.
func (c *Client) Refund(ctx context.Context, r payment.GatewayRefund) error {
	_, err := c.do(ctx, call{
		op: "refund", method: http.MethodPost, url: c.core(r.ProviderID, "refund"), key: idempotencyKey(r.Key),
		body: refundRequest{Key: r.Key, Amount: int64(r.Amount), Reason: r.Reason},
	})
	return err
}

func (c *Client) core(ref, op string) string {
	return c.cfg.BaseURL + "/v2/" + url.PathEscape(ref) + "/" + op
}
