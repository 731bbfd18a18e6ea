package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/room"
	"gapura/internal/rehearse/wire"
)

// published is what GET /api/v1/events/{slug} says, as far as a visitor needs it.
type published struct {
	Slug            string    `json:"slug"`
	Name            any       `json:"name"`
	StartsAt        time.Time `json:"starts_at"`
	MaxParticipants int       `json:"max_participants"`
	Registration    struct {
		State           string    `json:"state"`
		MaxParticipants int       `json:"max_participants"`
		UniqueBy        *[]string `json:"unique_by"`
	} `json:"registration"`
	WaitingRoom struct {
		Enabled bool `json:"enabled"`
	} `json:"waiting_room"`
	Categories []struct {
		ID     string `json:"id"`
		Price  int    `json:"price"`
		MinAge int    `json:"min_age"`
		MaxAge int    `json:"max_age"`
	} `json:"categories"`
	Quotas []struct {
		ID         string   `json:"id"`
		Size       int      `json:"size"`
		Categories []string `json:"categories"`
	} `json:"quotas"`
	Questions []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Required bool   `json:"required"`
		Options  []struct {
			Value string `json:"value"`
		} `json:"options"`
		Categories []string `json:"categories"`
	} `json:"questions"`
}

// target is the server under test and the event that the crowd wants.
type target struct {
	addr   string
	event  *crowd.Event
	title  string
	state  string
	quotas []Quota
	repeat bool        // the event lets one person register several times
	room   *room.State // as it was when the rehearsal began; nil: the event has no waiting room
	work   bool        // the server asks for a proof of work
}

// look reads the event as a visitor's browser does.
func look(ctx context.Context, addr, slug string) (*target, error) {
	conn := wire.NewConn(addr)
	defer conn.HangUp()
	if slug == "" {
		found, err := onlyEvent(ctx, conn)
		if err != nil {
			return nil, err
		}
		slug = found
	}
	var p published
	if err := getJSON(ctx, conn, "/api/v1/events/"+slug, &p); err != nil {
		return nil, err
	}
	if p.Slug == "" {
		p.Slug = slug
	}
	if len(p.Categories) == 0 || len(p.Categories) > 255 {
		return nil, fmt.Errorf("event %s has %d categories: a crowd needs 1 to 255", slug, len(p.Categories))
	}
	t := p.target(addr)
	if p.WaitingRoom.Enabled {
		return t, t.enterRoom(ctx, conn)
	}
	return t, nil
}

// roomWithin is how long a new event's waiting room may take to open.
const roomWithin = 5 * time.Second

// enterRoom reads the waiting room's state and finds out whether the server asks for a proof of work.
func (t *target) enterRoom(ctx context.Context, conn *wire.Conn) error {
	var body json.RawMessage
	path := "/api/v1/events/" + t.event.Slug + "/queue"
	err := getJSON(ctx, conn, path, &body)
	for until := time.Now().Add(roomWithin); err != nil && ctx.Err() == nil && time.Now().Before(until); err = getJSON(ctx, conn, path, &body) {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if t.room, err = room.Read(body); err != nil {
		return err
	}
	var challenge json.RawMessage
	t.work = getJSON(ctx, conn, "/api/v1/captcha/challenge?action=draw", &challenge) == nil
	return nil
}

// onlyEvent returns the slug of the event to load when none was named.
func onlyEvent(ctx context.Context, conn *wire.Conn) (string, error) {
	var raw json.RawMessage
	if err := getJSON(ctx, conn, "/api/v1/events", &raw); err != nil {
		return "", err
	}
	var list []published
	if json.Unmarshal(raw, &list) != nil {
		var wrapped struct {
			Events []published `json:"events"`
		}
		if err := json.Unmarshal(raw, &wrapped); err != nil {
			return "", fmt.Errorf("list of events: %w", err)
		}
		list = wrapped.Events
	}
	if len(list) == 1 {
		return list[0].Slug, nil
	}
	return "", fmt.Errorf("the server publishes %d events: name one with --event", len(list))
}

func (p *published) target(addr string) *target {
	t := &target{addr: addr, title: p.title(), state: p.Registration.State}
	t.event = &crowd.Event{Slug: p.Slug, StartsAt: p.StartsAt, Today: time.Now(), MaxParticipants: p.Registration.MaxParticipants}
	if t.event.MaxParticipants == 0 {
		t.event.MaxParticipants = p.MaxParticipants
	}
	unique := p.Registration.UniqueBy
	t.repeat = unique != nil && len(*unique) == 0
	for _, q := range p.Quotas {
		t.quotas = append(t.quotas, Quota{ID: q.ID, Size: q.Size, Categories: q.Categories})
	}
	for _, c := range p.Categories {
		t.event.Categories = append(t.event.Categories, crowd.Category{ID: c.ID, MinAge: c.MinAge, MaxAge: c.MaxAge, Price: c.Price})
	}
	for _, q := range p.Questions {
		question := crowd.Question{ID: q.ID, Type: q.Type, Required: q.Required, Categories: q.Categories}
		for _, o := range q.Options {
			question.Options = append(question.Options, o.Value)
		}
		t.event.Questions = append(t.event.Questions, question)
	}
	return t
}

// sizeCategories tells the crowd how large the categories are: the more places, the more people want it.
func (t *target) sizeCategories() {
	for i := range t.event.Categories {
		c := &t.event.Categories[i]
		for _, q := range t.quotas {
			for _, id := range q.Categories {
				if id == c.ID && (c.Size == 0 || q.Size < c.Size) {
					c.Size = q.Size
				}
			}
		}
	}
}

// title returns the event's name, which may be a text or a text by language.
func (p *published) title() string {
	switch name := p.Name.(type) {
	case string:
		return name
	case map[string]any:
		if s, ok := name["id"].(string); ok {
			return s
		}
	}
	return p.Slug
}

// getJSON reads one document.
func getJSON(ctx context.Context, conn *wire.Conn, path string, into any) error {
	stop := context.AfterFunc(ctx, conn.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var a wire.Answer
	if err := conn.Do(ctx, getRequest(nil, conn.Addr(), path, ""), &a); err != nil {
		return fmt.Errorf("the server at %s does not answer: start it, or name another with --url (%w)", conn.Addr(), err)
	}
	if a.Status == 404 {
		return fmt.Errorf("the server has no %s: check --url and --event", path)
	}
	if a.Status != 200 {
		return fmt.Errorf("GET %s: the server answers %d", path, a.Status)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// getRequest appends a GET request, with a bearer token if there is one.
func getRequest(b []byte, host, path, token string) []byte {
	b = append(b, "GET "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	if token != "" {
		b = append(b, "Authorization: Bearer "...)
		b = append(b, token...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}
