package standin

import (
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"gapura/internal/money"
)

//go:embed assets
var assets embed.FS

// render parses its page for every call: a stand-in is not in a hurry.
func render(w http.ResponseWriter, status int, name string, data any) {
	t, err := template.ParseFS(assets, "assets/*.html")
	var b strings.Builder
	if err == nil {
		err = t.ExecuteTemplate(&b, name, data)
	}
	if err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String()))
}

func style(w http.ResponseWriter, _ *http.Request) {
	b, err := assets.ReadFile("assets/style.css")
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(b)
}

// pageView is what the payment page shows.
type pageView struct {
	OrderID string
	Gross   string
	Payer   string
	Items   []itemView
	Ends    string // time of day, WIB
	State   string // choose, card, pending, done or closed
	Groups  []groupView
	Channel Channel
	Number  string
	Grouped string // Number in groups of four
	QR      template.HTML
	Status  string
	TitleID string
	TitleEN string
	Good    bool
	Finish  string
}

type itemView struct {
	Name     string
	Quantity int64
	Sum      string
}

type groupView struct {
	ID, EN   string
	Channels []Channel
}

func rupiah(n int64) string { return money.Rupiah(n).String() }

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.pass()
	t := s.txs[s.tokens[r.PathValue("token")]]
	if t == nil {
		s.mu.Unlock()
		render(w, http.StatusNotFound, "page.html", pageView{State: "closed", TitleID: "Halaman tidak ditemukan", TitleEN: "Page not found"})
		return
	}
	v := s.show(t, r.URL.Query().Get("channel"))
	finish := t.Finish
	s.mu.Unlock()
	// The form's answer leads to the merchant's page, which form-action must allow by name.
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"+origin(finish))
	render(w, http.StatusOK, "page.html", v)
}

func origin(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return " " + u.Scheme + "://" + u.Host
}

func (s *Server) show(t *transaction, chosen string) pageView {
	v := pageView{
		OrderID: t.OrderID, Gross: rupiah(t.Gross), Payer: t.Payer, Ends: s.until(t.PageEnds), Status: t.Status,
		Finish: finishURL(t),
	}
	for _, i := range t.Items {
		v.Items = append(v.Items, itemView{Name: i.Name, Quantity: i.Quantity, Sum: rupiah(i.Price * i.Quantity)})
	}
	c, isCard := channelOf(chosen)
	switch {
	case t.payable(s.clock.Now()) && isCard && c.Instant:
		v.State, v.Channel = "card", c
	case t.payable(s.clock.Now()):
		v.State, v.Groups = "choose", groups(t.Enabled)
	case t.Status == "pending":
		v.State, v.Channel, v.Number, v.Grouped = "pending", t.channel(), t.Number, grouped(t.Number)
		v.Ends = s.until(t.Ends)
		if v.Channel.Group == "qr" {
			v.QR = qrSVG("SIMULASI-BUKAN-UANG/" + t.OrderID + "/" + t.TransactionID)
		}
	case t.Charge:
		v.State = "done"
		v.TitleID, v.TitleEN, v.Good = words(t)
	default:
		v.State, v.TitleID, v.TitleEN = "closed", "Halaman pembayaran ini sudah ditutup", "This payment page is closed"
	}
	return v
}

// until writes a moment in western Indonesian time: pukul 12.29 WIB, or 2/12 pukul 12.29 WIB if that is not today.
func (s *Server) until(t time.Time) string {
	t, today := t.In(wib), s.clock.Now().In(wib)
	layout := "pukul 15.04 WIB"
	if t.YearDay() != today.YearDay() || t.Year() != today.Year() {
		layout = "2/1 pukul 15.04 WIB"
	}
	return t.Format(layout)
}

func words(t *transaction) (indonesian, english string, good bool) {
	switch t.Status {
	case "settlement":
		return "Pembayaran berhasil", "Payment received", true
	case "capture":
		if t.Fraud == "challenge" {
			return "Pembayaran sedang ditinjau", "Payment under review", false
		}
		return "Pembayaran berhasil", "Payment received", true
	case "expire":
		return "Waktu pembayaran habis", "The time to pay is over", false
	case "cancel":
		return "Pembayaran dibatalkan", "Payment cancelled", false
	case "refund", "partial_refund":
		return "Dana dikembalikan", "Money returned", true
	}
	return "Pembayaran ditolak", "Payment declined", false
}

// groups are the channels that the merchant enabled; an alias enables several, and nothing enabled means everything.
func groups(enabled []string) []groupView {
	all := []groupView{
		{ID: "QR dan dompet digital", EN: "QR and e-wallets"},
		{ID: "Transfer bank (virtual account)", EN: "Bank transfer"},
		{ID: "Kartu", EN: "Card"},
		{ID: "Bayar di gerai", EN: "Pay at a store"},
	}
	at := map[string]int{"qr": 0, "va": 1, "card": 2, "store": 3}
	for _, c := range channels {
		if offered(c, enabled) {
			g := &all[at[c.Group]]
			g.Channels = append(g.Channels, c)
		}
	}
	return slices.DeleteFunc(all, func(g groupView) bool { return len(g.Channels) == 0 })
}

func offered(c Channel, enabled []string) bool {
	return len(enabled) == 0 || slices.Contains(enabled, c.Key) || slices.Contains(enabled, c.Type) ||
		c.Group == "va" && slices.Contains(enabled, "bank_transfer")
}

func grouped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// qrSVG draws a code as one path. Its content says that it is no payment.
func qrSVG(content string) template.HTML {
	code, err := qr.Encode(content, qr.M)
	if err != nil {
		return ""
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				path.WriteString("M" + strconv.Itoa(x) + " " + strconv.Itoa(y) + "h1v1h-1z")
			}
		}
	}
	size := strconv.Itoa(code.Size + 4)
	return template.HTML(`<svg class="qr" viewBox="-2 -2 ` + size + ` ` + size + `" role="img" aria-label="Kode QR simulasi"><path d="` + path.String() + `"/></svg>`) //nolint:gosec // digits only
}

// act does what a button says and sends the browser on.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	s.mu.Lock()
	t := s.txs[s.tokens[r.PathValue("token")]]
	s.mu.Unlock()
	if t == nil {
		http.NotFound(w, r)
		return
	}
	action, channel := r.PostFormValue("action"), r.PostFormValue("channel")
	self := r.PathValue("token") // relative, so that it also holds behind a prefix
	if c, ok := channelOf(channel); ok && c.Instant && action == "choose" {
		seeOther(w, self+"?channel="+channel)
		return
	}
	err := s.perform(t.OrderID, action, channel)
	s.mu.Lock()
	target := finishURL(t)
	s.mu.Unlock()
	if err != nil || target == "" || action == "choose" || action == "close" {
		target = self // the page shows what became of it
	}
	seeOther(w, target)
}

// seeOther redirects without making the target absolute, which http.Redirect does with a path that may lack its prefix.
func seeOther(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

func (s *Server) perform(orderID, action, channel string) error {
	switch action {
	case "choose":
		return s.Choose(orderID, channel)
	case "pay":
		return s.Pay(orderID, channel)
	case "deny":
		return s.denyOnPage(orderID, channel)
	case "challenge":
		return s.Challenge(orderID)
	case "expire":
		return s.Expire(orderID)
	case "close":
		return s.CloseSilently(orderID)
	}
	return errors.New("there is no such button")
}

// denyOnPage lets a card be refused, which begins and ends its charge at once, or a pending payment fail.
func (s *Server) denyOnPage(orderID, channel string) error {
	return s.withTransaction(orderID, func(t *transaction) error {
		if t.Status != "pending" {
			if err := s.charge(t, channel); err != nil {
				return err
			}
		}
		s.become(t, "deny")
		return nil
	})
}

// finishURL is where the browser returns, with the parameters that the provider adds. They prove nothing.
func finishURL(t *transaction) string {
	u, err := url.Parse(t.Finish)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	q := u.Query()
	q.Set("order_id", t.OrderID)
	if t.Status != "" {
		q.Set("status_code", statusCode(t))
		q.Set("transaction_status", t.Status)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
