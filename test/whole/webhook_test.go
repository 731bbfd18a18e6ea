package whole

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"gapura/internal/provider/midtrans"
)

// notice is a notification of the provider's as it is sent, signed with key.
func notice(key, order, status, code, gross string, more ...string) string {
	n := map[string]any{
		"order_id": order, "transaction_status": status, "status_code": code, "gross_amount": gross, "currency": "IDR", "payment_type": "qris",
		"transaction_id": "0b7f3f52-1e7c-4a6a-9f6e-2f6a4c1d8e90", "fraud_status": "accept", "transaction_time": "2025-11-22 10:00:00",
		"signature_key": midtrans.Signature(order, code, gross, key),
	}
	for i := 0; i+1 < len(more); i += 2 {
		n[more[i]] = more[i+1]
	}
	text, _ := json.Marshal(n) // a map of strings always has a JSON form
	return string(text)
}

func (c *counter) notify(t *testing.T, body string) answer {
	t.Helper()
	return send(t, c.node, fmt.Sprintf("POST /webhooks/midtrans HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body), false)
}

// money is what the database knows about it.
func (c *counter) money(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	for name, query := range map[string]string{
		"confirmed": "SELECT COUNT(*) FROM orders WHERE status = 'confirmed'", "entries": "SELECT COUNT(*) FROM payment_entries",
		"refunds": "SELECT COUNT(*) FROM payment_refunds", "tickets": "SELECT COUNT(*) FROM tickets", "invoices": "SELECT COUNT(*) FROM invoices",
		"dead letters": "SELECT COUNT(*) FROM dead_letters",
	} {
		all[name] = c.count(t, query)
	}
	return all
}

// Whatever is sent to the webhook, only what the provider itself says when it is asked changes an order: nothing is answered
// with a 5xx, and everything that was kept has its verdict.
func TestWebhooksWithBadIntent(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	unpaid := c.place(t, 1, "5k", "Siti Aminah", "siti@example.id")
	paid := c.place(t, 2, "5k", "Budi Santoso", "budi@example.id")
	c.pay(t, paid)
	c.soon(t, "the payment", func() bool { return c.count(t, "SELECT COUNT(*) FROM invoices") == 1 })
	c.soon(t, "the page of "+unpaid.Number, func() bool { return c.attempt(unpaid) != "" })
	c.becomes(t, 0, "SELECT COUNT(*) FROM outbox")
	before, kept := c.money(t), c.count(t, "SELECT COUNT(*) FROM payment_notifications")

	c.refusals(t, c.attempt(unpaid))
	if n := c.count(t, "SELECT COUNT(*) FROM payment_notifications"); n != kept {
		t.Errorf("%d of what was refused is kept", n-kept)
	}
	fresh := c.lies(t, unpaid, paid)
	c.becomes(t, 0, "SELECT COUNT(*) FROM outbox")
	c.becomes(t, kept+fresh, "SELECT COUNT(*) FROM payment_notifications")
	c.becomes(t, 0, "SELECT COUNT(*) FROM payment_notifications WHERE verdict = ''")
	c.becomes(t, 2, "SELECT COUNT(*) FROM payment_notifications WHERE verdict = 'unknown_order'")
	if after := c.money(t); !maps.Equal(before, after) {
		t.Errorf("before %v, after %v", before, after)
	}
	c.pay(t, unpaid) // it is none the worse for it
	c.soon(t, "the second payment", func() bool { return c.money(t)["confirmed"] == 2 })
	c.becomes(t, 0, "SELECT COUNT(*) FROM outbox")
	c.clean(t)
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if bytes.Contains(c.log.Bytes(), []byte(`"level":"ERROR"`)) || bytes.Contains(c.log.Bytes(), []byte("panic")) {
		t.Errorf("the log has errors:\n%s", c.log)
	}
}

// attempt is the provider's order id of the order's first page, empty if there is none yet.
func (c *counter) attempt(o placed) string {
	for _, v := range c.bank.Transactions() {
		if strings.HasPrefix(v.OrderID, o.Number+"-") {
			return v.OrderID
		}
	}
	return ""
}

// refusals are not kept.
func (c *counter) refusals(t *testing.T, attempt string) {
	t.Helper()
	good := notice(bankKey, attempt, "settlement", "200", "150000.00")
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"nothing":                  {"", http.StatusBadRequest},
		"no JSON":                  {"order_id=" + attempt, http.StatusBadRequest},
		"half of it":               {good[:len(good)/2], http.StatusBadRequest},
		"a list":                   {"[" + good + "]", http.StatusBadRequest},
		"bytes":                    {"\x00\xff\xfe", http.StatusBadRequest},
		"deep nesting":             {strings.Repeat(`{"a":`, 5000), http.StatusBadRequest},
		"an object as an amount":   {strings.Replace(good, `"150000.00"`, `{"x":1}`, 1), http.StatusBadRequest},
		"no order":                 {notice(bankKey, "", "settlement", "200", "150000.00"), http.StatusBadRequest},
		"no amount":                {notice(bankKey, attempt, "settlement", "200", ""), http.StatusBadRequest},
		"an order of 10,000 bytes": {notice(bankKey, strings.Repeat("x", 10_000), "settlement", "200", "1.00"), http.StatusBadRequest},
		"64 KiB and more":          {strings.Repeat(" ", 64<<10) + good, http.StatusRequestEntityTooLarge},
		"a wrong signature":        {notice("another key", attempt, "settlement", "200", "150000.00"), http.StatusUnauthorized},
		"no signature":             {notice(bankKey, attempt, "settlement", "200", "150000.00", "signature_key", ""), http.StatusUnauthorized},
		"the amount was changed":   {strings.Replace(good, "150000.00", "1.00", 1), http.StatusUnauthorized},
		"the order was changed":    {strings.Replace(good, attempt, attempt[:len(attempt)-1]+"2", 1), http.StatusUnauthorized},
	} {
		if a := c.notify(t, test.body); a.status != test.want {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, test.want)
		}
	}
}

// lies are signed rightly, as whoever knows an old notification can: the signature covers neither the status nor the moment.
// It returns how many of them were not sent before.
func (c *counter) lies(t *testing.T, unpaid, paid placed) (fresh int) {
	t.Helper()
	bodies := map[string]string{
		"an order that nobody knows":       notice(bankKey, "NR-999999-1", "settlement", "200", "150000.00"),
		"another installation's order":     notice(bankKey, "order id; DROP TABLE orders", "settlement", "200", "1.00"),
		"paid, but it is not":              notice(bankKey, c.attempt(unpaid), "settlement", "200", "150000.00"),
		"paid with another amount":         notice(bankKey, c.attempt(unpaid), "settlement", "200", "1.00"),
		"paid with an amount that is none": notice(bankKey, c.attempt(unpaid), "settlement", "200", "a lot"),
		"a status of tomorrow":             notice(bankKey, c.attempt(unpaid), "teleported", "299", "150000.00"),
		"last year's pending":              notice(bankKey, c.attempt(paid), "pending", "201", "150000.00"),
		"last year's expiry":               notice(bankKey, c.attempt(paid), "expire", "202", "150000.00"),
		"a denial of what was paid":        notice(bankKey, c.attempt(paid), "deny", "202", "150000.00"),
		"a refund of what was paid":        notice(bankKey, c.attempt(paid), "refund", "200", "150000.00", "refund_amount", "150000.00"),
		"a chargeback of what was paid":    notice(bankKey, c.attempt(paid), "chargeback", "200", "150000.00"),
	}
	for name, body := range bodies {
		for range 3 { // and again, and again
			if a := c.notify(t, body); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
	for _, body := range c.received(t) { // what the provider did send, once more
		if a := c.notify(t, body); a.status != http.StatusOK {
			t.Errorf("a replay: %d %s", a.status, a.body)
		}
	}
	return len(bodies)
}

// received are the notifications that are kept, as they came.
func (c *counter) received(t *testing.T) []string {
	t.Helper()
	db := c.open(t)
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT body FROM payment_notifications")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%d notifications, %v", len(all), err)
	}
	return all
}
