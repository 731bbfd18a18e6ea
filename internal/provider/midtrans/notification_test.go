package midtrans

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gapura/internal/payment"
)

// vector is computed from the provider's formula for order R26-0001-1, code 200, 250000.00 and the test key.
const vector = "b389eae2914901168b7f650a6bbe7f084b690d0bc9208d7e63b48016099df2021c4455c9ef831135b4cdecc49a56ac5f7d2d454702bd31552ed458e08e1354cc"

func TestSignatureVector(t *testing.T) {
	t.Parallel()
	if got := Signature("R26-0001-1", "200", "250000.00", serverKey); got != vector {
		t.Errorf("%s", got)
	}
}

func receiver(t testing.TB) *Client {
	t.Helper()
	c, err := New(Config{ServerKey: serverKey})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func note(change ...func(map[string]any)) []byte {
	m := map[string]any{
		"transaction_time": "2026-11-22 10:01:00", "transaction_status": "settlement", "transaction_id": "uuid",
		"status_message": "midtrans payment notification", "status_code": "200", "signature_key": vector,
		"settlement_time": "2026-11-22 10:02:00", "payment_type": "bank_transfer", "order_id": "R26-0001-1", "merchant_id": "G1",
		"gross_amount": "250000.00", "fraud_status": "accept", "currency": "IDR",
		"va_numbers": []any{map[string]any{"bank": "bca", "va_number": "1"}}, "payment_amounts": []any{}, "custom_field1": "evt_1",
	}
	for _, f := range change {
		f(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func set(key string, v any) func(map[string]any) { return func(m map[string]any) { m[key] = v } }

func TestNotificationIsVerified(t *testing.T) {
	t.Parallel()
	c := receiver(t)
	n, err := c.ParseNotification(note())
	want := payment.Notification{
		OrderID: "R26-0001-1", TransactionID: "uuid", TransactionStatus: payment.TxSettlement,
		StatusCode: "200", GrossAmount: "250000.00",
	}
	if err != nil || n != want {
		t.Fatalf("%+v, %v", n, err)
	}
	for name, k := range map[string]struct {
		body []byte
		want error
	}{
		"other amount":       {note(set("gross_amount", "1.00")), payment.ErrBadSignature},
		"other order":        {note(set("order_id", "R26-0002-1")), payment.ErrBadSignature},
		"other code":         {note(set("status_code", "201")), payment.ErrBadSignature},
		"no signature":       {note(set("signature_key", "")), payment.ErrBadSignature},
		"null signature":     {note(set("signature_key", nil)), payment.ErrBadSignature},
		"short signature":    {note(set("signature_key", vector[:64])), payment.ErrBadSignature},
		"no order":           {note(set("order_id", nil)), payment.ErrBadNotification},
		"order is an object": {note(set("order_id", map[string]any{})), payment.ErrBadNotification},
		"huge order":         {note(set("order_id", strings.Repeat("a", 65))), payment.ErrBadNotification},
		"empty":              {nil, payment.ErrBadNotification},
		"a list":             {[]byte(`[]`), payment.ErrBadNotification},
		"cut off":            {note()[:80], payment.ErrBadNotification},
	} {
		if _, err := c.ParseNotification(k.body); !errors.Is(err, k.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotificationIsReadLeniently(t *testing.T) {
	t.Parallel()
	c := receiver(t)
	for name, change := range map[string]func(map[string]any){
		"number for a code": set("status_code", 200),
		"unknown field":     set("new", map[string]any{"x": 1}),
		"refunds null":      set("refunds", nil),
		"refunds text":      set("refunds", ""),
		"upper signature":   set("signature_key", strings.ToUpper(vector)),
	} {
		if _, err := c.ParseNotification(note(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The amount is signed as it is written, also as a bare number.
	body := strings.Replace(string(note()), `"gross_amount":"250000.00"`, `"gross_amount":250000.00`, 1)
	if _, err := c.ParseNotification([]byte(body)); err != nil {
		t.Errorf("amount as a number: %v", err)
	}
}

func TestRupiah(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"250000.00": 250_000, "250000": 250_000, "0": 0, "1.000": 1} {
		if got, err := rupiah(in); err != nil || int64(got) != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "1.50", "1,000", "1e3", "1.0.0", "99999999999999999999"} {
		if got, err := rupiah(in); err == nil {
			t.Errorf("%q is %d", in, got)
		}
	}
}

// FuzzNotification: no body may panic, and none is accepted whose signature does not match what was read.
func FuzzNotification(f *testing.F) {
	f.Add(note())
	f.Add(note(set("status_code", 200)))
	f.Add([]byte(`{"order_id":"R26-0001-1","ORDER_ID":"x"}`))
	f.Add([]byte(`{"refunds":[{"refund_amount":1e9}]}`))
	c := receiver(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := c.ParseNotification(body)
		if err == nil {
			want := Signature(n.OrderID, n.StatusCode, n.GrossAmount, serverKey)
			if !strings.Contains(strings.ToLower(string(body)), want) && !strings.Contains(string(body), `\u`) {
				t.Errorf("accepted without its signature: %q", body)
			}
		}
		var m message
		if json.Unmarshal(body, &m) == nil {
			if s, err := m.status(); err == nil && (s.Gross < 0 || s.RefundAmount < 0) {
				t.Errorf("negative amount from %q", body)
			}
		}
	})
}
