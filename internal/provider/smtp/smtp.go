// Package smtp hands messages to mail servers: over a few kept connections, the urgent ones first, with every failure
// named for what it means. Without a server it writes them into a directory instead.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"sync"
	"time"

	"gapura/internal/notify"

	"github.com/wneessen/go-mail"
	smtpclient "github.com/wneessen/go-mail/smtp"
)

// Security is how a connection is protected.
type Security string

// The ways to protect a connection.
const (
	// Auto: TLS from the start on port 465; else STARTTLS, demanded if there is a password to protect and the server is not
	// this machine, and otherwise used if offered.
	Auto Security = ""
	// StartTLS demands STARTTLS.
	StartTLS Security = "starttls"
	// Implicit is TLS from the start.
	Implicit Security = "tls"
	// Plain never encrypts.
	Plain Security = "none"
)

// Config says which server and how.
type Config struct {
	Host     string
	Port     int
	Username string // empty: no authentication
	Password string
	Security Security
	TLS      *tls.Config // nil: the system's certificates; ServerName is set from Host if it is empty
	// Hello is this machine's name in EHLO; empty: the operating system's.
	Hello string
	// Connections is how many are open at most, 4 if 0. One is kept free of newsletters if there are two or more.
	Connections int
	// Timeout bounds one message from MAIL to the answer after DATA, and a connection's set-up; 30 s if 0.
	Timeout time.Duration
	// Idle is how long a connection may have rested to be used again, 30 s if 0: most servers hang up after a minute or more.
	Idle time.Duration
	// PerConnection is how many messages one connection carries, 100 if 0: many servers refuse more.
	PerConnection int
}

func (c Config) withDefaults() Config {
	setDefault(&c.Connections, 4)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Idle, 30*time.Second)
	setDefault(&c.PerConnection, 100)
	if c.Security == Auto && c.Port == 465 {
		c.Security = Implicit
	}
	if c.Security == Auto && c.Username != "" && !isLoopback(c.Host) {
		c.Security = StartTLS
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		settings = c.TLS.Clone()
	}
	if settings.ServerName == "" {
		settings.ServerName = c.Host
	}
	c.TLS = settings
	return c
}

func setDefault[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Sender is a notify.Sender over SMTP. It is safe for concurrent use.
type Sender struct {
	config Config
	gate   *gate

	mu     sync.Mutex
	idle   []*session
	closed bool
}

// New returns a sender; nothing is dialled before the first message.
func New(config Config) (*Sender, error) {
	if config.Host == "" || config.Port < 1 || config.Port > 65535 {
		return nil, fmt.Errorf("mail server %q, port %d: both must be set", config.Host, config.Port)
	}
	config = config.withDefaults()
	return &Sender{config: config, gate: newGate(config.Connections)}, nil
}

// Send hands m to the server. Its errors are *notify.SendError, or ctx's while it waited for a connection.
func (s *Sender) Send(ctx context.Context, m notify.Message) error {
	if err := s.gate.enter(ctx, m.Class); err != nil {
		return err
	}
	defer s.gate.leave()
	mime, err := build(m)
	if err != nil {
		return &notify.SendError{Fate: notify.Rejected, Stage: "compose", Cause: err}
	}
	for {
		session, err := s.session(ctx)
		if err != nil {
			return err
		}
		err = session.send(ctx, s.config.Timeout, mime)
		if session.broken {
			session.close()
		} else {
			s.rest(session)
		}
		if errors.Is(err, errStale) {
			continue // a resting connection had died: nothing was said on it, and the next is another
		}
		return err
	}
}

// Close ends the resting connections; those in use end with their message.
func (s *Sender) Close() error {
	s.mu.Lock()
	resting := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, r := range resting {
		r.quit()
	}
	return nil
}

// session returns a resting connection, the one used last first, or a new one.
func (s *Sender) session(ctx context.Context) (*session, error) {
	for {
		s.mu.Lock()
		n := len(s.idle)
		if n == 0 {
			s.mu.Unlock()
			return s.dial(ctx)
		}
		r := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		if time.Since(r.rested) < s.config.Idle && r.sent < s.config.PerConnection {
			return r, nil
		}
		r.quit()
	}
}

func (s *Sender) rest(r *session) {
	r.rested = time.Now()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.idle = append(s.idle, r)
	}
	s.mu.Unlock()
	if closed {
		r.quit()
	}
}

// dial opens a connection, through EHLO, TLS and authentication.
func (s *Sender) dial(ctx context.Context) (*session, error) {
	r := &session{}
	client, err := mail.NewClient(s.config.Host, s.options(r)...)
	if err != nil {
		return nil, connectError(err, nil)
	}
	r.mail = client
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	r.smtp, err = client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		r.close()
		return nil, connectError(err, ctx.Err())
	}
	return r, nil
}

func (s *Sender) options(r *session) []mail.Option {
	c := s.config
	options := []mail.Option{
		mail.WithPort(c.Port), mail.WithTimeout(c.Timeout), mail.WithTLSConfig(c.TLS), mail.WithTLSPolicy(policyOf(c.Security)),
		// A resting connection that died shows at MAIL, and an accepted message has ended its transaction: neither NOOP nor
		// RSET is worth a round trip a message.
		mail.WithoutNoop(), mail.WithoutRset(),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			return r.connect(ctx, network, address, c)
		}),
	}
	if c.Hello != "" {
		options = append(options, mail.WithHELO(c.Hello))
	}
	if c.Username != "" {
		options = append(options, mail.WithOpportunisticSMTPAuth(mechanisms(c.Security)...),
			mail.WithUsername(c.Username), mail.WithPassword(c.Password))
	}
	return options
}

// mechanisms lists how to authenticate, best first. PLAIN and LOGIN refuse by themselves to run without TLS, except to this
// machine or where Plain was chosen.
func mechanisms(s Security) []mail.SMTPAuthType {
	if s == Plain {
		return []mail.SMTPAuthType{mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthCramMD5, mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc}
	}
	return []mail.SMTPAuthType{mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin}
}

func policyOf(s Security) mail.TLSPolicy {
	switch s {
	case StartTLS:
		return mail.TLSMandatory
	case Implicit, Plain:
		return mail.NoTLS // TLS is below already, or not wanted
	default:
		return mail.TLSOpportunistic
	}
}

// connectError keeps the reply's code and drops its text, which may quote what must not be logged.
func connectError(err, ended error) error {
	e := &notify.SendError{Fate: notify.Temporary, Stage: "connect", Cause: err}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		e.Code, e.Cause = reply.Code, nil
	}
	if ended != nil {
		e.Cause = ended
	}
	return e
}

// session is one connection.
type session struct {
	mail   *mail.Client
	smtp   *smtpclient.Client
	conn   *boundedConn
	sent   int
	rested time.Time
	broken bool // not to be used again
}

// errStale says that a connection which had rested was dead before anything was said on it.
var errStale = errors.New("the server had closed the resting connection")

func (r *session) connect(ctx context.Context, network, addr string, c Config) (net.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	r.conn = &boundedConn{Conn: raw}
	if deadline, ok := ctx.Deadline(); ok {
		r.conn.bound(deadline)
	}
	if c.Security != Implicit {
		return r.conn, nil
	}
	secure := tls.Client(r.conn, c.TLS)
	return secure, secure.HandshakeContext(ctx)
}

// send gives one message to the server, in at most timeout and not beyond ctx.
func (r *session) send(ctx context.Context, timeout time.Duration, m *mail.Msg) error {
	deadline := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	r.conn.bound(deadline)
	stop := context.AfterFunc(ctx, r.conn.expire)
	err := r.mail.SendWithSMTPClient(r.smtp, m)
	if !stop() {
		r.broken = true // its deadline is gone, whatever became of this message
	}
	reused := r.sent > 0
	r.sent++
	var failure *mail.SendError
	switch {
	case err == nil || m.IsDelivered():
		return nil
	case !errors.As(err, &failure):
		r.broken = true
		return &notify.SendError{Fate: notify.Temporary, Stage: "send", Cause: r.cause(ctx)}
	}
	return r.judge(ctx, failure, reused)
}

// judge says what a failed attempt means for the message, the address and the connection.
func (r *session) judge(ctx context.Context, failure *mail.SendError, reused bool) error {
	e := &notify.SendError{Code: failure.ErrorCode(), Enhanced: failure.EnhancedStatusCode(), Stage: stageOf(failure.Reason)}
	silent := e.Code == 0
	if silent || e.Code == 421 || failure.Reason == mail.ErrWriteContent {
		r.broken = true
	}
	if silent {
		e.Cause = r.cause(ctx)
	}
	early := failure.Reason == mail.ErrConnCheck || failure.Reason == mail.ErrSMTPMailFrom
	if silent && early && reused && ctx.Err() == nil && !errors.Is(e.Cause, errDeadline) {
		return errStale
	}
	e.Fate = fateOf(failure.Reason, e.Code, e.Enhanced)
	return e
}

func (r *session) cause(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.conn.failure()
}

// quit says goodbye; close does not.
func (r *session) quit() {
	r.conn.bound(time.Now().Add(2 * time.Second)) // the answer to QUIT is worth no more
	_ = r.smtp.UpdateDeadline(2 * time.Second)
	_ = r.smtp.Quit()
	r.close()
}

func (r *session) close() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
}

func stageOf(reason mail.SendErrReason) string {
	switch reason {
	case mail.ErrSMTPMailFrom:
		return "MAIL"
	case mail.ErrSMTPRcptTo:
		return "RCPT"
	case mail.ErrSMTPData:
		return "DATA"
	case mail.ErrWriteContent:
		return "content"
	case mail.ErrSMTPDataClose:
		return "end of DATA"
	case mail.ErrConnCheck:
		return "connection"
	default:
		return "compose"
	}
}

// fateOf reads a reply. Silence after the message was sent is the one ambiguous case. A refused recipient bounces if the
// mailbox is at fault: a policy against us (5.7.x) or a full mailbox (552, 5.2.2) says nothing about the address.
func fateOf(reason mail.SendErrReason, code int, enhanced string) notify.Fate {
	switch {
	case code == 0 && reason == mail.ErrSMTPDataClose:
		return notify.Ambiguous
	case code == 0 && stageOf(reason) == "compose":
		return notify.Rejected
	case code < 500:
		return notify.Temporary
	case reason == mail.ErrSMTPRcptTo || reason == mail.ErrSMTPDataClose:
		return refusal(reason, code, enhanced)
	default:
		return notify.Rejected
	}
}

func refusal(reason mail.SendErrReason, code int, enhanced string) notify.Fate {
	switch {
	case len(enhanced) >= 4 && enhanced[:4] == "5.1.", enhanced == "5.2.1":
		return notify.Bounced
	case enhanced == "" && reason == mail.ErrSMTPRcptTo && (code == 550 || code == 551 || code == 553):
		return notify.Bounced
	default:
		return notify.Rejected
	}
}
