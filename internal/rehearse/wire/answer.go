package wire

import (
	"bytes"
	"fmt"
)

// maxAnswer bounds what is kept of one answer: the largest one, an order of five participants, has about 3 KB.
const maxAnswer = 4 << 20

// Answer is what is read of an HTTP answer.
type Answer struct {
	Status     int
	RetryAfter int  // seconds; 0: not given
	Replayed   bool // Idempotent-Replayed: true
	ETag       []byte
	Body       []byte // like ETag valid until the next exchange

	close bool
}

var crlf, headEnd = []byte("\r\n"), []byte("\r\n\r\n")

// parse reads b as an answer and reports whether it is complete.
func (a *Answer) parse(b []byte) (bool, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return false, nil
	}
	if len(b) < 13 || string(b[:7]) != "HTTP/1." {
		return false, fmt.Errorf("%w: no status line", ErrMalformed)
	}
	*a = Answer{Status: number(b[9:12]), close: b[7] == '0'}
	length, chunked := a.headers(b[:end+2])
	body := b[end+4:]
	switch {
	case chunked:
		return a.unchunk(body)
	case length >= 0:
		a.Body = body[:min(length, len(body))]
		return len(body) >= length, nil
	case a.Status == 204 || a.Status == 304:
		return true, nil
	default:
		return false, fmt.Errorf("%w: neither a length nor chunks", ErrMalformed)
	}
}

// headers reads the few header fields that matter; head ends with the last field's line break.
func (a *Answer) headers(head []byte) (length int, chunked bool) {
	length = -1
	for {
		eol := bytes.Index(head, crlf)
		if eol < 0 {
			return length, chunked
		}
		line := head[:eol]
		head = head[eol+2:]
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
		switch len(name) {
		case len("ETag"):
			if same(name, "etag") {
				a.ETag = value
			}
		case len("Content-Length"):
			if same(name, "content-length") {
				length = number(value)
			}
		case len("Transfer-Encoding"):
			if same(name, "transfer-encoding") {
				chunked = same(value, "chunked")
			}
		case len("Connection"):
			if same(name, "connection") {
				a.close = same(value, "close")
			}
		case len("Retry-After"):
			if same(name, "retry-after") {
				a.RetryAfter = number(value)
			}
		case len("Idempotent-Replayed"):
			if same(name, "idempotent-replayed") {
				a.Replayed = same(value, "true")
			}
		}
	}
}

// unchunk joins the chunks of body. It copies into a new slice while the answer is incomplete elsewhere: chunked answers are
// the rare, long ones, so the cost does not matter.
func (a *Answer) unchunk(body []byte) (bool, error) {
	var joined []byte
	for {
		eol := bytes.Index(body, crlf)
		if eol < 0 {
			return false, nil
		}
		size, ok := hex(body[:eol])
		if !ok || size > maxAnswer {
			return false, fmt.Errorf("%w: chunk size %q", ErrMalformed, body[:min(eol, 20)])
		}
		body = body[eol+2:]
		if len(body) < size+2 {
			return false, nil
		}
		if size == 0 {
			a.Body = joined
			return true, nil
		}
		joined = append(joined, body[:size]...)
		body = body[size+2:]
	}
}

// number reads leading decimal digits; anything else is 0.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<40 {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func hex(b []byte) (int, bool) {
	if i := bytes.IndexByte(b, ';'); i >= 0 {
		b = b[:i]
	}
	n := 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int(c|0x20-'a'+10)
		default:
			return 0, false
		}
		if n > maxAnswer {
			return n, true
		}
	}
	return n, len(b) > 0
}

// same compares without regard to the case of ASCII letters; lower is in lower case.
func same(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
