package rehearse

import (
	"fmt"
	"time"

	"gapura/internal/rehearse/crowd"
)

// farthest is how long before an opening a rehearsal begins at most: longer means that the event is not a copy for rehearsing.
const farthest = 15 * time.Minute

// toRoom completes the plan for the event's waiting room and returns when the first visitors come; the zero time and no
// change of the plan if there is none.
func (p *Plan) toRoom(t *target) (begin time.Time, err error) {
	if t.room == nil {
		p.Crowd.Queue = nil
		p.Crowd.Habits.ClosesPage, p.Crowd.Habits.LetsLapse = 0, 0
		return time.Time{}, nil
	}
	now := time.Now()
	const ready = time.Second // to open connections
	begin, opens := now.Add(ready), time.Duration(0)
	if wait := t.room.OpensAt.Sub(begin); t.room.Phase != "open" && wait > 0 {
		if wait > p.Room.Lead+farthest {
			return begin, fmt.Errorf("%s opens in %s: rehearse with a copy that opens within %s", t.event.Slug, wholeSeconds(wait), farthest)
		}
		opens = min(wait, p.Room.Lead)
		begin = t.room.OpensAt.Add(-opens)
	}
	if t.room.Person != "" && p.Mail == nil {
		return begin, fmt.Errorf("%s asks everybody to confirm an address (person: %s): give --mail 127.0.0.1:2525, and start the server with "+
			"MAIL_MAILER=smtp MAIL_HOST=127.0.0.1 MAIL_PORT=2525, so that its mails come here", t.event.Slug, t.room.Person)
	}
	if t.room.Phase == "ended" {
		return begin, fmt.Errorf("the registration of %s has ended", t.event.Slug)
	}
	closes := opens
	if t.room.DrawClosesAt != nil {
		closes = max(t.room.DrawClosesAt.Sub(begin), 0)
	}
	early := p.Room.Early
	if opens == 0 {
		early = 0
	}
	p.Crowd.Queue = &crowd.Queue{
		Opens: opens, Closes: min(closes, opens), Early: early, Bots: p.Room.Bots, Apart: p.Room.Apart, Hold: p.Room.Hold,
		Confirmed: t.room.Person != "", Aliases: p.Room.Aliases,
	}
	if t.room.Person != "" {
		p.Crowd.Habits.SecondCategory = 0 // the second order would need the pass of the first one's number, which is used
	}
	return begin, nil
}
