package site

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/internal/calm"
	"gapura/internal/captcha"
	"gapura/internal/gate"
	"gapura/internal/ratelimit"
	"gapura/internal/registration"
)

// solved takes every answer for one that was solved for this form.
type solved struct{}

func (solved) Verify(_ context.Context, a captcha.Answer) (captcha.Solution, error) {
	return captcha.Solution{ID: a.Token, Action: "register", Host: "example.com", Expires: opening.Add(time.Minute)}, nil
}

// guarded puts a gate before the pages, with a captcha if withCaptcha says so.
func guarded(withCaptcha bool) func(*Config) {
	return func(c *Config) {
		cfg := gate.Config{Mode: gate.On, Limiter: ratelimit.NewLimiter(ratelimit.NewLocal(1024), nil, c.Clock)}
		if withCaptcha {
			cfg.Captcha = captcha.NewDesk(solved{}, captcha.NewLocalSpent(c.Clock, time.Hour, 100), c.Clock, captcha.Refuse, time.Second)
			c.Captcha = Captcha{Provider: "altcha", Action: "register"}
		}
		c.Gate = gate.New(cfg)
	}
}

func TestAFormThatIsSentOverAndOverIsLimited(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t, guarded(false))
	last := siti()
	for range 30 {
		if w := post(t, s, "/e/"+slug+"/daftar", last); w.Code == http.StatusTooManyRequests {
			t.Fatal("refused too early")
		}
	}
	w := post(t, s, "/e/"+slug+"/daftar", last)
	want(t, w, http.StatusTooManyRequests, "Terlalu banyak percobaan", `value="Siti Aminah"`)
	if w.Header().Get("Retry-After") == "" || !strings.HasPrefix(w.Header().Get("RateLimit"), `"orders-ticket";r=0`) {
		t.Errorf("headers %v", w.Header())
	}
}

func TestTheFormTakesACaptchaOnceAndSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	s, d := newSite(t, guarded(true))
	page := get(t, s, "/e/"+slug+"/daftar")
	want(t, page, http.StatusOK, `"captcha":{"provider":"altcha","action":"register"}`, `<noscript><p class="note warn">Acara ini memeriksa`)
	values := siti()
	want(t, post(t, s, "/e/"+slug+"/daftar", values), http.StatusForbidden, "Aktifkan JavaScript", `value="Siti Aminah"`)
	if len(d.orders) != 0 {
		t.Fatal("without a captcha there is an order")
	}
	values.Set("altcha", "answer")
	want(t, post(t, s, "/e/"+slug+"/daftar", values), http.StatusSeeOther)
	values.Del("altcha")
	want(t, post(t, s, "/e/"+slug+"/daftar", values), http.StatusSeeOther) // the order is there: the captcha does not matter
	other := siti()
	other.Set("key", "another-key-0123456789-01")
	other.Set("altcha", "answer")
	want(t, post(t, s, "/e/"+slug+"/daftar", other), http.StatusForbidden, "Pemeriksaan keamanan tidak berhasil")
}

// An order's page is limited by its token, which only its owner has, and kept out first when the house is full.
func TestOrderPagesAreGuarded(t *testing.T) {
	t.Parallel()
	door := calm.NewGate(calm.Limits{All: 10, Read: 5, Export: 1})
	s, d := newSite(t, guarded(false), func(c *Config) { c.Calm = door })
	o := d.order(250000, registration.AwaitingPayment, "Siti Aminah")
	path := "/orders/" + o.ID.String() + "?token="
	for range 120 {
		get(t, s, path+"guessed")
	}
	want(t, get(t, s, path+"guessed"), http.StatusTooManyRequests)
	want(t, get(t, s, path+d.Token(o.ID)), http.StatusOK)
	for range 6 {
		door.Enter(calm.Webhook)
	}
	if w := get(t, s, path+d.Token(o.ID)); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("with a full house: %d %v", w.Code, w.Header())
	}
	want(t, get(t, s, "/e/"+slug), http.StatusOK)
}
