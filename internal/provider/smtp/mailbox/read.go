package mailbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxMessage = 20 << 20 // bytes of a file that are read: more than a mail server would take
	maxDepth   = 8        // of multiparts inside multiparts
	maxParts   = 200
)

// errNoMessage is returned for a name that is no message of the directory.
var errNoMessage = errors.New("no such message")

// summary is a line of the list.
type summary struct {
	Name    string // of the file, without .eml: 32 hexadecimal digits
	From    string
	To      string
	Subject string
	Date    time.Time
	Files   bool // has attachments; only known of a message that was read whole
}

// message is one mail, taken apart.
type message struct {
	summary
	ID          string
	ReplyTo     string
	Unsubscribe string
	Text        string
	HTML        string
	Attachments []attachment
}

type attachment struct {
	Name    string
	Type    string
	Content []byte
}

// list returns the newest messages that mention query in subject or addresses, at most limit, and how many files there are.
func list(dir, query string, limit int) ([]summary, int, error) {
	files, err := newest(dir)
	if err != nil {
		return nil, 0, err
	}
	query = strings.ToLower(query)
	var out []summary
	for _, f := range files {
		if len(out) == limit {
			break
		}
		s, err := head(dir, f)
		if err != nil {
			continue // half of a directory is better than none
		}
		if strings.Contains(strings.ToLower(s.To+" "+s.Subject+" "+s.From), query) {
			out = append(out, s)
		}
	}
	return out, len(files), nil
}

// newest returns the names of all messages, the last written first.
func newest(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was sent yet
	}
	if err != nil {
		return nil, fmt.Errorf("mail directory: %w", err)
	}
	type written struct {
		name string
		at   time.Time
	}
	var found []written
	for _, e := range entries {
		name, isMail := strings.CutSuffix(e.Name(), ".eml")
		info, err := e.Info()
		if isMail && isName(name) && err == nil && info.Mode().IsRegular() {
			found = append(found, written{name, info.ModTime()})
		}
	}
	slices.SortFunc(found, func(a, b written) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.name
	}
	return names, nil
}

// isName reports whether name is what the mailer calls its files; nothing else is ever opened.
func isName(name string) bool {
	return len(name) == 32 && strings.Trim(name, "0123456789abcdef") == ""
}

func open(dir, name string) (*os.File, error) {
	if !isName(name) {
		return nil, errNoMessage
	}
	file, err := os.Open(filepath.Join(dir, name+".eml")) //nolint:gosec // hexadecimal digits: see isName
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoMessage
	}
	return file, err
}

func head(dir, name string) (summary, error) {
	file, err := open(dir, name)
	if err != nil {
		return summary{}, err
	}
	defer func() { _ = file.Close() }()
	m, err := mail.ReadMessage(io.LimitReader(file, maxMessage))
	if err != nil {
		return summary{}, fmt.Errorf("message %s: %w", name, err)
	}
	return summarise(name, m.Header), nil
}

func summarise(name string, h mail.Header) summary {
	s := summary{Name: name, From: people(h, "From"), To: people(h, "To"), Subject: decoded(h.Get("Subject"))}
	s.Date, _ = h.Date() // a message without a date has none to show
	return s
}

// read takes the message apart.
func read(dir, name string) (message, error) {
	file, err := open(dir, name)
	if err != nil {
		return message{}, err
	}
	defer func() { _ = file.Close() }()
	raw, err := mail.ReadMessage(io.LimitReader(file, maxMessage))
	if err != nil {
		return message{}, fmt.Errorf("message %s: %w", name, err)
	}
	m := message{
		summary: summarise(name, raw.Header), ID: strings.Trim(raw.Header.Get("Message-ID"), "<>"),
		ReplyTo: people(raw.Header, "Reply-To"), Unsubscribe: strings.Trim(raw.Header.Get("List-Unsubscribe"), "<>"),
	}
	parts := 0
	if err := m.part(raw.Header.Get, raw.Body, 0, &parts); err != nil {
		return message{}, fmt.Errorf("message %s: %w", name, err)
	}
	m.Files = len(m.Attachments) > 0
	return m, nil
}

// part adds a part and those inside it.
func (m *message) part(header func(string) string, body io.Reader, depth int, parts *int) error {
	if *parts++; depth > maxDepth || *parts > maxParts {
		return errors.New("too many parts")
	}
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind, params = "text/plain", nil
	}
	if strings.HasPrefix(kind, "multipart/") {
		return m.parts(multipart.NewReader(body, params["boundary"]), depth, parts)
	}
	content, err := io.ReadAll(transfer(header("Content-Transfer-Encoding"), body))
	if err != nil {
		return err
	}
	disposition, named, _ := mime.ParseMediaType(header("Content-Disposition"))
	switch {
	case disposition == "attachment":
		m.Attachments = append(m.Attachments, attachment{decoded(named["filename"]), kind, content})
	case kind == "text/html" && m.HTML == "":
		m.HTML = string(content)
	case kind == "text/plain" && m.Text == "":
		m.Text = string(content)
	}
	return nil
}

func (m *message) parts(r *multipart.Reader, depth int, parts *int) error {
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := m.part(p.Header.Get, p, depth+1, parts); err != nil {
			return err
		}
	}
}

func transfer(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	default:
		return body
	}
}

func people(h mail.Header, field string) string {
	addresses, err := h.AddressList(field)
	if err != nil {
		return decoded(h.Get(field))
	}
	out := make([]string, 0, len(addresses))
	for _, a := range addresses {
		if a.Name == "" {
			out = append(out, a.Address)
		} else {
			out = append(out, a.Name+" <"+a.Address+">")
		}
	}
	return strings.Join(out, ", ")
}

func decoded(value string) string {
	plain, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return plain
}

// Number is the attachment's place in its address, from 1.
func (attachment) Number(index int) int { return index + 1 }

// Size is for people.
func (a attachment) Size() string {
	return fmt.Sprintf("%s, %d kB", a.Type, (len(a.Content)+999)/1000)
}
