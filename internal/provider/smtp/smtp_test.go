package smtp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/notify"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a mail server in this process whose answers the test chooses.
type peer struct {
	mu       sync.Mutex
	opened   int
	open     int
	most     int
	messages []string
	conns    []*server.Conn

	onMail func() error
	onRcpt func(to string) error
	onData func(c *server.Conn) error // after the message was read
	auth   func(user, password string) error
	port   int
}

// start serves on a free port until the test ends.
func (p *peer) start(t *testing.T, settings *tls.Config, implicit bool) *peer {
	t.Helper()
	s := server.NewServer(p)
	s.Domain, s.TLSConfig, s.ErrorLog = "peer.example", settings, log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = listener.Addr().(*net.TCPAddr).Port
	if implicit {
		listener = tls.NewListener(listener, settings)
	}
	done := make(chan struct{})
	go func() { _ = s.Serve(listener); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return p
}

func (p *peer) NewSession(c *server.Conn) (server.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened++
	p.open++
	p.most = max(p.most, p.open)
	p.conns = append(p.conns, c)
	s := &peerSession{peer: p, conn: c}
	if p.auth != nil {
		return &authSession{s}, nil
	}
	return s, nil
}

// counts returns how many connections were opened and how many messages arrived.
func (p *peer) counts() (opened, messages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened, len(p.messages)
}

// hangUp closes every connection from the server's side.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Conn().Close()
	}
}

type peerSession struct {
	peer *peer
	conn *server.Conn
}

func (s *peerSession) Reset() {}

func (s *peerSession) Logout() error {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	s.peer.open--
	return nil
}

func (s *peerSession) Mail(string, *server.MailOptions) error {
	if s.peer.onMail != nil {
		return s.peer.onMail()
	}
	return nil
}

func (s *peerSession) Rcpt(to string, _ *server.RcptOptions) error {
	if s.peer.onRcpt != nil {
		return s.peer.onRcpt(to)
	}
	return nil
}

func (s *peerSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.peer.onData != nil {
		if err := s.peer.onData(s.conn); err != nil {
			return err
		}
	}
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	s.peer.messages = append(s.peer.messages, string(content))
	return nil
}

type authSession struct{ *peerSession }

func (s *authSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *authSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error { return s.peer.auth(user, password) }), nil
}

func reply(code int, enhanced server.EnhancedCode, text string) error {
	return &server.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

func testSender(t *testing.T, p *peer, change func(*Config)) *Sender {
	t.Helper()
	config := Config{Host: "127.0.0.1", Port: p.port, Hello: "test.example", Timeout: 5 * time.Second}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func testMessage(class notify.Class) notify.Message {
	m := notify.Message{
		ID: "0198f1c2.order_confirmed.2@run.example", Kind: notify.OrderConfirmed, Class: class, Locale: "id",
		From: notify.Address{Name: `Gapura "Lari"`, Email: "tiket@run.example"}, ReplyTo: "halo@run.example",
		To:      notify.Address{Name: "Siti Ämĭnah, محمد", Email: "siti@example.id"},
		Subject: "Tiketmu: Gapura Lari Malam 2027 – sampai jumpa", Text: "Halo Siti,\n.\ntitik di awal baris\n", HTML: "<p>Halo Siti</p>",
		Attachments: []notify.Attachment{{Name: "tiket.pdf", Type: "application/pdf", Content: []byte("%PDF-1.3 …")}},
		Date:        time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC),
	}
	if class == notify.Bulk {
		m.Kind, m.Unsubscribe = notify.Broadcast, "https://run.example/u/xyz"
	}
	return m
}

// failure sends a message that must fail and returns why.
func failure(t *testing.T, s *Sender) *notify.SendError {
	t.Helper()
	err := s.Send(t.Context(), testMessage(notify.Transactional))
	var e *notify.SendError
	if !errors.As(err, &e) {
		t.Fatalf("%v is no SendError", err)
	}
	if strings.Contains(e.Error(), "siti@") {
		t.Errorf("the error tells the address: %v", e)
	}
	return e
}

func TestMessagesShareAConnection(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, nil)
	for range 10 {
		if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
			t.Fatal(err)
		}
	}
	if opened, messages := p.counts(); opened != 1 || messages != 10 {
		t.Errorf("%d messages over %d connections, want 10 over 1", messages, opened)
	}
}

func TestWhatArrivesIsWhatWasSent(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, nil)
	for _, class := range []notify.Class{notify.Transactional, notify.Bulk} {
		if err := s.Send(t.Context(), testMessage(class)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := mail.ReadMessage(strings.NewReader(p.messages[0]))
	if err != nil {
		t.Fatal(err)
	}
	want := testMessage(notify.Transactional)
	to, err := got.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Name != want.To.Name || to[0].Address != want.To.Email {
		t.Errorf("To: %v, %v", to, err)
	}
	if id := got.Header.Get("Message-ID"); id != "<"+want.ID+">" {
		t.Errorf("Message-ID: %s", id)
	}
	if got.Header.Get("List-Unsubscribe") != "" || got.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Error("a transactional mail is marked as a newsletter or not as automatic")
	}
	news, err := mail.ReadMessage(strings.NewReader(p.messages[1]))
	if err != nil {
		t.Fatal(err)
	}
	for header, value := range map[string]string{
		"List-Unsubscribe": "<https://run.example/u/xyz>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Precedence": "bulk",
	} {
		if news.Header.Get(header) != value {
			t.Errorf("%s: %q, want %q", header, news.Header.Get(header), value)
		}
	}
}

func TestWhatAReplyMeans(t *testing.T) {
	t.Parallel()
	none := server.NoEnhancedCode
	for _, test := range []struct {
		name string
		at   string
		err  error
		fate notify.Fate
	}{
		{"unknown mailbox", "RCPT", reply(550, server.EnhancedCode{5, 1, 1}, "<siti@example.id> unknown"), notify.Bounced},
		{"unknown mailbox without status", "RCPT", reply(550, none, "no such user"), notify.Bounced},
		{"disabled mailbox", "RCPT", reply(550, server.EnhancedCode{5, 2, 1}, "disabled"), notify.Bounced},
		{"blocked by policy", "RCPT", reply(550, server.EnhancedCode{5, 7, 1}, "blocked"), notify.Rejected},
		{"full mailbox", "RCPT", reply(552, server.EnhancedCode{5, 2, 2}, "full"), notify.Rejected},
		{"greylisted", "RCPT", reply(451, server.EnhancedCode{4, 7, 1}, "later"), notify.Temporary},
		{"sender not allowed", "MAIL", reply(550, server.EnhancedCode{5, 7, 1}, "who are you"), notify.Rejected},
		{"sender throttled", "MAIL", reply(452, server.EnhancedCode{4, 5, 3}, "slow down"), notify.Temporary},
		{"throttled after DATA", "end of DATA", reply(454, server.EnhancedCode{4, 3, 0}, "Throttling failure"), notify.Temporary},
		{"spam", "end of DATA", reply(554, server.EnhancedCode{5, 7, 1}, "spam"), notify.Rejected},
		{"unknown mailbox after DATA", "end of DATA", reply(550, server.EnhancedCode{5, 1, 1}, "unknown"), notify.Bounced},
		{"shutting down", "end of DATA", reply(421, server.EnhancedCode{4, 3, 2}, "bye"), notify.Temporary},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := &peer{}
			answer := func(at string) error {
				if at == test.at {
					return test.err
				}
				return nil
			}
			p.onMail = func() error { return answer("MAIL") }
			p.onRcpt = func(string) error { return answer("RCPT") }
			p.onData = func(*server.Conn) error { return answer("end of DATA") }
			e := failure(t, testSender(t, p.start(t, nil, false), nil))
			var want *server.SMTPError
			errors.As(test.err, &want)
			if e.Fate != test.fate || e.Code != want.Code || e.Stage != test.at {
				t.Errorf("got %v, want %s at %s", e, test.fate, test.at)
			}
		})
	}
}

func TestAReplyLeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	troubles := 1
	p := &peer{onData: func(*server.Conn) error {
		if troubles--; troubles >= 0 {
			return reply(454, server.EnhancedCode{4, 3, 0}, "Throttling failure")
		}
		return nil
	}}
	s := testSender(t, p.start(t, nil, false), nil)
	failure(t, s)
	if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
		t.Fatal(err)
	}
	if opened, _ := p.counts(); opened != 1 {
		t.Errorf("%d connections, want 1", opened)
	}
}

func TestALostAnswerAfterDataIsAmbiguous(t *testing.T) {
	t.Parallel()
	p := &peer{onData: func(c *server.Conn) error { return c.Conn().Close() }}
	if e := failure(t, testSender(t, p.start(t, nil, false), nil)); e.Fate != notify.Ambiguous || e.Stage != "end of DATA" {
		t.Errorf("%v", e)
	}
}

func TestASlowServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at   string
		fate notify.Fate
	}{{"MAIL", notify.Temporary}, {"RCPT", notify.Temporary}, {"end of DATA", notify.Ambiguous}} {
		t.Run(test.at, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			hang := func(at string) error {
				if at == test.at {
					<-release
				}
				return nil
			}
			p := &peer{
				onMail: func() error { return hang("MAIL") }, onRcpt: func(string) error { return hang("RCPT") },
				onData: func(*server.Conn) error { return hang("end of DATA") },
			}
			s := testSender(t, p.start(t, nil, false), func(c *Config) { c.Timeout = 200 * time.Millisecond })
			t.Cleanup(func() { close(release) })
			if e := failure(t, s); e.Fate != test.fate || e.Stage != test.at || !errors.Is(e, os.ErrDeadlineExceeded) {
				t.Errorf("%v", e)
			}
		})
	}
}

func TestAnEndedContextEndsTheAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	p := &peer{onData: func(*server.Conn) error { cancel(); <-release; return nil }}
	s := testSender(t, p.start(t, nil, false), nil)
	t.Cleanup(func() { close(release) })
	err := s.Send(ctx, testMessage(notify.Transactional))
	if !errors.Is(err, context.Canceled) || notify.FateOf(err) != notify.Ambiguous {
		t.Errorf("%v", err)
	}
}

func TestADeadRestingConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, nil)
	for range 3 {
		if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
			t.Fatal(err)
		}
		p.hangUp()
	}
	if opened, messages := p.counts(); opened != 3 || messages != 3 {
		t.Errorf("%d messages over %d connections, want 3 over 3", messages, opened)
	}
}

func TestConnectionsEndAfterTheirShare(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, func(c *Config) { c.PerConnection = 2 })
	for range 6 {
		if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
			t.Fatal(err)
		}
	}
	if opened, messages := p.counts(); opened != 3 || messages != 6 {
		t.Errorf("%d messages over %d connections, want 6 over 3", messages, opened)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, func(c *Config) { c.Connections = 3 })
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, messages := p.counts(); messages != 30 || p.most > 3 {
		t.Errorf("%d messages over at most %d connections at once, want 30 over 3", messages, p.most)
	}
}

func TestASenderThatIsClosedKeepsNoConnection(t *testing.T) {
	t.Parallel()
	p := (&peer{}).start(t, nil, false)
	s := testSender(t, p, nil)
	if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if err := s.Send(t.Context(), testMessage(notify.Transactional)); err != nil {
		t.Fatal(err)
	}
	if len(s.idle) != 0 {
		t.Errorf("%d connections rest after Close", len(s.idle))
	}
}

// selfSigned returns a server's configuration and the pool that trusts it.
func selfSigned(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, pool
}

func TestTLS(t *testing.T) {
	t.Parallel()
	settings, pool := selfSigned(t)
	var users []string
	auth := func(user, password string) error {
		users = append(users, user)
		if password != "geheim" {
			return errors.New("no")
		}
		return nil
	}
	for _, implicit := range []bool{false, true} {
		p := (&peer{auth: auth}).start(t, settings, implicit)
		security := StartTLS
		if implicit {
			security = Implicit
		}
		trusting := func(c *Config) {
			c.Security, c.TLS, c.Username, c.Password = security, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, "tiket", "geheim"
		}
		if err := testSender(t, p, trusting).Send(t.Context(), testMessage(notify.Transactional)); err != nil {
			t.Errorf("%s: %v", security, err)
		}
		e := failure(t, testSender(t, p, func(c *Config) { trusting(c); c.TLS = nil }))
		var unknown x509.UnknownAuthorityError
		if e.Fate != notify.Temporary || e.Stage != "connect" || !errors.As(e, &unknown) {
			t.Errorf("%s with a certificate nobody knows: %v", security, e)
		}
		e = failure(t, testSender(t, p, func(c *Config) { trusting(c); c.Password = "verkehrt" }))
		if e.Fate != notify.Temporary || e.Stage != "connect" || strings.Contains(e.Error(), "verkehrt") {
			t.Errorf("%s with a wrong password: %v", security, e)
		}
	}
	if len(users) != 4 {
		t.Errorf("authenticated %d times: %v", len(users), users)
	}
}

func TestAPasswordIsNotSentInTheClear(t *testing.T) {
	t.Parallel()
	seen := false
	p := (&peer{auth: func(string, string) error { seen = true; return nil }}).start(t, nil, false)
	s := testSender(t, p, func(c *Config) { c.Security, c.Username, c.Password = StartTLS, "tiket", "geheim" })
	if e := failure(t, s); e.Fate != notify.Temporary || seen {
		t.Errorf("%v; the server saw the password: %v", e, seen)
	}
	if c := (Config{Host: "mail.example", Port: 587, Username: "x"}).withDefaults(); c.Security != StartTLS {
		t.Errorf("a password for another machine goes over %q", c.Security)
	}
	if c := (Config{Host: "mail.example", Port: 465}).withDefaults(); c.Security != Implicit {
		t.Errorf("port 465 speaks %q", c.Security)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	if e := failure(t, testSender(t, &peer{port: port}, nil)); e.Fate != notify.Temporary || e.Stage != "connect" {
		t.Errorf("%v", e)
	}
	for _, c := range []Config{{Port: 25}, {Host: "x"}, {Host: "x", Port: 70000}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestAListenerThatSaysNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := testSender(t, &peer{port: listener.Addr().(*net.TCPAddr).Port}, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	if e := failure(t, s); e.Fate != notify.Temporary || e.Stage != "connect" {
		t.Errorf("%v", e)
	}
}

func TestDirectoryKeepsOneFileAMessage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail")
	d, err := NewDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		m := testMessage(notify.Transactional)
		m.ID = fmt.Sprintf("%d@run.example", i/2)
		if err := d.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(path)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	file, err := os.Open(filepath.Join(path, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if m, err := mail.ReadMessage(file); err != nil || m.Header.Get("Message-ID") == "" {
		t.Errorf("not a message: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Send(ended, testMessage(notify.Transactional)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := d.Send(t.Context(), testMessage(notify.Transactional)); notify.FateOf(err) != notify.Temporary || err == nil {
		t.Errorf("without its directory: %v", err)
	}
}
