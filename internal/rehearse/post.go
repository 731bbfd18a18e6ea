package rehearse

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/inbox"
	"gapura/internal/rehearse/room"
)

// proof is what a visitor has to show for its address, where a waiting room gives one number a person.
type proof struct {
	confirmation string
	code         string        // of the mail; empty: it has not come
	since        time.Duration // when the visitor asked first
	again        time.Duration // from when on the mail can be sent again
	waits        bool          // for the mail
	slips        bool          // types a wrong code next
}

// post brings the codes of the mails to the visitors who asked for them.
type post struct {
	mu      sync.Mutex
	asked   map[string]*asking // by confirmation
	early   map[string]inbox.Letter
	numbers map[string]string // by address: the first number that it got
	took    *hdrhistogram.Histogram
	people  MailCount
	bots    MailCount
	right   int // right codes that people sent and that were answered
	refused int // of them, those that were refused
	strayed int // codes that came to another address than the one that was named
	again   int // addresses that were confirmed once more
	changed int // of them, those that got another number
}

// asking is what one browser asked for.
type asking struct {
	order  int32
	bot    bool
	to     string
	since  time.Duration
	mailed bool
}

// MailCount counts what came of asking for codes.
type MailCount struct {
	Asked  int `json:"asked"`  // confirmations that were begun
	Again  int `json:"again"`  // times that the mail was asked for once more
	Mailed int `json:"mailed"` // mails with a code that came
	Silent int `json:"silent"` // confirmations that no mail came for
	Wrong  int `json:"wrong"`  // wrong codes that were sent
}

// MailResult is what came of a room in which people confirm an address.
type MailResult struct {
	People, Bots MailCount
	Wait         Latency // of people, from when they asked first until the code was there
}

func newPost() *post {
	return &post{asked: map[string]*asking{}, early: map[string]inbox.Letter{}, numbers: map[string]string{}, took: newHist()}
}

func (p *post) count(bot bool) *MailCount {
	if bot {
		return &p.bots
	}
	return &p.people
}

// await notes that somebody waits for a code, and returns the code if it was faster than the answer to the request for it.
func (p *post) await(confirmation string, a asking, now time.Duration) (code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[confirmation] != nil {
		p.count(a.bot).Again++
		return ""
	}
	p.count(a.bot).Asked++
	p.asked[confirmation] = &a
	if l, came := p.early[confirmation]; came {
		delete(p.early, confirmation)
		return p.matched(&a, l, now)
	}
	return ""
}

// take sorts a letter and returns whom its code is for; false if nobody is known to wait for it.
func (p *post) take(l inbox.Letter, now time.Duration) (a asking, code string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.asked[l.Confirmation]
	if of == nil {
		p.early[l.Confirmation] = l
		return a, "", false
	}
	code = p.matched(of, l, now)
	return *of, code, code != ""
}

func (p *post) matched(a *asking, l inbox.Letter, now time.Duration) (code string) {
	if !strings.EqualFold(l.To, a.to) {
		p.strayed++
		return ""
	}
	p.count(a.bot).Mailed++
	if !a.mailed && !a.bot {
		record(p.took, now-a.since)
	}
	a.mailed = true
	return l.Code
}

// mistyped counts a wrong code.
func (p *post) mistyped(bot bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(bot).Wrong++
}

// answered counts a right code of a person, which must be taken.
func (p *post) answered(taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.right++
	if !taken {
		p.refused++
	}
}

// drew compares the number of a confirmed address with the one that it got first.
func (p *post) drew(address, number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, known := p.numbers[address]
	switch {
	case !known:
		p.numbers[address] = number
		return
	case first != number:
		p.changed++
	}
	p.again++
}

// result sums up.
func (p *post) result() *MailResult {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &MailResult{People: p.people, Bots: p.bots, Wait: sumUp(p.took)}
	for _, a := range p.asked {
		switch {
		case a.mailed:
		case a.bot:
			r.Bots.Silent++
		default:
			r.People.Silent++
		}
	}
	return r
}

// slips is which part of the people type a wrong code first. An assumption, so that a crowd of a few hundred tries it.
const slips = 0.03

// mailed hands a code to its visitor, who reads it and types it in.
func (e *engine) mailed(l inbox.Letter) {
	a, code, known := e.line.post.take(l, e.now())
	if !known || e.crowd.Orders[a.order].Role == crowd.Hammerer { // which guesses: it named an address that it cannot read
		return
	}
	v := &e.line.visitors[a.order]
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.proof.confirmation != l.Confirmation || v.proof.code != "":
	case !v.proof.waits:
		v.proof.code = code // just when it is asked for again: the answer to that finds it
	default:
		v.proof.waits = false
		e.enterCode(a.order, v, code)
	}
}

// enterCode plans that a visitor sends its code; v is locked.
func (e *engine) enterCode(order int32, v *visitor, code string) {
	v.proof.code = code
	wait := time.Duration(0)
	if !e.isBot(order) {
		v.proof.slips = rand.Float64() < slips
		wait = e.reaction()
	}
	e.after(wait, task{order: order, kind: Draw})
}

// toTicket is what a visitor without a ticket does next.
func (l *line) toTicket(v *visitor) Kind {
	switch {
	case l.post != nil && v.proof.code != "":
		return Draw
	case l.work && v.captcha == "":
		return Fetch
	case l.post != nil:
		return Ask
	}
	return Draw
}

// askRequest has a code mailed to the address that the order's contact will have.
func (w *worker) askRequest(t task, v *visitor) []byte {
	if v.proof.since == 0 {
		v.proof.since = max(t.due, 1)
	}
	w.body = append(w.body[:0], `{"email":"`...)
	w.body = append(w.e.people.AppendContact(w.body, t.order), `","locale":"id"`...)
	if v.captcha != "" {
		w.body = append(append(append(w.body, `,"captcha":"`...), v.captcha...), '"')
	}
	w.body = append(w.body, '}')
	return w.close(w.withDrawKey(w.open("POST", w.e.line.path+"/confirmations", t.order, int(v.draws)), t.order, v))
}

// confirmRequest sends a code.
func (w *worker) confirmRequest(order int32, turn int, confirmation, code string) []byte {
	w.body = append(append(w.body[:0], `{"confirmation":"`...), confirmation...)
	w.body = append(append(append(w.body, `","code":"`...), code...), `"}`...)
	return w.close(w.open("POST", w.e.line.path+"/tickets", order, turn))
}

// typed is the code as the visitor types it.
func (p *proof) typed() string {
	if !p.slips || p.code == "" {
		return p.code
	}
	last := len(p.code) - 1
	return p.code[:last] + string('0'+(p.code[last]-'0'+1)%10)
}

// asked keeps what a request for a code was answered with, and waits for the mail.
func (w *worker) asked(t *task, v *visitor) {
	o := &w.e.crowd.Orders[t.order]
	v.captcha = "" // it was for this request
	v.proof.confirmation = member(w.answer.Body, "confirmation")
	v.proof.again = w.e.now() + time.Minute
	if resend, err := time.Parse(time.RFC3339, member(w.answer.Body, "resend_at")); err == nil {
		v.proof.again = resend.Sub(w.e.opening)
	}
	v.proof.again += time.Duration(rand.Int64N(int64(30 * time.Second))) // people look into their spam folder first
	code := w.e.line.post.await(v.proof.confirmation, asking{
		order: t.order, bot: o.Role.IsBot(), to: string(w.e.people.AppendContact(nil, t.order)), since: v.proof.since,
	}, w.e.now())
	if code == "" {
		code = v.proof.code
	}
	switch {
	case o.Role == crowd.Hammerer:
		w.e.after(0, task{order: t.order, kind: Prod})
	case code != "":
		w.e.enterCode(t.order, v, code)
	default:
		v.proof.waits = true
		w.wait(t.order, v)
	}
}

// wait looks at the state again while the mail is on its way, as the page does; after a while it has the mail sent again.
func (w *worker) wait(order int32, v *visitor) {
	if w.e.now() > v.proof.again {
		v.proof.waits = false
		w.later(jitter(clickWait), task{order: order, kind: w.e.line.toTicket(v)}, v)
		return
	}
	state := v.doc.state
	w.later(state.NextPoll(time.Now(), room.Standing{Ahead: -1, Wait: -1}, rand.Float64()), task{order: order, kind: Wait}, v)
}

// idle reports whether a planned look has become needless, because the mail came.
func (v *visitor) idle(t *task) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return t.kind == Wait && !v.proof.waits
}

// confirmed notes a ticket that was given for a code.
func (w *worker) confirmed(order int32, v *visitor) {
	p := w.e.line.post
	if p == nil {
		return
	}
	if !w.e.isBot(order) {
		p.answered(true)
	}
	if v.proof.slips && w.e.tried(true) {
		w.e.breached("a code with another last digit")
	}
	v.proof.slips = false
	p.drew(string(w.e.people.AppendContact(nil, order)), member(w.answer.Body, "number"))
}

// unconfirmed deals with a code that was not taken.
func (w *worker) unconfirmed(order int32, v *visitor, reason string) {
	p, bot := w.e.line.post, w.e.isBot(order)
	switch {
	case p == nil:
		w.leave(v, Refused)
	case v.proof.slips && reason == "wrong_code":
		p.mistyped(bot)
		w.e.tried(false)
		v.proof.slips = false
		w.later(jitter(clickWait), task{order: order, kind: Draw}, v)
	case bot && reason == "lapsed": // of a bot that has held a place for longer than a code can be used
		v.proof = proof{}
		v.draws++
		w.later(jitter(botLook), task{order: order, kind: w.e.line.toTicket(v)}, v)
	case bot:
		w.leave(v, Refused)
	default:
		p.answered(false)
		w.leave(v, Refused)
	}
}

// persistEvery is how often a bot tries whether its address can queue again: it can when the last pass has lapsed.
const persistEvery = 10 * time.Second

// persist sends the bot's code once more, for the place that its address gets when the last pass has lapsed.
func (w *worker) persist(order int32, v *visitor) {
	v.ticket.Store(nil)
	v.pass, v.ranked = "", false
	w.later(jitter(persistEvery), task{order: order, kind: w.e.line.toTicket(v)}, v)
}

// persists reports whether a bot goes on with its address when a ticket is not exchanged.
func (w *worker) persists(order int32) bool {
	role := w.e.crowd.Orders[order].Role
	return w.e.line.post != nil && (role == crowd.Redrawer || role == crowd.Holder)
}

// bequeath gives a bot's next order the code that it has already: it has the same address.
func (e *engine) bequeath(order, next int32) {
	if e.line.post == nil {
		return
	}
	from, to := &e.line.visitors[order], &e.line.visitors[next]
	from.mu.Lock()
	had := from.proof
	from.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	to.proof = proof{confirmation: had.confirmation, code: had.code}
}

// guess tries a code for an address whose mail the bot cannot read.
func (w *worker) guess(t task, v *visitor) []byte {
	v.mu.Lock()
	confirmation := v.proof.confirmation
	v.mu.Unlock()
	if confirmation == "" {
		confirmation = hexadecimal(32)
	}
	return w.confirmRequest(t.order, int(t.try), confirmation, decimal(6))
}

// guessed counts what a guess came to, and returns what the bot does next: when its guesses are used up it has another code mailed as
// soon as that can be.
func (w *worker) guessed(s *Step, v *visitor) Kind {
	if w.e.line.post == nil || s.Status/100 != 4 {
		return Prod
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch problemReason(w.answer.Body) {
	case "wrong_code":
		w.e.line.post.mistyped(true)
	case "too_many":
		if w.e.crowd.Orders[s.Visitor].Role == crowd.Hammerer && w.e.now() > v.proof.again {
			return w.e.line.toTicket(v)
		}
	}
	return Prod
}

func hexadecimal(length int) string { return drawnFrom("0123456789abcdef", length) }

func decimal(length int) string { return drawnFrom("0123456789", length) }

// judgePost looks for what must not happen where addresses are confirmed.
func judgePost(p *post, r *Result) []Finding {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, silent := int64(r.Room.Mail.People.Asked), int64(r.Room.Mail.People.Silent)
	mailed := counted("room_code_mailed", "Yang meminta kode menerima email", "Whoever asks for a code gets a mail", silent, asked)
	// A slow mail server is no broken promise; one that nothing came to at all is another one than the rehearsal's.
	mailed.Info = silent < asked
	if !mailed.Info && asked > 0 {
		mailed.Note = Text{
			ID: "Tidak ada email yang datang: jalankan server dengan MAIL_MAILER=smtp serta MAIL_HOST dan MAIL_PORT dari --mail.",
			EN: "No mail came at all: start the server with MAIL_MAILER=smtp, and MAIL_HOST and MAIL_PORT of --mail.",
		}
	}
	return []Finding{
		mailed,
		counted("room_code_taken", "Kode dari email diterima", "The code of the mail is taken", int64(p.refused), int64(p.right)),
		counted("room_one_number", "Satu alamat, satu nomor", "An address that confirms again has the same number", int64(p.changed), int64(p.again)),
		counted("room_code_private", "Kode hanya dikirim ke alamat yang dimasukkan", "A code goes to the address that was named only", int64(p.strayed),
			int64(p.people.Mailed+p.bots.Mailed+p.strayed)),
	}
}
