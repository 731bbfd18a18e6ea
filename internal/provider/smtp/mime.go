package smtp

import (
	"bytes"
	"fmt"
	netmail "net/mail"

	"gapura/internal/notify"

	"github.com/wneessen/go-mail"
)

// build makes the MIME message of m: text and HTML as alternatives, attachments beside them.
func build(m notify.Message) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP), mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&netmail.Address{Name: m.From.Name, Address: m.From.Email})
	msg.ToMailAddress(&netmail.Address{Name: m.To.Name, Address: m.To.Email})
	if m.ReplyTo != "" {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, fmt.Errorf("message %s: the reply address is not valid", m.ID)
		}
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date)
	msg.SetGenHeader(mail.HeaderContentLang, m.Locale)
	if m.Class == notify.Bulk {
		msg.SetGenHeader(mail.HeaderPrecedence, "bulk")
		msg.SetGenHeader(mail.HeaderListUnsubscribe, "<"+m.Unsubscribe+">")
		msg.SetGenHeader(mail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	} else {
		msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes in reply
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	for _, a := range m.Attachments {
		kind := mail.WithFileContentType(mail.ContentType(a.Type))
		if err := msg.AttachReader(a.Name, bytes.NewReader(a.Content), kind); err != nil {
			return nil, fmt.Errorf("attachment of %s: %w", m.ID, err)
		}
	}
	return msg, nil
}
