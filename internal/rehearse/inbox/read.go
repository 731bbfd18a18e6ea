package inbox

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
)

var (
	link              = regexp.MustCompile(`https?://\S+`)
	confirmationShape = regexp.MustCompile(`^[0-9a-f]{32}$`)
	codeShape         = regexp.MustCompile(`^[0-9]{6}$`)
)

// read returns what a mail's plain text says, "" for one without a code.
func read(raw io.Reader) (confirmation, code string) {
	m, err := mail.ReadMessage(raw)
	if err != nil {
		return "", ""
	}
	text := plain(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	for _, address := range link.FindAllString(text, -1) {
		u, err := url.Parse(address)
		if err != nil {
			continue
		}
		// The link of a waiting room's mail fills both in: who presses it confirms.
		confirmation, code = u.Query().Get("konfirmasi"), u.Query().Get("kode")
		if confirmationShape.MatchString(confirmation) && codeShape.MatchString(code) {
			return confirmation, code
		}
	}
	return "", ""
}

// maxDepth is how many multiparts lie in each other at most: attachments around two versions of a text are two.
const maxDepth = 4

// plain returns the first part that is plain text; "" if there is none. A part that is cut short is read as far as it goes.
func plain(kind, encoding string, body io.Reader, depth int) string {
	media, parameters, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "text/plain"
	}
	switch {
	case media == "text/plain":
		switch strings.ToLower(encoding) {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		text, _ := io.ReadAll(body)
		return string(text)
	case !strings.HasPrefix(media, "multipart/") || depth == maxDepth:
		return ""
	}
	for parts := multipart.NewReader(body, parameters["boundary"]); ; {
		part, err := parts.NextPart() // it undoes quoted-printable itself, and removes that field
		if err != nil {
			return ""
		}
		if text := plain(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, depth+1); text != "" {
			return text
		}
	}
}
