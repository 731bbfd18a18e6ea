package midtrans

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gapura/internal/payment"
	"gapura/internal/registration"
)

const serverKey = "SB-Mid-server-TEST"

var noon = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func client(t *testing.T, h http.HandlerFunc, change ...func(*Config)) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	cfg := Config{ServerKey: serverKey, BaseURL: s.URL, SnapURL: s.URL, Timeout: 5 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func checkout() payment.Checkout {
	return payment.Checkout{
		ProviderID: "R26-0001-1", Amount: 250_000, StartsAt: noon, ExpiresAt: noon.Add(29*time.Minute + 59*time.Second),
		Items: []payment.Item{
			{ID: "10K-EB", Name: "10K | Early Bird", Price: 275_000, Quantity: 1},
			{ID: "PROMO", Name: "Diskon", Price: -25_000, Quantity: 1},
		},
		Contact: registration.Contact{Name: "Siti", Email: "s@x.id", Phone: "+628123456789"}, FinishURL: "https://x.id/pay/finish",
	}
}

func TestCreateSendsTheContract(t *testing.T) {
	t.Parallel()
	var got map[string]any
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/snap/v1/transactions" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		for name, want := range map[string]string{
			"Authorization": "Basic U0ItTWlkLXNlcnZlci1URVNUOg==", "Accept": "application/json",
			"Content-Type": "application/json", "Idempotency-Key": "R26-0001-1", "X-Override-Notification": "https://x.id/hook",
		} {
			if r.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, r.Header.Get(name), want)
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		answers(201, `{"token":"tok","redirect_url":"https://app/tok"}`)(w, r)
	}, func(cfg *Config) {
		cfg.NotifyURL = "https://x.id/hook"
		cfg.Channels = []string{"other_qris", "bca_va"}
	})
	page, err := c.Create(context.Background(), checkout())
	if err != nil || page != (payment.Page{Token: "tok", RedirectURL: "https://app/tok"}) {
		t.Fatalf("%+v, %v", page, err)
	}
	want := map[string]any{
		"transaction_details": map[string]any{"order_id": "R26-0001-1", "gross_amount": 250000.0},
		"item_details": []any{
			map[string]any{"id": "10K-EB", "price": 275000.0, "quantity": 1.0, "name": "10K / Early Bird"},
			map[string]any{"id": "PROMO", "price": -25000.0, "quantity": 1.0, "name": "Diskon"},
		},
		"customer_details": map[string]any{"first_name": "Siti", "email": "s@x.id", "phone": "+628123456789"},
		"enabled_payments": []any{"other_qris", "bca_va"},
		"credit_card":      map[string]any{"secure": true},
		"callbacks":        map[string]any{"finish": "https://x.id/pay/finish", "error": "https://x.id/pay/finish"},
		"expiry":           map[string]any{"start_time": "2026-11-22 10:00:00 +0700", "unit": "minute", "duration": 29.0},
		"page_expiry":      map[string]any{"unit": "minute", "duration": 29.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCreateRefusesWhatTheProviderWould(t *testing.T) {
	t.Parallel()
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	for name, spoil := range map[string]func(*payment.Checkout){
		"sum":      func(k *payment.Checkout) { k.Amount++ },
		"quantity": func(k *payment.Checkout) { k.Items[1].Quantity = 0 },
		"id":       func(k *payment.Checkout) { k.ProviderID = "a b" },
		"long id":  func(k *payment.Checkout) { k.ProviderID = strings.Repeat("a", 51) },
		"nothing":  func(k *payment.Checkout) { k.Amount, k.Items = 0, nil },
		"too late": func(k *payment.Checkout) { k.ExpiresAt = k.StartsAt.Add(59 * time.Second) },
		"too long": func(k *payment.Checkout) { k.ExpiresAt = k.StartsAt.Add(8 * 24 * time.Hour) },
		"finish":   func(k *payment.Checkout) { k.FinishURL = "https://x.id/" + strings.Repeat("a", 250) },
	} {
		k := checkout()
		spoil(&k)
		if _, err := c.Create(context.Background(), k); err == nil || payment.Temporary(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsAreTemporaryOrPermanent(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		name      string
		h         http.HandlerFunc
		code      string
		temporary bool
		after     time.Duration
	}{
		{"400", answers(400, `{"error_messages":["transaction_details.order_id is required"]}`), "400", false, 0},
		{"401", answers(401, `{"error_messages":["Access denied"]}`), "401", false, 0},
		{"500", answers(500, `{"error_messages":["Sorry"]}`), "500", true, 0},
		{"503 page", answers(503, `<html>`), "503", true, 0},
		{"429", answers(429, ``, "Retry-After", "7"), "429", true, 7 * time.Second},
		{"code in the body", answers(200, `{"status_code":"412","status_message":"Merchant cannot modify"}`), "412", false, 0},
		{"number in the body", answers(200, `{"status_code":412}`), "412", false, 0},
		{"500 in the body", answers(200, `{"status_code":"505"}`), "505", true, 0},
		{"in flight", answers(202, `{}`), "202", true, 0},
		{"no json", answers(200, `hello`), "200", true, 0},
		{"redirect", answers(302, ``, "Location", "http://127.0.0.1:1/"), "302", false, 0},
		{"too long", answers(200, strings.Repeat(" ", maxAnswer+2)), "200", true, 0},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", true, 0},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			err := client(t, k.h).Cancel(context.Background(), "R26-0001-1")
			var e *payment.ProviderError
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			if e.Code != k.code || e.Temporary != k.temporary || e.RetryAfter != k.after {
				t.Errorf("%+v", e)
			}
			if strings.Contains(err.Error(), serverKey) || strings.Contains(err.Error(), "U0ItTWlk") {
				t.Errorf("the key is in %q", err)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := client(t, func(http.ResponseWriter, *http.Request) { <-release }, func(cfg *Config) { cfg.Timeout = 30 * time.Millisecond })
	defer close(release)
	err := c.Revoke(context.Background(), "secret-token")
	if !payment.Temporary(err) || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("%v", err)
	}
}

func TestStatusMissing(t *testing.T) {
	t.Parallel()
	const gone = `{"status_code":"404","status_message":"Transaction doesn't exist.","id":"x"}`
	for name, h := range map[string]http.HandlerFunc{"http 200": answers(200, gone), "http 404": answers(404, gone)} {
		if s, err := client(t, h).Status(context.Background(), "R26-0001-1"); err != nil || !s.Missing {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"a proxy's page": answers(404, `<html>not found</html>`), "another server": answers(404, `{"error":"no route"}`),
		"an empty success": answers(200, `{}`),
	} {
		if s, err := client(t, h).Status(context.Background(), "R26-0001-1"); err == nil || s.Missing {
			t.Errorf("%s: believed, %+v, %v", name, s, err)
		}
	}
}

func TestStatusIsRead(t *testing.T) {
	t.Parallel()
	c := client(t, answers(200, `{"status_code":"200","transaction_status":"partial_refund","transaction_id":"u","order_id":"R26-0001-1",
		"gross_amount":250000,"currency":"IDR","payment_type":"qris","transaction_type":"on-us","fraud_status":"accept",
		"transaction_time":"2026-11-22 10:01:00","settlement_time":"2026-11-22 10:02:00","refund_amount":"50000.00",
		"refunds":[{"refund_chargeback_id":1,"refund_amount":"50000.00","refund_key":"rf-1","bank_confirmed_at":null}]}`))
	got, err := c.Status(context.Background(), "R26-0001-1")
	if err != nil {
		t.Fatal(err)
	}
	want := payment.ProviderStatus{
		OrderID: "R26-0001-1", TransactionID: "u", Status: payment.TxPartialRefund, StatusCode: "200", Fraud: "accept",
		Gross: 250_000, Currency: "IDR", Channel: payment.Channel{Type: "qris", OnUs: true},
		SettledAt: time.Date(2026, 11, 22, 3, 2, 0, 0, time.UTC), RefundAmount: 50_000,
		Refunds: []payment.ProviderRefund{{Key: "rf-1", Amount: 50_000}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpireSucceedsWith407(t *testing.T) {
	t.Parallel()
	c := client(t, answers(200, `{"status_code":"407","status_message":"Success, transaction has expired"}`))
	if err := c.Expire(context.Background(), "R26-0001-1"); err != nil {
		t.Error(err)
	}
	if err := c.Cancel(context.Background(), "R26-0001-1"); err == nil {
		t.Error("407 is no success of a cancellation")
	}
}

func TestRevokeOfAGonePage(t *testing.T) {
	t.Parallel()
	for message, ok := range map[string]bool{"token already canceled": true, "token not found": true, "Transaction is on progress": false} {
		err := client(t, answers(400, `{"error_messages":["`+message+`"]}`)).Revoke(context.Background(), "tok")
		if (err == nil) != ok {
			t.Errorf("%s: %v", message, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no key":      {},
		"plain http":  {ServerKey: "k", BaseURL: "http://api.example.com"},
		"no host":     {ServerKey: "k", SnapURL: "https://"},
		"credentials": {ServerKey: "k", SnapURL: "https://u:p@x.id"},
		"no url":      {ServerKey: "k", SnapURL: "app.midtrans.com"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	c, err := New(Config{ServerKey: "k", Production: true})
	if err != nil || c.cfg.BaseURL != productionCore || c.cfg.SnapURL != productionSnap {
		t.Errorf("production: %+v, %v", c, err)
	}
	if c, err = New(Config{ServerKey: "k", BaseURL: "http://127.0.0.1:9/x/"}); err != nil || c.cfg.BaseURL != "http://127.0.0.1:9/x" {
		t.Errorf("loopback: %v", err)
	}
}

func TestIdempotencyKeyFits(t *testing.T) {
	t.Parallel()
	a, b := idempotencyKey(strings.Repeat("n", 48)+"-1"), idempotencyKey(strings.Repeat("n", 48)+"-2")
	if len(a) > 46 || a == b {
		t.Errorf("%q, %q", a, b)
	}
}
