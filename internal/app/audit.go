package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gapura/internal/audit"
	"gapura/internal/registration"
	"gapura/internal/store"
)

type auditCommand struct {
	Slug string `arg:"" optional:"" help:"Check this event only."`
}

// Run prints a line an invariant and event; it fails if one is broken.
func (c auditCommand) Run(p *program) error {
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		findings, err := p.audit(ctx, s, c.Slug)
		if err != nil && !errors.Is(err, registration.ErrUnreadable) {
			return err
		}
		if len(findings) == 0 && err == nil {
			p.announce("there are no events yet")
		}
		broken := false
		for _, f := range findings {
			verdict := "ok    "
			if f.Broken {
				verdict, broken = "BROKEN", true
			}
			p.announce("%s  %2d  %-28s  %s", verdict, f.Invariant, f.Event, f.Text)
		}
		if err != nil {
			return damaged(err)
		}
		if broken {
			return errNo
		}
		return nil
	})
}

// audit checks one event, or all of them for an empty slug. With events that cannot be read it also returns an error that wraps
// ErrUnreadable.
func (p *program) audit(ctx context.Context, s *store.Store, slug string) ([]audit.Finding, error) {
	keys, err := appKeys(p.cfg)
	if err != nil {
		return nil, err
	}
	secrets, err := keyring{keys}.registration(ctx, s)
	if err != nil {
		return nil, err
	}
	events, unreadable := s.Events(ctx)
	if unreadable != nil && !errors.Is(unreadable, registration.ErrUnreadable) {
		return nil, unreadable
	}
	var all []audit.Finding
	seen := false
	for _, stored := range events {
		if slug != "" && stored.Event.Slug != slug {
			continue
		}
		seen = true
		err := s.Audit(ctx, stored.ID, func(source *store.Audited) error {
			findings, err := audit.Event(ctx, time.Now(), source, secrets.ClaimsOf)
			if err != nil {
				return err
			}
			followed, err := audit.Followed(ctx, stored.Event.Slug, source)
			all = append(append(all, findings...), followed...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("audit %s: %w", stored.Event.Slug, err)
		}
	}
	switch {
	case slug == "" || !seen && unreadable != nil:
		return all, unreadable
	case !seen:
		return nil, errors.New("there is no such event: gapura event list shows them")
	}
	return all, nil
}
