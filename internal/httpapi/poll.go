package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The request line of a poll, around the event's slug.
const (
	pollBegins = "GET /api/v1/events/"
	pollEnds   = "/queue HTTP/1.1\r\n"
)

// PollRoute is the pattern of the route that polls are for.
const PollRoute = "GET /api/v1/events/{slug}/queue"

// AppendPoll appends the answer to a poll, where request is the whole of one and nothing else, and returns its status; it appends
// nothing and returns 0 for everything that is not plainly that. The answer is the one of getQueue.
//
// In the second of opening polls are most of what a server is asked, and net/http is most of what one costs: this way a server
// answers 1.5 times as many as a bare handler (docs/performance.md). It reads a part of RFC 9112 that is easily read right: one
// request line without a query, lines of headers, no body. What it does not understand goes to net/http with every byte.
func (a *API) AppendPoll(answer, request []byte, now time.Time) ([]byte, int) {
	rest, ok := bytes.CutPrefix(request, []byte(pollBegins))
	if !ok || a.cfg.Queue == nil {
		return answer, 0
	}
	end := bytes.IndexByte(rest, '\n') + 1
	slug, ok := bytes.CutSuffix(rest[:end], []byte(pollEnds))
	if !ok {
		return answer, 0
	}
	tag, ok := pollHeaders(rest[end:])
	if !ok {
		return answer, 0
	}
	eventID, ok := a.cfg.Queue.Room(string(slug))
	if !ok {
		return answer, 0
	}
	page, err := a.cfg.Queue.Page(eventID)
	if err != nil {
		return answer, 0
	}
	unchanged := len(tag) > 0 && bytes.Contains(tag, []byte(page.ETag))
	if unchanged {
		answer = append(answer, "HTTP/1.1 304 Not Modified\r\nCache-Control: "...)
		answer = append(answer, cacheQueue[0]...)
	} else {
		answer = append(answer, "HTTP/1.1 200 OK\r\nCache-Control: "...)
		answer = append(answer, cacheQueue[0]...)
		answer = append(answer, "\r\nContent-Length: "...)
		answer = strconv.AppendInt(answer, int64(len(page.Body)), 10)
		answer = append(append(answer, "\r\nContent-Type: "...), jsonType[0]...)
	}
	answer = append(append(answer, "\r\nEtag: "...), page.ETag...)
	answer = now.UTC().AppendFormat(append(answer, "\r\nDate: "...), http.TimeFormat)
	answer = append(answer, "\r\n\r\n"...)
	if unchanged {
		return answer, http.StatusNotModified
	}
	return append(answer, page.Body...), http.StatusOK
}

// pollHeaders returns the first If-None-Match of the headers with which a request ends, or false for headers that are damaged,
// that say more of the connection or of a body than a poll has to say, or that are followed by anything.
func pollHeaders(headers []byte) (tag []byte, ok bool) {
	hosts := 0
	for {
		end := bytes.IndexByte(headers, '\n')
		if end < 1 || headers[end-1] != '\r' {
			return nil, false
		}
		line := headers[:end-1]
		headers = headers[end+1:]
		if len(line) == 0 {
			return tag, len(headers) == 0 && hosts == 1
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isToken(name) || !isText(value) {
			return nil, false
		}
		value = bytes.Trim(value, " \t")
		switch headerKind(name) {
		case hostHeader:
			if hosts++; !isHost(value) {
				return nil, false
			}
		case matchHeader:
			if tag == nil {
				tag = value
			}
		case connectionHeader:
			if !equalFold(value, "keep-alive") {
				return nil, false
			}
		case bodyHeader:
			return nil, false
		case otherHeader:
		}
	}
}

// kindOfHeader is what a header's name means for a poll.
type kindOfHeader uint8

const (
	otherHeader kindOfHeader = iota
	hostHeader
	matchHeader
	connectionHeader
	bodyHeader // or another protocol, or an answer before the answer
)

func headerKind(name []byte) kindOfHeader {
	switch len(name) { // names that matter have lengths of their own, or nearly
	case len("Host"):
		return kindIf(name, "host", hostHeader)
	case len("If-None-Match"):
		return kindIf(name, "if-none-match", matchHeader)
	case len("Connection"):
		return kindIf(name, "connection", connectionHeader)
	case len("Content-Length"):
		return kindIf(name, "content-length", bodyHeader)
	case len("Transfer-Encoding"):
		return kindIf(name, "transfer-encoding", bodyHeader)
	case len("Expect"):
		return kindIf(name, "expect", bodyHeader)
	case len("Upgrade"): // and Trailer
		return max(kindIf(name, "upgrade", bodyHeader), kindIf(name, "trailer", bodyHeader))
	}
	return otherHeader
}

func kindIf(name []byte, wanted string, kind kindOfHeader) kindOfHeader {
	if equalFold(name, wanted) {
		return kind
	}
	return otherHeader
}

// equalFold reports whether text is lower in any case; only ASCII letters have one.
func equalFold(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// isToken reports whether name is a header's: RFC 9110, section 5.6.2.
func isToken(name []byte) bool {
	for _, b := range name {
		if !isAlphanumeric(b) && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return len(name) > 0
}

// isText reports whether value has no control characters but tabs.
func isText(value []byte) bool {
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether value is a host as one is written plainly; the whole grammar is net/http's business.
func isHost(value []byte) bool {
	for _, b := range value {
		if !isAlphanumeric(b) && b != '.' && b != '-' && b != ':' && b != '[' && b != ']' {
			return false
		}
	}
	return len(value) > 0
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
