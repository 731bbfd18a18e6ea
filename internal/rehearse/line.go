package rehearse

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/room"
	"gapura/internal/rehearse/wire"
)

// line is the crowd's side of a waiting room: who has which ticket and pass, and what the public state was when.
type line struct {
	path     string // of the queue's calls
	work     bool   // captchas are asked for
	opens    time.Duration
	until    time.Duration // when people's patience ends
	visitors []visitor
	docs     docs
	solving  chan job
	stolen   []string // tickets of another event
	post     *post    // nil: nobody has to confirm an address
}

// visitor is what one order's maker has in hand. The lock is for double clicks: everything else happens one after another.
type visitor struct {
	mu      sync.Mutex
	ticket  atomic.Pointer[room.Ticket] // bots share theirs
	pass    string
	lent    atomic.Pointer[string] // a pass that those who share the ticket may try
	doc     *doc                   // the state that it has seen last
	seen    time.Duration          // when it last saw one
	rank    uint64
	ranked  bool
	captcha string // solved, for the next draw
	signed  string // solved, for the order
	draws   uint8  // tickets drawn so far: each draw has a key of its own
	fails   uint8  // requests in a row without an answer
	lost    uint8  // passes that came to nothing
	outcome Outcome
	again   bool   // the draw has been repeated
	number  string // of the first ticket, to compare
	proof   proof
}

// Outcome is how a visit ended that was not answered with an order.
type Outcome uint8

// The outcomes.
const (
	Undecided  Outcome = iota // the rehearsal ended first, or the visitor has an order
	SoldOut                   // was told that nothing can return
	Impatient                 // was still waiting when patience ended
	ClosedPage                // went away on purpose
	LetLapse                  // was let in and went away on purpose
	Refused                   // was told something else that ends a visit
	numOutcomes
)

// doc is one version of the public state.
type doc struct {
	tag   string
	at    time.Duration // when it was first seen
	state *room.State
}

// docs are the versions of the state in the order in which they were seen.
type docs struct {
	mu    sync.RWMutex
	byTag map[string]*doc
	list  []*doc
}

// take returns the version with that tag and reads it if nobody has.
func (d *docs) take(tag, body []byte, now time.Duration) (*doc, error) {
	d.mu.RLock()
	known := d.byTag[string(tag)]
	d.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	state, err := room.Read(body)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.byTag[string(tag)]; known != nil {
		return known, nil
	}
	fresh := &doc{tag: string(tag), at: now, state: state}
	d.byTag[fresh.tag] = fresh
	d.list = append(d.list, fresh)
	return fresh, nil
}

func newLine(plan *Plan, t *target, c *crowd.Crowd, opens time.Duration) *line {
	var letters *post
	if t.room.Person != "" {
		letters = newPost()
	}
	return &line{
		path: "/api/v1/events/" + t.event.Slug + "/queue", work: t.work, post: letters, opens: opens, until: opens + plan.Room.Patience,
		visitors: make([]visitor, len(c.Orders)), docs: docs{byTag: map[string]*doc{}},
		// A visitor has at most one captcha to solve.
		solving: make(chan job, len(c.Orders)), stolen: plan.Room.Tickets,
	}
}

// job is a captcha to solve.
type job struct {
	order  int32
	action string // draw or register
	work   *room.Work
}

// solve does the proofs of work of all visitors, one after another, and gives way to the requests in between. Telephones
// would do them side by side: before opening there is time for it.
func (e *engine) solve(ctx context.Context) {
	rest := func() bool { runtime.Gosched(); return ctx.Err() == nil }
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-e.line.solving:
			answer, err := j.work.Solve(rest)
			if err != nil {
				answer = "" // the server will say captcha_failed, and the visitor asks for another
			}
			e.solved(j, answer)
		}
	}
}

// solved puts the answer where the visitor's next request takes it from.
func (e *engine) solved(j job, answer string) {
	v := &e.line.visitors[j.order]
	v.mu.Lock()
	var next Kind
	if j.action == actionDraw {
		v.captcha = answer
		next = e.line.toTicket(v)
	} else {
		v.signed = answer
		next = Look
		if v.pass != "" {
			next = First
		}
	}
	v.mu.Unlock()
	e.after(0, task{order: j.order, kind: next})
	e.done(j.order)
}

// done ends what was pending of an order's maker. Nobody waits for bots.
func (e *engine) done(order int32) {
	if !e.isBot(order) {
		e.pending.Add(-1)
	}
}

func (e *engine) isBot(order int32) bool { return e.crowd.Orders[order].Role.IsBot() }

// The actions that captchas are for.
const (
	actionDraw     = "draw"
	actionRegister = "register"
)

// begin of a request line with a host and, where the plan says so, the address that the visitor comes from.
func (w *worker) open(method, path string, order int32, turn int) []byte {
	b := append(w.out[:0], method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, w.e.target.addr...)
	b = append(b, "\r\n"...)
	if w.e.plan.Forwarded {
		b = append(b, "X-Forwarded-For: "...)
		b = w.e.people.AppendNetwork(b, order, turn)
		b = append(b, "\r\n"...)
	}
	return b
}

// close ends a request with a JSON body.
func (w *worker) close(b []byte) []byte {
	b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n\r\n"...)
	w.out = append(b, w.body...)
	return w.out
}

func (w *worker) stepRequest(t task, v *visitor) []byte {
	l := w.e.line
	switch t.kind {
	case Fetch:
		action := actionDraw
		if v.ticket.Load() != nil {
			action = actionRegister
		}
		w.out = append(w.open("GET", "/api/v1/captcha/challenge?action="+action, t.order, int(t.try)), "\r\n"...)
		return w.out
	case Ask:
		return w.askRequest(t, v)
	case Draw:
		if l.post != nil {
			return w.confirmRequest(t.order, int(v.draws), v.proof.confirmation, v.proof.typed())
		}
		return w.drawRequest(t.order, v)
	case Enter:
		w.body = append(append(w.body[:0], `{"ticket":"`...), v.ticket.Load().Text...)
		w.body = append(append(w.body, `","idempotency_key":"`...), w.e.people.Key(t.order)...)
		w.body = append(w.body, `"}`...)
		return w.close(w.open("POST", l.path+"/passes", t.order, int(t.try)))
	default:
		b := w.open("GET", l.path, t.order, int(t.try))
		if v.doc != nil && !w.e.isBot(t.order) {
			b = append(b, "If-None-Match: "...)
			b = append(b, v.doc.tag...)
			b = append(b, "\r\n"...)
		}
		w.out = append(b, "\r\n"...)
		return w.out
	}
}

func (w *worker) drawRequest(order int32, v *visitor) []byte {
	w.body = append(w.body[:0], '{')
	if v.captcha != "" {
		w.body = append(append(append(w.body, `"captcha":"`...), v.captcha...), '"')
	}
	w.body = append(w.body, '}')
	return w.close(w.withDrawKey(w.open("POST", w.e.line.path+"/tickets", order, int(v.draws)), order, v))
}

// withDrawKey adds the key of the visitor's present draw.
func (w *worker) withDrawKey(b []byte, order int32, v *visitor) []byte {
	b = append(b, "Idempotency-Key: "...)
	b = w.e.people.AppendKey(b, order)
	b = append(b, "-t"...)
	b = strconv.AppendUint(b, uint64(v.draws), 10)
	return append(b, "\r\n"...)
}

// sign adds to an order what a waiting room and a captcha want of it.
func (w *worker) sign(b []byte, order int32) []byte {
	v := &w.e.line.visitors[order]
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.signed != "" {
		w.body = append(w.body[:len(w.body)-1], `,"captcha":"`...)
		w.body = append(append(w.body, v.signed...), `"}`...)
	}
	pass := v.pass
	if lent := w.e.lent(order); pass == "" && lent != nil {
		pass = *lent
	}
	if pass != "" {
		b = append(append(b, "\r\nQueue-Pass: "...), pass...)
	}
	return b
}

// lent returns the pass of whoever of a bot's group has one.
func (e *engine) lent(order int32) *string {
	if o := &e.crowd.Orders[order]; o.Role == crowd.Sharer {
		return e.line.visitors[o.Next].lent.Load()
	}
	return nil
}

// step carries out a request to the waiting room and plans what follows.
func (w *worker) step(ctx context.Context, t task) {
	v := &w.e.line.visitors[t.order]
	if t.kind == Prod {
		w.prod(ctx, t, v)
		return
	}
	if v.idle(&t) {
		return
	}
	s := Step{Visitor: t.order, Kind: t.kind, Try: t.try, First: v.doc == nil, Intended: t.due, Start: w.e.now()}
	v.mu.Lock()
	request := w.stepRequest(t, v)
	v.mu.Unlock()
	err := w.conn.Do(ctx, request, &w.answer)
	s.End = w.e.now()
	s.Code = w.stepCode(&s, err)
	if s.Code == CodePass {
		s.Ticket = v.ticket.Load()
	}
	w.keepStep(&s)
	if w.quit.Load() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case s.Code.Answered():
		v.fails = 0
	case v.fails < 10:
		v.fails++
	}
	w.follow(&t, &s, v)
}

// stepCode names the outcome of a step.
func (w *worker) stepCode(s *Step, err error) Code {
	if err != nil {
		return errorCode(err)
	}
	s.Status = w.answer.Status
	switch {
	case s.Status == 304:
		return CodeUnchanged
	case s.Status/100 != 2:
		return w.problemCode(&w.answer)
	}
	switch s.Kind {
	case Fetch:
		return CodeCaptcha
	case Ask:
		return CodeAsked
	case Draw:
		return CodeTicket
	case Enter:
		return CodePass
	case Prod:
		return luckCode(&w.answer)
	default:
		return CodeState
	}
}

// luckCode names what a bot got that tried its luck.
func luckCode(a *wire.Answer) Code {
	switch {
	case a.Status != 201:
		return CodeState
	case member(a.Body, "pass") != "":
		return CodePass
	case member(a.Body, "ticket") != "":
		return CodeTicket
	default:
		return CodeAcknowledged
	}
}

// follow plans what a visitor does after a step; v is locked.
func (w *worker) follow(t *task, s *Step, v *visitor) {
	switch {
	case t.kind == Wait && !v.proof.waits:
		// The mail came meanwhile.
	case s.Code == CodeState:
		d, err := w.e.line.docs.take(w.answer.ETag, w.answer.Body, s.End)
		if err != nil {
			w.stumble(t, v)
			return
		}
		v.doc, v.seen = d, s.End
		w.decide(t.order, v)
	case s.Code == CodeUnchanged:
		v.seen = s.End
		w.decide(t.order, v)
	case s.Code == CodeCaptcha:
		w.work(t, v)
	case s.Code == CodeAsked:
		w.asked(t, v)
	case s.Code == CodeTicket:
		w.confirmed(t.order, v)
		w.drawn(t, v)
	case s.Code == CodePass:
		w.entered(t, v)
	case s.Status == 0 || s.Status == 429 || s.Status >= 500:
		w.stumble(t, v)
	default:
		w.refused(t, s, v)
	}
}

// work gives a captcha to the solver.
func (w *worker) work(t *task, v *visitor) {
	made, err := room.ReadWork(w.answer.Body)
	if err != nil {
		w.leave(v, Refused)
		return
	}
	action := actionDraw
	if v.ticket.Load() != nil {
		action = actionRegister
	}
	if !w.e.isBot(t.order) {
		w.e.pending.Add(1)
	}
	w.e.line.solving <- job{order: t.order, action: action, work: made}
}

// stumble tries a step again that had no answer, or was asked to come later: after what the server says, or as the page does.
func (w *worker) stumble(t *task, v *visitor) {
	wait := time.Second + time.Duration(rand.Float64()*float64(min(30*time.Second, 2*time.Second<<v.fails)))
	if w.answer.RetryAfter > 0 && v.fails == 0 {
		wait = time.Duration(w.answer.RetryAfter) * time.Second
		wait = wait/2 + jitter(wait)
	}
	if w.e.isBot(t.order) {
		wait = jitter(300 * time.Millisecond) // no bot waits because it is asked to
	}
	again := *t
	again.try = min(t.try, 254) + 1
	w.later(wait, again, v)
}

// later plans a step unless the visitor's patience ends before it.
func (w *worker) later(wait time.Duration, t task, v *visitor) {
	if w.e.now()+wait > w.e.line.until {
		w.leave(v, Impatient)
		return
	}
	w.e.after(wait, t)
}

func (w *worker) leave(v *visitor, o Outcome) { v.outcome = o }

// How long people take to press the button that draws a ticket.
const clickWait = time.Second

// decide looks at the state as the page does; v is locked and has seen one.
func (w *worker) decide(order int32, v *visitor) {
	s := v.doc.state
	ticket := w.ticketOf(order, v)
	switch {
	case s.Phase == "ended":
		w.leave(v, Refused)
	case s.Stock == "sold_out":
		w.leave(v, SoldOut)
	case v.proof.waits:
		w.wait(order, v)
	case ticket == nil && w.draws(order):
		wait := jitter(clickWait)
		if w.e.isBot(order) {
			wait = 0
		}
		w.later(wait, task{order: order, kind: w.e.line.toTicket(v)}, v)
	case ticket == nil:
		w.later(jitter(botLook), task{order: order, kind: Look}, v)
	case w.e.crowd.Orders[order].Role == crowd.Hammerer:
		w.e.after(0, task{order: order, kind: Prod})
	default:
		w.await(order, v, ticket)
	}
}

// await enters if the ticket's turn has come, and asks again later if not.
func (w *worker) await(order int32, v *visitor, ticket *room.Ticket) {
	s := v.doc.state
	if !v.ranked && ticket.Drawn {
		v.rank, v.ranked = s.Rank(ticket)
	}
	st := s.Stand(ticket, v.rank)
	switch {
	case st.Turn:
		w.later(0, task{order: order, kind: Enter}, v)
	case w.e.isBot(order):
		w.later(jitter(botLook), task{order: order, kind: Look}, v)
	default:
		w.later(s.NextPoll(time.Now(), st, rand.Float64()), task{order: order, kind: Look}, v)
	}
}

// drawn keeps a ticket.
func (w *worker) drawn(t *task, v *visitor) {
	ticket, err := room.ReadTicket(w.answer.Body)
	if err != nil {
		w.leave(v, Refused)
		return
	}
	habit := w.e.crowd.Orders[t.order].Habit
	if v.again && v.draws == 0 && ticket.Drawn {
		w.e.redrawn.Add(1)
		if v.number != string(ticket.Number) {
			w.e.changed.Add(1)
		}
	}
	v.ticket.Store(ticket)
	switch {
	case habit == crowd.ClosesPage:
		w.leave(v, ClosedPage)
		return
	case habit == crowd.AsksAgain && !v.again && ticket.Drawn:
		v.again, v.number = true, string(ticket.Number)
		w.later(jitter(replayWait), task{order: t.order, kind: Draw}, v)
		return
	}
	v.captcha, v.ranked = "", false
	switch {
	case w.e.line.work && v.signed == "":
		w.later(0, task{order: t.order, kind: Fetch}, v) // for the order: the form is filled in while its visitor waits
	case v.doc != nil && w.e.now()-v.seen < recent && ticket.Wait != 0 && !w.e.isBot(t.order):
		w.later(v.doc.state.FirstPoll(time.Now(), ticket, rand.Float64()), task{order: t.order, kind: Look}, v)
	default:
		w.later(0, task{order: t.order, kind: Look}, v)
	}
}

// recent is for how long a state tells how often to ask.
const recent = 10 * time.Second

// entered keeps a pass and sends the form as soon as a person would.
func (w *worker) entered(t *task, v *visitor) {
	v.pass = readPass(w.answer.Body)
	o := &w.e.crowd.Orders[t.order]
	if o.Habit == crowd.LetsLapse {
		w.leave(v, LetLapse)
		return
	}
	wait := w.e.reaction()
	if o.Role.IsBot() {
		wait = 0
	}
	if o.Role == crowd.Sharer {
		pass := v.pass
		w.e.line.visitors[o.Next].lent.Store(&pass)
	}
	w.e.after(wait, task{order: t.order, kind: First})
	if o.Habit == crowd.DoubleClick {
		w.e.after(wait+2*time.Millisecond, task{order: t.order, kind: Double})
	}
}

// reaction is how long a person takes from being let in to sending the form: at least a quarter of the average.
func (e *engine) reaction() time.Duration {
	mean := float64(e.plan.Room.Reaction)
	return time.Duration(min(mean/4+rand.ExpFloat64()*mean*3/4, 10*mean))
}

// refused deals with a clear no.
func (w *worker) refused(t *task, s *Step, v *visitor) {
	code := w.e.codes.name(s.Code)
	switch {
	case code == "sold_out":
		w.leave(v, SoldOut)
	case code == "confirmation_required":
		w.unconfirmed(t.order, v, problemReason(w.answer.Body))
	case code == "captcha_failed" && (t.kind == Draw || t.kind == Ask):
		v.captcha = ""
		w.later(jitter(clickWait), task{order: t.order, kind: Fetch}, v)
	case code == "queue_pass_required":
		w.unturned(t, v, problemReason(w.answer.Body))
	default:
		w.leave(v, Refused)
	}
}

// unturned deals with a ticket that is not exchanged.
func (w *worker) unturned(t *task, v *visitor, reason string) {
	bot := w.e.isBot(t.order)
	switch {
	case reason == "not_yet":
		if !bot {
			w.e.notYet.Add(1)
		}
		w.later(2*time.Second+jitter(time.Second), task{order: t.order, kind: Look}, v)
	case bot && w.e.crowd.Orders[t.order].Role == crowd.Sharer && v.lost < 3:
		v.lost++
		w.later(jitter(time.Second), task{order: t.order, kind: First}, v) // with the pass that another got
	case w.persists(t.order):
		w.persist(t.order, v)
	case bot:
		w.leave(v, Refused)
	case reason == "lapsed" || reason == "used":
		w.rejoin(t.order, v)
	default:
		w.e.disowned.Add(1)
		w.leave(v, Refused)
	}
}

// rejoin queues again from the end, as the page offers when a pass has lapsed.
func (w *worker) rejoin(order int32, v *visitor) {
	v.ticket.Store(nil)
	v.pass, v.captcha, v.signed, v.ranked, v.proof = "", "", "", false, proof{}
	v.draws++
	w.later(jitter(clickWait), task{order: order, kind: Look}, v)
}
