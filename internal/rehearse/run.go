package rehearse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/wire"
)

// Run plays the plan and judges the outcome. Progress goes to w: one line that changes on a terminal, a line a second
// elsewhere. When ctx ends early the crowd goes home and what has happened so far is still judged. The error says why there
// was no rehearsal; findings, even bad ones, are no error.
func Run(ctx context.Context, plan Plan, w io.Writer) (*Result, error) {
	addr, err := plan.check()
	if err != nil {
		return nil, err
	}
	t, err := look(ctx, addr, plan.Slug)
	if err != nil {
		return nil, err
	}
	if plan.Quotas != nil {
		t.quotas = plan.Quotas
	}
	t.sizeCategories()
	if t.repeat {
		plan.Crowd.Habits.SecondCategory = 0 // there is no rule that a second registration could break
	}
	begin, err := plan.toRoom(t)
	if err != nil {
		return nil, err
	}
	people, err := crowd.Gather(t.event, plan.Crowd)
	if err != nil {
		return nil, err
	}
	if len(people.Visits) == 0 {
		return nil, errors.New("the plan brings no visitor: raise the scale, the rate or the duration")
	}
	if plan.OneProcessor {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	e := newEngine(&plan, t, people, crowd.NewPeople(t.event, people, plan.Crowd.Seed+plan.Edition))
	e.begin = begin
	r, err := rehearse(ctx, e, w)
	if err != nil {
		return nil, err
	}
	if r.Interrupted = ctx.Err() != nil; r.Interrupted {
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), judgeInterrupted)
		defer cancel()
		ctx, plan.Settle = patient, 0
	}
	judge(ctx, e, r, w)
	return r, nil
}

// judgeInterrupted bounds judging when the rehearsal was interrupted: whoever interrupts wants to see the result soon.
const judgeInterrupted = 30 * time.Second

// rehearse plays the crowd and sums up what came of it.
func rehearse(ctx context.Context, e *engine, w io.Writer) (*Result, error) {
	_, _ = fmt.Fprintf(w, "%s orders of %s people for %s on %s connections, run %s\n", grouped(int64(len(e.crowd.Orders))),
		grouped(int64(e.crowd.People)), e.target.event.Slug, grouped(int64(e.plan.Connections)), e.people.Run())
	if e.line != nil {
		_, _ = fmt.Fprintf(w, "the waiting room fills from %s on; registration opens %s later\n", e.begin.Format(time.TimeOnly), wholeSeconds(e.line.opens))
	}
	idle, err := openIdle(ctx, e)
	if err != nil {
		return nil, err
	}
	defer idle.close()
	c := newCollector(e, w)
	if err := e.play(ctx, c.watch); err != nil {
		return nil, err
	}
	c.report(c.collect())
	c.finish()
	r := summarise(e, c.attempts)
	r.Started, r.IdleOpen = e.opening.UTC(), idle.alive()
	return r, nil
}

// judge asks the server, and then every further auditor, whether what was acknowledged is true.
func judge(ctx context.Context, e *engine, r *Result, w io.Writer) {
	pause := time.NewTimer(e.plan.Settle)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	_, _ = fmt.Fprintln(w, "asking the server for what it acknowledged")
	r.Findings = append(r.Findings, Verify(ctx, r)...)
	if e.line != nil {
		r.Findings = append(r.Findings, judgeRoom(ctx, e, r)...)
	}
	for _, audit := range e.plan.Auditors {
		found, err := audit(ctx)
		if err != nil {
			found = append(found, Finding{
				Check: "auditor", Broken: 1, Checked: 1, Examples: []string{err.Error()},
				Title: Text{ID: "Pemeriksaan dapat dijalankan", EN: "The audit could be carried out"},
			})
		}
		r.Findings = append(r.Findings, found...)
	}
}

// idleConns are open connections that carry nothing, as of visitors who read.
type idleConns []*wire.Conn

// openIdle opens the plan's idle connections; each asks for the availability once, so that the server has accepted it.
func openIdle(ctx context.Context, e *engine) (idleConns, error) {
	conns := make(idleConns, 0, e.plan.Idle)
	request := getRequest(nil, e.target.addr, "/api/v1/events/"+e.target.event.Slug+"/availability", "")
	var a wire.Answer
	for range e.plan.Idle {
		c := wire.NewSmallConn(e.target.addr)
		conns = append(conns, c)
		if err := c.Do(ctx, request, &a); err != nil {
			conns.close()
			return nil, fmt.Errorf("idle connection %d of %d: %w", len(conns), e.plan.Idle, err)
		}
	}
	return conns, nil
}

// alive counts the connections that the server has kept open.
func (c idleConns) alive() int {
	n := 0
	for _, conn := range c {
		if conn.Alive() {
			n++
		}
	}
	return n
}

func (c idleConns) close() {
	for _, conn := range c {
		conn.HangUp()
	}
}
