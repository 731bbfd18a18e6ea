package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/notify"
	"gapura/internal/registration"
	"gapura/internal/store"
)

// optOuts makes and takes the addresses under which participants stop mailings. They name a participant by place, so that no
// address of a person stands in a link.
type optOuts struct {
	store   *store.Store
	keys    [][]byte
	baseURL func() string
}

func (o *optOuts) seal(key []byte, order id.ID, position int) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(order[:])
	mac.Write([]byte(strconv.Itoa(position)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

func (o *optOuts) link(order id.ID, position int) string {
	return fmt.Sprintf("%s/unsubscribe/%s/%d?key=%s", o.baseURL(), order, position, o.seal(o.keys[0], order, position))
}

// OptOut implements site.Mailings. The link of a mailing's trial names nobody: it leads to the same page, and ends nothing.
func (o *optOuts) OptOut(ctx context.Context, order id.ID, position int, given string) error {
	for _, key := range o.keys {
		if !hmac.Equal([]byte(o.seal(key, order, position)), []byte(given)) {
			continue
		}
		if order.IsNil() {
			return nil
		}
		err := o.store.OptOut(ctx, time.Now(), order, position)
		if errors.Is(err, registration.ErrNoOrder) {
			break
		}
		return err
	}
	return fault.New(fault.NoSuchOrder)
}

// openMailings joins what mass mailings need.
func (n *node) openMailings(composer *notify.Composer, postman *notify.Postman) (*fulfil.Mailings, *optOuts) {
	outs := &optOuts{store: n.store, keys: n.keyring.derive("unsubscribe"), baseURL: n.program.cfg.baseURL}
	return &fulfil.Mailings{
		Store: &store.Broadcasts{Store: n.store, Unsubscribe: outs.link}, Clock: clock.System{}, Composer: composer, Postman: postman,
	}, outs
}

type mailCommand struct {
	Broadcast broadcastCommand `cmd:"" help:"Write to every confirmed participant of an event."`
}

type broadcastCommand struct {
	Slug      string `arg:"" help:"The event's slug."`
	SubjectID string `help:"The subject in Indonesian." required:"" placeholder:"TEXT"`
	SubjectEN string `help:"The subject in English; the Indonesian one if there is none." placeholder:"TEXT"`
	Body      string `help:"The text, Markdown." required:"" placeholder:"FILE"`
	BodyEN    string `help:"The text in English; the same if there is none." placeholder:"FILE"`
	Test      string `help:"Send it to this address only." placeholder:"ADDRESS"`
}

// Run releases a mailing: the workers send it. With --test it is sent to one address at once.
func (c broadcastCommand) Run(p *program) error {
	b, err := c.read()
	if err != nil {
		return err
	}
	n, err := p.openNode(p.ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.release(n, b), n.stop(nil))
}

func (c broadcastCommand) read() (fulfil.Broadcast, error) {
	body, err := os.ReadFile(c.Body)
	if err != nil {
		return fulfil.Broadcast{}, fmt.Errorf("cannot read %s: %w", c.Body, reason(err))
	}
	b := fulfil.Broadcast{
		Subject: event.Text{ID: c.SubjectID, EN: c.SubjectEN}, Body: event.Text{ID: string(body)}, CreatedAt: time.Now(),
	}
	if c.BodyEN != "" {
		english, err := os.ReadFile(c.BodyEN)
		if err != nil {
			return b, fmt.Errorf("cannot read %s: %w", c.BodyEN, reason(err))
		}
		b.Body.EN = string(english)
	}
	if b.Subject.EN == "" {
		b.Subject.EN = b.Subject.ID
	}
	if b.Body.EN == "" {
		b.Body.EN = b.Body.ID
	}
	return b, nil
}

func (c broadcastCommand) release(n *node, b fulfil.Broadcast) error {
	ctx, p := n.program.ctx, n.program
	live, err := n.engine.Event(c.Slug)
	if err != nil {
		return fmt.Errorf("there is no event %q: gapura event list shows them", c.Slug)
	}
	b.EventID = live.ID
	f, err := n.openFulfilment(ctx)
	if err != nil {
		return err
	}
	if c.Test != "" {
		err := f.mailings.Trial(ctx, b, notify.Recipient{
			Cursor: c.Test, Name: c.Test, Email: c.Test, Locale: p.cfg.AppLocale, Unsubscribe: f.optOuts.link(id.Nil, 1),
		})
		if err == nil {
			p.announce("sent to %s only; nothing else was done", c.Test)
		}
		return err
	}
	broadcast, err := f.mailings.Release(ctx, b)
	if err != nil {
		return err
	}
	p.announce("mailing %d to the confirmed participants of %s is released; the workers send it (gapura queue list)", broadcast, c.Slug)
	return nil
}
