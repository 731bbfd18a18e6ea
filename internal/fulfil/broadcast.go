package fulfil

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/jobs"
	"gapura/internal/notify"
)

// Broadcast is a mailing to all confirmed participants of an event.
type Broadcast struct {
	ID        int64
	EventID   int64
	Subject   event.Text
	Body      event.Text // Markdown
	CreatedAt time.Time
}

// ErrNoBroadcast says that there is none of that id.
var ErrNoBroadcast = errors.New("no such broadcast")

// BroadcastStore is what mailings need of the database.
type BroadcastStore interface {
	notify.Recipients
	notify.Plans
	EventByID(ctx context.Context, eventID int64) (*event.Event, error)
	// AddBroadcast keeps a mailing and plans the job that cuts its list into chunks, in one transaction.
	AddBroadcast(ctx context.Context, b Broadcast) (int64, error)
	Broadcast(ctx context.Context, broadcast int64) (Broadcast, error) // ErrNoBroadcast
	// Chunk returns a planned chunk; done if it was sent to its end.
	Chunk(ctx context.Context, broadcast int64, n int) (c notify.Chunk, done bool, err error)
	// FinishChunk adds up how a chunk ended, once.
	FinishChunk(ctx context.Context, now time.Time, broadcast int64, n int, t notify.Tally) error
}

// Mailings carries mass mailings out: a job plans, and each chunk is a job of its own.
type Mailings struct {
	Store    BroadcastStore
	Clock    clock.Clock
	Composer *notify.Composer
	Postman  *notify.Postman
}

// Release keeps a mailing and starts it. Its text is checked first: what cannot be composed is never begun.
func (m *Mailings) Release(ctx context.Context, b Broadcast) (int64, error) {
	if _, err := m.newsletter(ctx, b); err != nil {
		return 0, err
	}
	return m.Store.AddBroadcast(ctx, b)
}

// Trial sends a mailing to one address and keeps nothing of it.
func (m *Mailings) Trial(ctx context.Context, b Broadcast, to notify.Recipient) error {
	letter, err := m.newsletter(ctx, b)
	if err != nil {
		return err
	}
	message, err := letter.To(to)
	if err != nil {
		return err
	}
	message.ID = fmt.Sprintf("trial.%d.%s", b.CreatedAt.UnixNano(), message.ID) // a second trial is another message
	outcome, err := m.Postman.Deliver(ctx, message)
	if err == nil && outcome != notify.Sent {
		err = fmt.Errorf("the trial mail was not sent: %s", outcome)
	}
	return err
}

func (m *Mailings) newsletter(ctx context.Context, b Broadcast) (*notify.Newsletter, error) {
	e, err := m.Store.EventByID(ctx, b.EventID)
	if err != nil {
		return nil, err
	}
	return m.Composer.Newsletter(notify.Campaign{
		ID: b.ID, Subject: b.Subject, Body: b.Body, Event: e.Name, Organiser: e.Organiser.Name, ReplyTo: e.Organiser.Email, At: b.CreatedAt,
	})
}

// ChunkArg names a chunk in a job: 7/12 is the twelfth of mailing 7. A mailing's planning job has the mailing alone.
func ChunkArg(broadcast int64, n int) string {
	return strconv.FormatInt(broadcast, 10) + "/" + strconv.Itoa(n)
}

// Do carries out a job of a mailing: it cuts the list into chunks, or sends one.
func (m *Mailings) Do(ctx context.Context, j jobs.Job) error {
	head, tail, chunk := strings.Cut(j.Arg, "/")
	broadcast, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return jobs.Permanent(fmt.Errorf("the job names no mailing: %q", j.Arg))
	}
	if !chunk {
		_, err = notify.Plan(ctx, broadcast, m.Store, m.Store)
		return err
	}
	n, err := strconv.Atoi(tail)
	if err != nil {
		return jobs.Permanent(fmt.Errorf("the job names no chunk: %q", j.Arg))
	}
	return m.send(ctx, broadcast, n)
}

func (m *Mailings) send(ctx context.Context, broadcast int64, n int) error {
	b, err := m.Store.Broadcast(ctx, broadcast)
	if errors.Is(err, ErrNoBroadcast) {
		return jobs.Permanent(err)
	}
	if err != nil {
		return err
	}
	c, done, err := m.Store.Chunk(ctx, broadcast, n)
	if err != nil || done {
		return err
	}
	letter, err := m.newsletter(ctx, b)
	if err != nil {
		return jobs.Permanent(err)
	}
	tally, err := m.Postman.SendChunk(ctx, letter, c, m.Store)
	if err != nil && notify.FateOf(err) == notify.Rejected {
		return jobs.Permanent(err)
	}
	if err != nil {
		return err
	}
	return m.Store.FinishChunk(ctx, m.Clock.Now(), broadcast, n, tally)
}
