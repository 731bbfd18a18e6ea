package app

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"gapura/internal/fault"
	"gapura/internal/httpapi"
)

// refusals is a listener on whose connections net/http's own refusals become problem documents. What cannot be read as a
// request, such as one with too large a header, never reaches a handler: net/http answers it in plain text and hangs up.
// Rejected: a limit of many megabytes and a handler that counts, because every connection could then take that much.
type refusals struct {
	net.Listener

	document func(status int) []byte
}

func (p *program) refusals(listener net.Listener) net.Listener {
	return refusals{listener, func(status int) []byte {
		code := fault.BadRequest
		if status == http.StatusRequestHeaderFieldsTooLarge {
			code = fault.HeaderTooLarge
		}
		return httpapi.ProblemText(code, status, p.cfg.baseURL(), p.cfg.AppLocale)
	}}
}

// Accept waits for a connection.
func (l refusals) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return &refusing{tcp, l.document}, nil
	}
	return conn, err
}

// refusing is a connection that translates what is not a handler's answer.
type refusing struct {
	*net.TCPConn

	document func(status int) []byte
}

// What net/http writes past every handler: the status line, these headers, and some words.
const (
	statusLine     = "HTTP/1.1 "
	refusalHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	refusalLength  = 512 // more than any of its refusals has
)

// refusedExpectation is how net/http begins its answer to an Expect that it does not know; no handler of ours has that status.
const refusedExpectation = statusLine + "417 "

// refusedStatus returns the status of one of net/http's own refusals, or 0. An answer of a handler has a date among its headers.
func refusedStatus(written []byte) int {
	if bytes.HasPrefix(written, []byte(refusedExpectation)) {
		return http.StatusExpectationFailed
	}
	line, rest, ok := bytes.Cut(written, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(line, []byte(statusLine)) || !bytes.HasPrefix(rest, []byte(refusalHeaders[len("\r\n"):])) {
		return 0
	}
	number, _, _ := bytes.Cut(line[len(statusLine):], []byte(" "))
	status, err := strconv.Atoi(string(number))
	if err != nil || status < 400 {
		return 0
	}
	return status
}

// Write implements net.Conn.
func (c *refusing) Write(b []byte) (int, error) {
	if len(b) > refusalLength {
		return c.TCPConn.Write(b)
	}
	status := refusedStatus(b)
	if status == 0 {
		return c.TCPConn.Write(b)
	}
	body := c.document(status)
	_, err := fmt.Fprintf(c.TCPConn, "%s%d %s\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		statusLine, status, http.StatusText(status), len(body), body)
	if err == nil {
		c.hearOut()
	}
	return len(b), err
}

// Bounds of what is still read from a client that was refused.
const (
	hearOutFor   = 2 * time.Second
	hearOutBytes = 16 << 20
)

// hearOut lets the client finish what it is sending: closed at once, the connection would be reset under it, and it would
// never read the answer.
func (c *refusing) hearOut() {
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(hearOutFor))
	_, _ = io.CopyN(io.Discard, c.TCPConn, hearOutBytes)
}
