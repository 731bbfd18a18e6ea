package rehearse

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/wire"
)

// RoomResult is what came of a rehearsal as far as it happened in the waiting room. Times count from when the first visitors
// came; People are orders that people wanted, Bots machines.
type RoomResult struct {
	Opens    time.Duration
	Steps    []Step          // draws, passes and first looks of people, by the moment they were meant for
	Counts   map[Counted]int // everything that was sent, by the moment it was answered
	Visitors []Visitor       // by order

	Looks, First, Tickets, Passes Latency // of people, from the intended moment

	Offered  int // people who came in the first second after opening
	Sent     int // first requests of people that were sent in it: the generator's share of them
	Sold     Success
	Outcomes [numOutcomes]int // of the people without an order
	Bots     Machines
	Line     []LineMoment
	Best     float64     // orders a second that the engine acknowledged at best; 0: not measured
	Mail     *MailResult // nil: nobody had to confirm an address
}

// Visitor is how one order's maker fared.
type Visitor struct {
	Outcome Outcome
	Acked   time.Duration // -1: never
}

// Success counts the people who wanted an order and had one in the end. Those who go away on purpose are left out.
type Success struct {
	Wanted, Had int
	At          []time.Duration // when each had it, in order
}

// Share is the part that succeeded; 0 if nobody wanted any.
func (s Success) Share() float64 { return float64(s.Had) / float64(max(s.Wanted, 1)) }

// Machines counts what bots did and got.
type Machines struct {
	Number, Requests, Tickets, Passes, Orders int
}

// LineMoment is the public state at one moment.
type LineMoment struct {
	At                    time.Duration
	Waiting, Served, Line int64
	Rate                  float64
	Stock                 string
}

func roomResult(e *engine, r *Result) *RoomResult {
	rr := &RoomResult{
		Opens: e.line.opens, Counts: map[Counted]int{}, Visitors: make([]Visitor, len(r.Orders)), Best: e.plan.Room.Best,
		Mail: e.line.post.result(),
	}
	looks := newHist()
	for _, w := range e.workers {
		rr.Steps = append(rr.Steps, w.steps...)
		for _, d := range w.looks {
			record(looks, time.Duration(d))
		}
		for c, n := range w.tally {
			rr.Counts[c] += n
		}
	}
	slices.SortFunc(rr.Steps, func(a, b Step) int { return cmp.Compare(a.Intended, b.Intended) })
	rr.Looks = sumUp(looks)
	rr.latencies()
	rr.success(e, r)
	rr.machines(r)
	rr.firstSecond(r)
	for _, d := range e.line.docs.list {
		s := d.state
		rr.Line = append(rr.Line, LineMoment{d.at, s.Waiting(), s.Served, s.Drawn + s.Late, s.Rate, s.Stock})
	}
	return rr
}

func (rr *RoomResult) latencies() {
	first, tickets, passes := newHist(), newHist(), newHist()
	for i := range rr.Steps {
		s := &rr.Steps[i]
		switch {
		case s.First && s.Kind == Look && s.Code.Answered():
			record(first, s.End-s.Intended)
		case s.Code == CodeTicket:
			record(tickets, s.End-s.Intended)
		case s.Code == CodePass:
			record(passes, s.End-s.Intended)
		}
	}
	rr.First, rr.Tickets, rr.Passes = sumUp(first), sumUp(tickets), sumUp(passes)
}

// success counts people. Whoever registers in two categories has succeeded with either.
func (rr *RoomResult) success(e *engine, r *Result) {
	for i := range rr.Visitors {
		rr.Visitors[i] = Visitor{Outcome: e.line.visitors[i].outcome, Acked: -1}
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if !a.Acknowledged() {
			continue
		}
		mine := a.Order
		if twin := r.Orders[mine].Twin; twin >= 0 && rr.Visitors[twin].Acked < 0 {
			rr.Visitors[twin].Acked = a.End
		}
		rr.Visitors[mine].Acked = a.End
	}
	for i := range r.Orders {
		o, v := &r.Orders[i], &rr.Visitors[i]
		if o.Role.IsBot() || o.Habit == crowd.SecondCategory {
			continue
		}
		left := o.Habit == crowd.ClosesPage || o.Habit == crowd.LetsLapse
		if v.Acked < 0 {
			rr.Outcomes[v.Outcome]++
		}
		if left {
			continue
		}
		rr.Sold.Wanted++
		if v.Acked >= 0 {
			rr.Sold.Had++
			rr.Sold.At = append(rr.Sold.At, v.Acked)
		}
	}
	slices.Sort(rr.Sold.At)
}

func (rr *RoomResult) machines(r *Result) {
	for c, n := range rr.Counts {
		if !c.Bot {
			continue
		}
		rr.Bots.Requests += n
		switch c.Code {
		case CodeTicket:
			rr.Bots.Tickets += n
		case CodePass:
			rr.Bots.Passes += n
		case CodeAcknowledged:
			rr.Bots.Orders += n
		default: // a request that came to nothing
		}
	}
	rr.Bots.Number = r.Plan.Room.Bots
}

// firstSecond counts who came, and who was served by the generator, in the second after opening.
func (rr *RoomResult) firstSecond(r *Result) {
	for i := range r.Orders {
		if o := &r.Orders[i]; !o.Role.IsBot() && o.At >= rr.Opens && o.At < rr.Opens+time.Second {
			rr.Offered++
		}
	}
	for i := range rr.Steps {
		if s := &rr.Steps[i]; s.First && s.Start >= rr.Opens && s.Start < rr.Opens+time.Second {
			rr.Sent++
		}
	}
}

// plateau sums up the acknowledged orders a second from when a twentieth of them are there until nineteen are: how fast the
// engine is while it is fed.
func plateau(seconds []Second) Rate {
	total := 0
	for _, s := range seconds {
		total += s.Acknowledged
	}
	var rate Rate
	var full []Second
	done := 0
	for i, s := range seconds {
		if s.Acknowledged > rate.Peak {
			rate.Peak, rate.PeakAt = s.Acknowledged, i
		}
		if done*20 >= total && (done+s.Acknowledged)*20 <= total*19 {
			full = append(full, s)
		}
		done += s.Acknowledged
	}
	if len(full) == 0 {
		return rate
	}
	padded := append([]Second{{}}, full...)
	mean := rateOf(padded, time.Duration(len(padded))*time.Second)
	mean.Peak, mean.PeakAt = rate.Peak, rate.PeakAt
	return mean
}

// judgeRoom looks for what must not happen in a waiting room.
func judgeRoom(ctx context.Context, e *engine, r *Result) []Finding {
	e.lastLook(ctx, r)
	found := []Finding{
		e.seedKept(), e.nobodyEarly(r), e.orderKept(r),
		counted("room_turn_kept", "Siapa yang tiba gilirannya langsung masuk", "Whoever’s turn has come is let in", e.notYet.Load(), r.Room.Passes.Count+e.notYet.Load()),
		counted("room_ticket_stays", "Tiket yang diminta lagi tetap sama", "A repeated draw gives the same number", e.changed.Load(), e.redrawn.Load()),
		counted("room_ticket_known", "Tiket yang asli selalu diakui", "A true ticket is always recognised", e.disowned.Load(), r.Room.Tickets.Count),
		e.answersOfRoom(r),
	}
	if e.crowd.Bots > 0 || e.line.post != nil {
		found = append(found, e.nothingForged())
	}
	if e.crowd.Bots > 0 {
		found = append(found, e.oneTicketOneOrder(r))
	}
	if e.line.post != nil {
		found = append(found, judgePost(e.line.post, r)...)
	}
	return found
}

func counted(check, indonesian, english string, broken, checked int64) Finding {
	return Finding{Check: check, Title: Text{ID: indonesian, EN: english}, Broken: int(broken), Checked: int(checked)}
}

// lastLook reads the state once more, so that the last to enter can be judged by a later state as well.
func (e *engine) lastLook(ctx context.Context, r *Result) {
	conn := wire.NewConn(e.target.addr)
	defer conn.HangUp()
	var body json.RawMessage
	if getJSON(ctx, conn, e.line.path, &body) == nil {
		_, _ = e.line.docs.take([]byte("the last"), body, max(e.now(), r.End+settled)) // an unreadable one is as good as none
	}
}

func (e *engine) seedKept() Finding {
	f := counted("room_seed_kept", "Benih undian adalah yang dijanjikan", "The draw’s seed is the one that was committed to", 0, 0)
	promised := e.target.room.Commitment
	for _, d := range e.line.docs.list {
		if d.state.SeedHex == "" {
			continue
		}
		if f.Checked++; !d.state.Kept() || d.state.Commitment != promised {
			f.broke("seed " + d.state.SeedHex)
		}
	}
	return f
}

func (e *engine) nobodyEarly(r *Result) Finding {
	f := counted("room_nobody_early", "Tidak ada yang masuk sebelum dibuka", "Nobody enters before opening", 0, 0)
	for c, n := range r.Room.Counts {
		if c.Code != CodePass {
			continue
		}
		if f.Checked += n; time.Duration(c.At+1)*tallyStep <= e.line.opens {
			f.Broken += n
		}
	}
	return f
}

// settled is after how long every visitor can see what was decided: the state is at most a second old, and a poll takes its time.
const settled = 5 * time.Second

// orderKept checks that whoever was let in had its turn by a state that was published a little later.
func (e *engine) orderKept(r *Result) Finding {
	f := counted("room_order_kept", "Tidak ada yang mendahului antrean", "Nobody enters ahead of the line", 0, 0)
	list := slices.SortedFunc(slices.Values(e.line.docs.list), func(a, b *doc) int { return cmp.Compare(a.at, b.at) })
	for i := range r.Room.Steps {
		s := &r.Room.Steps[i]
		if s.Code != CodePass || s.Ticket == nil {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, s.End+settled, func(d *doc, t time.Duration) int { return cmp.Compare(d.at, t) })
		if at == len(list) || list[at].state.Phase != "open" {
			continue
		}
		state := list[at].state
		rank, _ := state.Rank(s.Ticket)
		if f.Checked++; !state.Stand(s.Ticket, rank).Turn {
			f.broke(fmt.Sprintf("%.1f s after the first visitors came", s.End.Seconds()))
		}
	}
	return f
}

// answersOfRoom looks for answers that the contract does not promise: to people's requests for tickets and passes, and to
// everything that bots sent.
func (e *engine) answersOfRoom(r *Result) Finding {
	f := counted("room_answers_expected", "Ruang tunggu hanya menjawab yang dijanjikan kontrak", "The waiting room gives only answers that the contract promises", 0, 0)
	byCode := map[string]int{}
	for c, n := range r.Room.Counts {
		byCode[r.Codes[c.Code]] += n
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		f.Checked += byCode[code]
		if confirms := e.line.post != nil && expectedOfMail[code]; !expected[code] && !expectedInRoom[code] && !confirms {
			f.Broken += byCode[code]
			f.Examples = append(f.Examples, fmt.Sprintf("%s: %s", code, grouped(int64(byCode[code]))))
		}
	}
	return f
}

var expectedOfMail = map[string]bool{"asked": true, "confirmation_required": true}

var expectedInRoom = map[string]bool{"state": true, "unchanged": true, "captcha": true, "ticket": true, "pass": true}

func (e *engine) nothingForged() Finding {
	f := e.breaches
	f.Check, f.Checked = "room_nothing_forged", int(e.tries.Load())
	f.Title = Text{ID: "Tiket dan izin palsu tidak berguna", EN: "Forged tickets and passes are worth nothing"}
	if e.line.post != nil {
		// A thousand guesses are right once in a thousand rehearsals.
		f.Title = Text{ID: "Tiket dan izin palsu dan kode tebakan tidak berguna", EN: "Forged tickets and guessed codes are worth nothing"}
	}
	return f
}

func (e *engine) oneTicketOneOrder(r *Result) Finding {
	f := counted("room_ticket_once", "Satu tiket, paling banyak satu pesanan", "One ticket, at most one order", 0, 0)
	byTicket := map[int32]int{}
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Acknowledged() && r.Orders[a.Order].Role == crowd.Sharer {
			byTicket[r.Orders[a.Order].Next]++
		}
	}
	f.Checked = len(byTicket)
	for leader, n := range byTicket {
		if n > 1 {
			f.broke(fmt.Sprintf("%d orders with the ticket of %s", n, e.people.Key(leader)))
		}
	}
	return f
}

// Sample returns up to n tickets of people, for the forgers of another rehearsal.
func (r *Result) Sample(n int) []string {
	var out []string
	if r.Room == nil {
		return nil
	}
	for i := range r.Room.Steps {
		if s := &r.Room.Steps[i]; s.Ticket != nil && len(out) < n {
			out = append(out, s.Ticket.Text)
		}
	}
	return out
}
