package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/id"
	"gapura/internal/money"
)

// Cashier takes payments.
type Cashier interface {
	// Start returns where an order is paid, beginning to pay if nobody has.
	Start(ctx context.Context, order id.ID) (PaymentPage, error)
	// Notify takes the provider's notification: it is stored when this returns.
	Notify(ctx context.Context, body []byte) error
}

// PaymentPage is where an order is paid.
type PaymentPage struct {
	Token     string
	URL       string
	Amount    money.Rupiah
	ExpiresAt time.Time
}

// PaymentView is a begun payment as clients see it.
type PaymentView struct {
	RedirectURL string       `json:"redirect_url" doc:"the provider's page; send the browser there"`
	Token       string       `json:"token" doc:"for the provider's own script"`
	Amount      money.Rupiah `json:"amount" doc:"whole rupiah"`
	ExpiresAt   time.Time    `json:"expires_at" doc:"when the page stops taking money"`
}

// startWithin bounds the wait for the provider while a visitor looks on.
const startWithin = 12 * time.Second

// startPayment starts or resumes paying.
func (a *API) startPayment(w http.ResponseWriter, r *http.Request) error {
	order, err := a.counted(w, r, gate.Pay)
	if err != nil {
		return err
	}
	if a.cfg.Cashier == nil {
		return fault.New(fault.PaymentUnavailable)
	}
	ctx, cancel := context.WithTimeout(r.Context(), startWithin)
	defer cancel()
	page, err := a.cfg.Cashier.Start(ctx, order)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, PaymentView{
		RedirectURL: page.URL, Token: page.Token, Amount: page.Amount, ExpiresAt: page.ExpiresAt,
	})
	return nil
}

// maxNotification is many times the largest that the provider documents.
const maxNotification = 64 << 10

// midtransWebhook stores a notification and answers; what it means is found out by a job. The provider repeats what it gets
// no 200 for, so trouble on our side is answered with 503, which it repeats most often.
func (a *API) midtransWebhook(w http.ResponseWriter, r *http.Request) error {
	if a.cfg.Cashier == nil {
		return fault.New(fault.NotFound)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return fault.New(fault.TooLarge).With("limit", maxNotification)
		}
		return fault.Wrap(fault.BadJSON, err)
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	if err := a.cfg.Cashier.Notify(ctx, body); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}
