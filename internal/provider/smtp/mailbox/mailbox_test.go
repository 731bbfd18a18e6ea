package mailbox_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gapura/internal/notify"
	"gapura/internal/provider/smtp"
	"gapura/internal/provider/smtp/mailbox"
)

func testMessage(id, subject string) notify.Message {
	return notify.Message{
		ID: id, Kind: notify.OrderConfirmed, Locale: "id", From: notify.Address{Name: "Gapura", Email: "tiket@run.example"},
		To: notify.Address{Name: "محمد <b>", Email: "siti@example.id"}, Subject: subject, Text: "Halo Siti, </pre><script>alert(1)</script>",
		HTML:        `<p>Halo <a href="https://run.example/pay">bayar</a></p><script>alert(1)</script>`,
		Attachments: []notify.Attachment{{Name: "tiket.pdf", Type: "application/pdf", Content: []byte("%PDF-1.3 x")}, {Name: "a.html", Type: "text/html", Content: []byte("<script>")}},
		Date:        time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC),
	}
}

// box returns a mailbox over a directory with those messages in it.
func box(t *testing.T, messages ...notify.Message) (http.Handler, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := smtp.NewDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if err := d.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	h, err := mailbox.New(dir, "/_mailbox", "id", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h, dir
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// names returns the messages of the list, in its order.
func names(t *testing.T, h http.Handler, path string) []string {
	t.Helper()
	var out []string
	for _, piece := range strings.Split(get(t, h, path).Body.String(), `href="/_mailbox/`)[1:] {
		if name, _, _ := strings.Cut(piece, `"`); len(name) == 32 {
			out = append(out, name)
		}
	}
	return out
}

func TestTheNewestMessageIsFirst(t *testing.T) {
	t.Parallel()
	h, dir := box(t, testMessage("1@x", "Pertama"), testMessage("2@x", "Kedua"))
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for i, f := range files {
		at := time.Date(2026, 12, 1, i, 0, 0, 0, time.UTC)
		if err := os.Chtimes(f, at, at); err != nil {
			t.Fatal(err)
		}
	}
	got := names(t, h, "/_mailbox")
	if len(got) != 2 || got[0]+".eml" != filepath.Base(files[1]) {
		t.Errorf("listed %v, written last %s", got, filepath.Base(files[1]))
	}
	if got := names(t, h, "/_mailbox?q=KEDUA"); len(got) != 1 {
		t.Errorf("searching found %v", got)
	}
	if body := get(t, h, "/_mailbox?q=nothing").Body.String(); !strings.Contains(body, "Tidak ada yang cocok") {
		t.Error("an empty result says nothing")
	}
}

func TestAMessageAndItsParts(t *testing.T) {
	t.Parallel()
	h, _ := box(t, testMessage("1@x", "Tiket <Anda>"))
	at := "/_mailbox/" + names(t, h, "/_mailbox/")[0]
	page := get(t, h, at).Body.String()
	for _, want := range []string{"Tiket &lt;Anda&gt;", "محمد &lt;b&gt;", "1@x", "tiket.pdf", `sandbox="allow-popups allow-popups-to-escape-sandbox"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if text := get(t, h, at+"?text").Body.String(); strings.Contains(text, "<script") || !strings.Contains(text, "Halo Siti") {
		t.Error("the text part is missing or not escaped")
	}
	html := get(t, h, at+"/html")
	if !strings.Contains(html.Body.String(), `<a href="https://run.example/pay">`) || !strings.HasPrefix(html.Body.String(), "<!doctype html>") {
		t.Errorf("the frame shows %q", html.Body)
	}
	policy := html.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sandbox ") || strings.Contains(policy, "allow-scripts") || strings.Contains(policy, "allow-same-origin") {
		t.Errorf("the frame's policy is %q", policy)
	}
	pdf := get(t, h, at+"/files/1")
	if pdf.Header().Get("Content-Type") != "application/pdf" || !bytes.Equal(pdf.Body.Bytes(), []byte("%PDF-1.3 x")) {
		t.Errorf("attachment: %v %q", pdf.Header(), pdf.Body)
	}
	other := get(t, h, at+"/files/2")
	if other.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(other.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("an HTML attachment is served as %v", other.Header())
	}
	if raw := get(t, h, at+"/raw"); !strings.Contains(raw.Body.String(), "Message-ID: <1@x>") || raw.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error("the source is missing")
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	h, _ := box(t, testMessage("1@x", "Tiket"))
	at := "/_mailbox/" + names(t, h, "/_mailbox")[0]
	for _, path := range []string{"/_mailbox", "/_mailbox/style.css", at, at + "/html", at + "/raw", at + "/files/1", at + "/nothing"} {
		header := get(t, h, path).Header()
		if !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, header)
		}
	}
}

func TestNothingOutsideIsRead(t *testing.T) {
	t.Parallel()
	h, dir := box(t)
	secret := strings.Repeat("a", 32)
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), secret+".eml"), []byte("Subject: x\r\n\r\nsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		secret, "..%2f" + secret, "..%2F..%2Fetc%2Fpasswd", "notes.txt", "%00", strings.Repeat("A", 32), strings.Repeat("0", 32),
	} {
		if w := get(t, h, "/_mailbox/"+name); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
	}
	if got := names(t, h, "/_mailbox"); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
}

func TestBrokenMessages(t *testing.T) {
	t.Parallel()
	h, dir := box(t, testMessage("1@x", "Gesund"))
	deep := "Content-Type: multipart/mixed; boundary=b0\r\n\r\n"
	for i := range 20 {
		deep += fmt.Sprintf("--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", i, i+1)
	}
	for name, content := range map[string]string{
		strings.Repeat("1", 32): "",
		strings.Repeat("2", 32): "no header at all",
		strings.Repeat("3", 32): deep,
		strings.Repeat("4", 32): "Content-Transfer-Encoding: base64\r\n\r\n!!!",
		strings.Repeat("5", 32): "Content-Type: multipart/mixed\r\n\r\nno boundary",
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".eml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if w := get(t, h, "/_mailbox/"+name); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "log") {
			t.Errorf("%s: %d %q", name[:1], w.Code, w.Body)
		}
	}
	if body := get(t, h, "/_mailbox").Body.String(); !strings.Contains(body, "Gesund") {
		t.Error("one broken message hides the others")
	}
}

func TestAnEmptyMailbox(t *testing.T) {
	t.Parallel()
	h, dir := box(t)
	if w := get(t, h, "/_mailbox"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Belum ada email") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if w := get(t, h, "/_mailbox"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Belum ada email") {
		t.Errorf("without its directory: %d", w.Code)
	}
	english, err := mailbox.New(t.TempDir(), "/box/", "en", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if w := get(t, english, "/box"); !strings.Contains(w.Body.String(), "No mail yet") || !strings.Contains(w.Body.String(), `href="/box/style.css"`) {
		t.Errorf("%q", w.Body)
	}
}
