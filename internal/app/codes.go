package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/store"
	"gapura/internal/waitroom"
)

// codes mails the codes of waiting rooms in which one person has one number. Address and code are worked out when the mail
// leaves, from what only this program can read.
type codes struct {
	store    *store.Store
	signer   *waitroom.Signer
	composer *notify.Composer
	postman  *notify.Postman
	baseURL  func() string
}

// send is the handler of jobs.MailConfirm. A code that has lapsed, or of which a newer mail follows, needs none.
func (c *codes) send(ctx context.Context, j jobs.Job) error {
	id, err := waitroom.ParseConfirmation(j.Arg)
	if err != nil {
		return jobs.Permanent(err)
	}
	of, kept, err := (&store.Waitroom{Store: c.store}).Confirmation(ctx, id)
	if err != nil {
		return err
	}
	if !kept || of.Sends != j.Version || !(clock.System{}).Now().Before(of.Expires) {
		return nil
	}
	letter, err := c.letter(ctx, &of)
	if err != nil {
		return err
	}
	message, err := c.composer.Confirmation(letter)
	if err != nil {
		return jobs.Permanent(errors.New("the mail with a code cannot be written")) // its error may have the address
	}
	_, err = c.postman.Deliver(ctx, message)
	if err != nil && notify.FateOf(err) == notify.Rejected {
		return jobs.Permanent(err)
	}
	return err
}

func (c *codes) letter(ctx context.Context, of *waitroom.Confirmation) (notify.Confirmation, error) {
	address, err := c.signer.Address(of)
	if err != nil {
		return notify.Confirmation{}, jobs.Permanent(fmt.Errorf("address of a confirmation: %w", err))
	}
	code, err := c.signer.Code(of)
	if err != nil {
		return notify.Confirmation{}, jobs.Permanent(err)
	}
	e, err := c.store.EventByID(ctx, of.EventID)
	if err != nil {
		return notify.Confirmation{}, err
	}
	link := c.baseURL() + "/e/" + e.Slug + "/antre?" + url.Values{"konfirmasi": {of.ID.String()}, "kode": {code}}.Encode()
	if of.Locale != "id" {
		link += "&lang=" + of.Locale
	}
	return notify.Confirmation{
		ID: of.ID.String(), Send: of.Sends, Locale: of.Locale, Email: address, Code: code, Link: link, Event: e.Name,
		Organiser: e.Organiser.Name, ReplyTo: e.Organiser.Email, StartsAt: e.StartsAt, Expires: of.Expires, Timezone: e.Location(),
		Venue: e.Venue.Name, City: e.Venue.City, At: of.SentAt,
	}, nil
}
