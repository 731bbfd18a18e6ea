// Package inbox is the mail server of a rehearsal: it takes what the server under rehearsal sends, on this machine only, reads the
// codes of waiting rooms as a person would, and throws the rest away.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"gapura/internal/lifecycle"
)

// What a server that sends too much is held to. A program keeps four connections; of a message only the beginning is kept in memory,
// so the limit of its size is for a sender that never ends.
const (
	maxConnections = 64
	maxMessage     = 8 << 20 // bytes; five tickets and an invoice are below one
	maxRead        = 64 << 10
	maxRecipients  = 10
	idle           = time.Minute // the program closes its own after half of it
)

// Letter is a mail with a code.
type Letter struct {
	To           string
	Confirmation string // whose code it is: the same text as in the answer to whoever asked
	Code         string
}

// Box is an open mail server.
type Box struct {
	address string
	server  *smtp.Server
	door    *door
	group   *lifecycle.Group
	reader  atomic.Pointer[func(Letter)]
	mails   atomic.Int64
}

// Open listens at address, which must be of this machine: a host that is a loopback address, and a port, 0 for any. It ends with
// Close.
func Open(ctx context.Context, address string) (*Box, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("mail address %q: give a host and a port, such as 127.0.0.1:2525", address)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("mail address %s is not of this machine only: use a loopback address, such as 127.0.0.1:2525", address)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("mail address %s: %w", address, err)
	}
	b := &Box{address: listener.Addr().String(), door: newDoor(listener, maxConnections), group: lifecycle.NewGroup(context.WithoutCancel(ctx))}
	b.server = smtp.NewServer(b)
	b.server.Domain, b.server.ErrorLog = "rehearsal.invalid", log.New(io.Discard, "", 0)
	b.server.MaxMessageBytes, b.server.MaxRecipients = maxMessage, maxRecipients
	b.server.ReadTimeout, b.server.WriteTimeout = idle, idle
	b.group.Go("mail", func(context.Context) { _ = b.server.Serve(b.door) }) // it returns when Close has closed the listener
	return b, nil
}

// Address is where it listens.
func (b *Box) Address() string { return b.address }

// Mails counts the mails taken so far, whatever they said.
func (b *Box) Mails() int64 { return b.mails.Load() }

// Hand gives every letter that comes from now on to reader, from several goroutines at once; nil ends that.
func (b *Box) Hand(reader func(Letter)) {
	if reader == nil {
		b.reader.Store(nil)
		return
	}
	b.reader.Store(&reader)
}

// Close hangs up and waits until nobody is connected any more.
func (b *Box) Close() error {
	err := b.server.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		err = nil // a second time
	}
	b.door.wait()
	ctx, cancel := context.WithTimeout(context.Background(), idle)
	defer cancel()
	return errors.Join(err, b.group.Stop(ctx))
}

// NewSession implements smtp.Backend.
func (b *Box) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

// session is one connection's.
type session struct {
	box *Box
	to  []string
}

// Mail implements smtp.Session: any sender will do.
func (s *session) Mail(string, *smtp.MailOptions) error {
	s.to = nil
	return nil
}

// Rcpt implements smtp.Session: everybody in a rehearsal has a mailbox here.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session. A mail without a code is taken too: the server sends others, which nobody here reads.
func (s *session) Data(body io.Reader) error {
	confirmation, code := read(io.LimitReader(body, maxRead))
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	s.box.mails.Add(1)
	reader := s.box.reader.Load()
	if code == "" || reader == nil {
		return nil
	}
	for _, to := range s.to {
		(*reader)(Letter{To: to, Confirmation: confirmation, Code: code})
	}
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.to = nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }
