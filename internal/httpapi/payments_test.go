package httpapi

import (
	"strings"
	"testing"

	"gapura/internal/fault"
)

func TestPayments(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	path := "/api/v1/orders/" + o.ID.String() + "/payments"
	if w := f.ask("POST", path, "", "Authorization", "Bearer wrong"); w.Code != 401 {
		t.Errorf("with a wrong token: %d", w.Code)
	}
	w := f.ask("POST", path, "", "Authorization", "Bearer "+f.desk.Token(o.ID))
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"redirect_url":"https://pay.example.id/`+o.ID.String()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.till.refusal = fault.New(fault.PaymentUnavailable)
	if w := f.ask("POST", path, "", "Authorization", "Bearer "+f.desk.Token(o.ID)); w.Code != 503 {
		t.Errorf("without the provider: %d %s", w.Code, w.Body)
	}
}

// Whatever comes is handed on as it came: what is wrong with it is found where signatures are checked.
func TestTheWebhookHandsOnWhatItGets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, body := range []string{`{"order_id":"a"}`, ``, "\x00\xff", strings.Repeat("x", maxNotification)} {
		if w := f.ask("POST", "/webhooks/midtrans", body); w.Code != 200 {
			t.Errorf("%.20q: %d %s", body, w.Code, w.Body)
		}
		if last := f.till.notified[len(f.till.notified)-1]; string(last) != body {
			t.Errorf("%.20q became %.20q", body, last)
		}
	}
	if w := f.ask("POST", "/webhooks/midtrans", strings.Repeat("x", maxNotification+1)); w.Code != 413 {
		t.Errorf("too large: %d", w.Code)
	}
	f.till.refusal = errPlanted
	if w := f.ask("POST", "/webhooks/midtrans", "{}"); w.Code != 500 {
		t.Errorf("not stored, and answered %d: the provider would not repeat it", w.Code)
	}
}
