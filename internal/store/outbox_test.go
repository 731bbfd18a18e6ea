package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/store"
	"gapura/test/conformance"
)

// noon is when the tests of the outbox begin.
var noon = time.Date(2027, 3, 7, 12, 0, 0, 0, time.UTC)

// outbox is a store with a clock that the test moves.
type outbox struct {
	*store.Store
	t   *testing.T
	now time.Time
}

const testLease = 10 * time.Second

func eachOutbox(t *testing.T, test func(t *testing.T, o *outbox, d *conformance.Database)) {
	t.Helper()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		test(t, &outbox{Store: d.Store(t), t: t, now: noon}, d)
	})
}

// plan plans n jobs of a kind with the arguments 0, 1, ...
func (o *outbox) plan(kind jobs.Kind, n int) {
	o.t.Helper()
	planned := make([]jobs.New, n)
	for i := range planned {
		planned[i] = jobs.New{Kind: kind, EventID: 7, Order: id.New(), Version: 3, Arg: strconv.Itoa(i)}
	}
	o.planned(planned...)
}

func (o *outbox) planned(planned ...jobs.New) {
	o.t.Helper()
	if err := o.PlanJobs(o.t.Context(), o.now, planned); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outbox) claim(queue jobs.Queue, send, check int) jobs.Claims {
	o.t.Helper()
	c, err := o.ClaimJobs(o.t.Context(), queue, o.now, o.now.Add(testLease), jobs.Want{Send: send, Check: check})
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *outbox) settle(outcomes ...jobs.Outcome) {
	o.t.Helper()
	for i := range outcomes {
		outcomes[i].At = o.now
	}
	if err := o.Settle(o.t.Context(), outcomes); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outbox) record(job int64) jobs.Record {
	o.t.Helper()
	r, err := o.JobRecord(o.t.Context(), o.now, job)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func (o *outbox) gone(job int64) {
	o.t.Helper()
	if r, err := o.JobRecord(o.t.Context(), o.now, job); !errors.Is(err, jobs.ErrNoJob) {
		o.t.Errorf("job %d is still %s (%v)", job, r.State, err)
	}
}

func args(sendings []jobs.Sending) []string {
	all := make([]string, len(sendings))
	for i := range sendings {
		all[i] = sendings[i].Arg
	}
	return all
}

func wantArgs(t *testing.T, what string, sendings []jobs.Sending, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, args(sendings)); diff != "" && len(want)+len(sendings) > 0 {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestClaimJobs(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		order := id.New()
		o.planned(jobs.New{Kind: jobs.MailSend, EventID: 7, Order: order, Version: 3, Arg: "a"},
			jobs.New{Kind: jobs.MailSend, Arg: "later", NotBefore: noon.Add(time.Minute)},
			jobs.New{Kind: jobs.MailSend, Arg: "b"}, jobs.New{Kind: jobs.PaymentAsk, Arg: "other queue"})
		first := o.claim(jobs.Mail, 1, 10).Send
		wantArgs(t, "the first claim", first, "a")
		want := jobs.Sending{
			Job: jobs.Job{ID: first[0].ID, Kind: jobs.MailSend, EventID: 7, Order: order, Version: 3, Arg: "a", Attempt: 1, Sends: 1, Created: noon},
			Due: noon, Until: noon.Add(testLease),
		}
		if diff := cmp.Diff(want, first[0]); diff != "" {
			t.Errorf("a sending (-want +got):\n%s", diff)
		}
		wantArgs(t, "the rest", o.claim(jobs.Mail, 10, 10).Send, "b")
		wantArgs(t, "nothing is left", o.claim(jobs.Mail, 10, 10).Send)

		o.planned(jobs.New{Kind: jobs.MailSend, Arg: "new"})
		o.now = noon.Add(time.Minute)
		c := o.claim(jobs.Mail, 10, 10)
		wantArgs(t, "a delay that ended goes before what is new", c.Send, "later", "new")
		wantArgs(t, "leases that ended", c.Check, "a", "b")
		if got := c.Check[0].Sends; got != 1 {
			t.Errorf("checking counts as sending: %d", got)
		}
		wantArgs(t, "without room, what has ended is checked all the same", o.claim(jobs.Mail, 0, 10).Check)
	})
}

func TestDueQueues(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.planned(jobs.New{Kind: jobs.TicketRender, NotBefore: noon.Add(time.Second)}, jobs.New{Kind: jobs.MailSend})
		due := func() []jobs.Queue {
			due, err := o.DueQueues(t.Context(), o.now, jobs.Queues())
			if err != nil {
				t.Fatal(err)
			}
			return due
		}
		if got := due(); !slices.Equal(got, []jobs.Queue{jobs.Mail}) {
			t.Errorf("due: %v", got)
		}
		o.claim(jobs.Mail, 1, 1)
		o.now = noon.Add(time.Second)
		if got := due(); !slices.Equal(got, []jobs.Queue{jobs.Ticket}) {
			t.Errorf("due a second later: %v", got)
		}
	})
}

func TestClaimsOfSeveralRelaysNeverOverlap(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		const relays, each = 4, 150
		o.plan(jobs.MailSend, relays*each)
		var mu sync.Mutex
		sent := map[string]int{}
		var wg sync.WaitGroup
		for range relays {
			wg.Go(func() {
				for {
					c, err := o.ClaimJobs(t.Context(), jobs.Mail, o.now, o.now.Add(testLease), jobs.Want{Send: 25, Check: 25})
					if err != nil {
						t.Error(err)
						return
					}
					if len(c.Send) == 0 {
						return // all are leased, or another relay has just locked what is left
					}
					mu.Lock()
					for _, arg := range args(c.Send) {
						sent[arg]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for _, s := range o.claim(jobs.Mail, relays*each, 0).Send {
			sent[s.Arg]++
		}
		for arg, n := range sent {
			if n != 1 {
				t.Errorf("job %s was claimed %d times", arg, n)
			}
		}
		if len(sent) != relays*each {
			t.Errorf("%d of %d jobs were claimed", len(sent), relays*each)
		}
	})
}

func TestResendJobs(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 4)
		sent := o.claim(jobs.Mail, 4, 0).Send
		o.now = noon.Add(testLease)
		checked := o.claim(jobs.Mail, 0, 4).Check
		o.settle(jobs.Outcome{Sending: sent[0], End: jobs.Done},
			jobs.Outcome{Sending: sent[1], End: jobs.Failed, Next: noon.Add(time.Hour), Error: "later"})
		again, err := o.ResendJobs(t.Context(), checked[:3], o.now.Add(testLease))
		if err != nil {
			t.Fatal(err)
		}
		wantArgs(t, "sent again", again, "2")
		if again[0].Sends != 2 || !again[0].Due.Equal(checked[2].Due) || !again[0].Until.Equal(o.now.Add(testLease)) {
			t.Errorf("the second sending: %+v", again[0])
		}
		if again, err = o.ResendJobs(t.Context(), checked[2:], o.now.Add(testLease)); err != nil {
			t.Fatal(err)
		}
		wantArgs(t, "another relay has sent one of them", again, "3")
	})
}

func TestPostponeJobs(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 2)
		sent := o.claim(jobs.Mail, 2, 0).Send
		o.now = noon.Add(testLease)
		checked := o.claim(jobs.Mail, 0, 2).Check
		o.settle(jobs.Outcome{Sending: sent[0], End: jobs.Done})
		n, err := o.PostponeJobs(t.Context(), checked, o.now.Add(jobs.YieldWithin))
		if err != nil || n != 1 {
			t.Fatalf("%d postponed, %v", n, err)
		}
		current, err := o.CurrentSends(t.Context(), []int64{sent[1].ID})
		if err != nil || current[sent[1].ID] != 2 {
			t.Errorf("whoever is at it sees sending %d, %v", current[sent[1].ID], err)
		}
		o.settle(jobs.Outcome{Sending: sent[1], End: jobs.Dead, Error: "the older sending says so"})
		if early := o.claim(jobs.Mail, 2, 2); len(early.Send)+len(early.Check) != 0 {
			t.Errorf("sent before its time: %+v", early)
		}
		o.now = o.now.Add(jobs.YieldWithin)
		again := o.claim(jobs.Mail, 2, 2).Send
		wantArgs(t, "sent again", again, "1")
		if again[0].Sends != 3 || again[0].Attempt != 1 {
			t.Errorf("the next sending: %+v", again[0])
		}
	})
}

func TestClearLeasesKeepsDelays(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 3)
		sent := o.claim(jobs.Mail, 2, 0).Send
		o.settle(jobs.Outcome{Sending: sent[0], End: jobs.Failed, Next: noon.Add(time.Minute), Error: "busy"})
		n, err := o.ClearLeases(t.Context(), o.now, jobs.Queues())
		if err != nil || n != 1 {
			t.Fatalf("cleared %d leases (%v), want 1", n, err)
		}
		c := o.claim(jobs.Mail, 10, 10)
		wantArgs(t, "sent", c.Send, "1", "2")
		wantArgs(t, "nothing is to be checked", c.Check)
		if c.Send[0].Sends != 2 {
			t.Errorf("the lost job's sendings: %d, want 2", c.Send[0].Sends)
		}
	})
}

func TestSettle(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, d *conformance.Database) {
		o.plan(jobs.MailSend, 4)
		sent := o.claim(jobs.Mail, 4, 0).Send
		done := jobs.Outcome{Sending: sent[0], End: jobs.Done}
		failed := jobs.Outcome{Sending: sent[1], End: jobs.Failed, Next: noon.Add(time.Minute), Error: "the server is busy"}
		deferred := jobs.Outcome{Sending: sent[2], End: jobs.Deferred, Next: noon.Add(time.Second)}
		dead := jobs.Outcome{Sending: sent[3], End: jobs.Dead, Error: "no such mailbox"}
		for range 2 { // a commit whose answer was lost is written again
			o.settle(dead, deferred, failed, done)
		}
		o.gone(done.ID)
		want := jobs.Record{Job: sent[1].Job, State: jobs.Delayed, Next: failed.Next, Failures: []jobs.Failure{{At: noon, Attempt: 1, Text: "the server is busy"}}}
		want.Attempt = 2
		if diff := cmp.Diff(want, o.record(failed.ID)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		want = jobs.Record{Job: sent[2].Job, State: jobs.Delayed, Next: deferred.Next, Failures: []jobs.Failure{}}
		if diff := cmp.Diff(want, o.record(deferred.ID)); diff != "" {
			t.Errorf("deferred (-want +got):\n%s", diff)
		}
		want = jobs.Record{Job: sent[3].Job, State: jobs.Buried, Ended: noon, Failures: []jobs.Failure{{At: noon, Attempt: 1, Text: "no such mailbox"}}}
		if diff := cmp.Diff(want, o.record(dead.ID)); diff != "" {
			t.Errorf("dead (-want +got):\n%s", diff)
		}

		o.now = noon.Add(time.Minute)
		again := o.claim(jobs.Mail, 10, 0).Send
		wantArgs(t, "due again", again, "2", "1")
		o.settle(jobs.Outcome{Sending: again[0], End: jobs.Done}, jobs.Outcome{Sending: again[1], End: jobs.Done})
		if n := d.Number(t, "SELECT COUNT(*) FROM job_errors WHERE job_id = ?", failed.ID); n != 0 {
			t.Errorf("a finished job has %d errors", n)
		}
	})
}

func TestAnOlderSendingSettlesNothingButSuccess(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 1)
		old := o.claim(jobs.Mail, 1, 0).Send[0]
		o.now = noon.Add(testLease)
		again, err := o.ResendJobs(t.Context(), o.claim(jobs.Mail, 0, 1).Check, o.now.Add(testLease))
		if err != nil || len(again) != 1 {
			t.Fatalf("sent again: %v (%v)", again, err)
		}
		for _, end := range []jobs.End{jobs.Failed, jobs.Dead, jobs.Deferred} {
			o.settle(jobs.Outcome{Sending: old, End: end, Next: noon.Add(time.Hour), Error: "void"})
			if r := o.record(old.ID); r.State != jobs.Leased || r.Sends != 2 || len(r.Failures) != 0 {
				t.Errorf("%s of the older sending left the job %+v", end, r)
			}
		}
		o.settle(jobs.Outcome{Sending: old, End: jobs.Done})
		o.gone(old.ID)
	})
}

func TestWhatFollowsIsPlannedOnce(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, d *conformance.Database) {
		o.plan(jobs.OrderPlaced, 2)
		sent := o.claim(jobs.Plan, 2, 0).Send
		outcomes := make([]jobs.Outcome, 0, 2)
		for _, s := range sent {
			outcomes = append(outcomes, jobs.Outcome{Sending: s, End: jobs.Done, Then: []jobs.New{
				{Kind: jobs.TicketRender, Order: s.Order, Arg: s.Arg}, {Kind: jobs.MailSend, Order: s.Order, Arg: s.Arg},
			}})
		}
		for range 3 {
			o.settle(outcomes...)
		}
		wantArgs(t, "tickets", o.claim(jobs.Ticket, 10, 10).Send, "0", "1")
		wantArgs(t, "mails", o.claim(jobs.Mail, 10, 10).Send, "0", "1")
		if n := d.Number(t, "SELECT COUNT(*) FROM outbox"); n != 4 {
			t.Errorf("%d jobs are left, want 4", n)
		}
	})
}

func TestCurrentSends(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 2)
		sent := o.claim(jobs.Mail, 1, 0).Send[0]
		got, err := o.CurrentSends(t.Context(), []int64{sent.ID, sent.ID + 1, 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int64]int{sent.ID: 1, sent.ID + 1: 0}, got); diff != "" {
			t.Errorf("sendings (-want +got):\n%s", diff)
		}
	})
}

// bury makes n dead letters of a kind and returns their numbers.
func (o *outbox) bury(kind jobs.Kind, n int) []int64 {
	o.t.Helper()
	o.plan(kind, n)
	sent := o.claim(kind.Queue(), n, 0).Send
	ids := make([]int64, n)
	for i, s := range sent {
		ids[i] = s.ID
		o.settle(jobs.Outcome{Sending: s, End: jobs.Dead, Error: "broken"})
	}
	return ids
}

func TestRetryingADeadLetter(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		letter := o.bury(jobs.MailSend, 1)[0]
		before := o.record(letter)
		changed, err := o.RetryJob(t.Context(), o.now, letter)
		if err != nil || !changed {
			t.Fatalf("retry: %t, %v", changed, err)
		}
		if changed, err = o.RetryJob(t.Context(), o.now, letter); err != nil || changed {
			t.Errorf("a second retry: %t, %v", changed, err)
		}
		s := o.claim(jobs.Mail, 1, 0).Send[0]
		want := before.Job
		want.Sends, want.Attempt = 2, 1
		if diff := cmp.Diff(want, s.Job); diff != "" {
			t.Errorf("the job (-want +got):\n%s", diff)
		}
		o.settle(jobs.Outcome{Sending: s, End: jobs.Dead, Error: "still broken"})
		if got := o.record(letter).Failures; len(got) != 2 || got[1].Text != "still broken" {
			t.Errorf("the errors after a retry: %+v", got)
		}
		if _, err := o.RetryJob(t.Context(), o.now, letter+1000); !errors.Is(err, jobs.ErrNoJob) {
			t.Errorf("retry of what is not there: %v", err)
		}
	})
}

func TestRetryEndsADelay(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.planned(jobs.New{Kind: jobs.MailSend, Arg: "later", NotBefore: noon.Add(time.Hour)})
		delayed, err := o.Backlog(t.Context(), o.now)
		if err != nil || len(delayed) != 1 || delayed[0].Delayed != 1 {
			t.Fatalf("backlog: %+v, %v", delayed, err)
		}
		if changed, err := o.RetryJob(t.Context(), o.now, 1); err != nil || !changed {
			t.Errorf("retry: %t, %v", changed, err)
		}
		wantArgs(t, "due", o.claim(jobs.Mail, 1, 0).Send, "later")
	})
}

func TestRetryingAKind(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		letters := o.bury(jobs.MailSend, 5)
		o.bury(jobs.TicketRender, 1)
		if err := o.DiscardLetter(t.Context(), o.now, letters[4], "a test order"); err != nil {
			t.Fatal(err)
		}
		n, err := o.RetryKind(t.Context(), jobs.MailSend)
		if err != nil || n != 4 {
			t.Fatalf("retried %d (%v), want 4", n, err)
		}
		wantArgs(t, "due", o.claim(jobs.Mail, 10, 0).Send, "0", "1", "2", "3")
		left, err := o.Letters(t.Context(), "", false, 10)
		if err != nil || len(left) != 1 || left[0].Kind != jobs.TicketRender {
			t.Errorf("left: %+v, %v", left, err)
		}
	})
}

func TestEditAndDiscard(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		letter := o.bury(jobs.MailSend, 1)[0]
		arg, version := "order_confirmed", 9
		if err := o.EditLetter(t.Context(), letter, jobs.Edit{Arg: &arg}); err != nil {
			t.Fatal(err)
		}
		if r := o.record(letter); r.Arg != arg || r.Version != 3 || r.State != jobs.Buried {
			t.Errorf("after one edit: %+v", r)
		}
		if err := o.EditLetter(t.Context(), letter, jobs.Edit{Version: &version}); err != nil {
			t.Fatal(err)
		}
		o.now = noon.Add(time.Hour)
		if err := o.DiscardLetter(t.Context(), o.now, letter, "done by hand"); err != nil {
			t.Fatal(err)
		}
		r := o.record(letter)
		if r.Arg != arg || r.Version != version || r.State != jobs.Discarded || r.Reason != "done by hand" || !r.Ended.Equal(o.now) {
			t.Errorf("discarded: %+v", r)
		}
		if err := o.DiscardLetter(t.Context(), o.now, letter, "again"); !errors.Is(err, jobs.ErrNoJob) {
			t.Errorf("discarded twice: %v", err)
		}
		discarded, err := o.Letters(t.Context(), jobs.MailSend, true, 10)
		if err != nil || len(discarded) != 1 {
			t.Errorf("discarded letters: %+v, %v", discarded, err)
		}
		o.plan(jobs.MailSend, 1)
		alive := o.claim(jobs.Mail, 1, 0).Send[0].ID
		if err := o.EditLetter(t.Context(), alive, jobs.Edit{Arg: &arg}); !errors.Is(err, jobs.ErrNoJob) {
			t.Errorf("a job under a worker's hands was changed: %v", err)
		}
	})
}

func TestErrorsOfAJobAreBounded(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		o.plan(jobs.MailSend, 1)
		var job int64
		const tries = jobs.KeptFailures + 3
		for i := range tries {
			s := o.claim(jobs.Mail, 1, 0).Send[0]
			job = s.ID
			o.settle(jobs.Outcome{Sending: s, End: jobs.Failed, Next: o.now, Error: fmt.Sprint("error ", i+1)})
		}
		kept := o.record(job).Failures
		if len(kept) != jobs.KeptFailures || kept[0].Text != "error 4" || kept[len(kept)-1].Attempt != tries {
			t.Errorf("%d errors from %q to attempt %d", len(kept), kept[0].Text, kept[len(kept)-1].Attempt)
		}
	})
}

func TestBacklog(t *testing.T) {
	eachOutbox(t, func(t *testing.T, o *outbox, _ *conformance.Database) {
		letters := o.bury(jobs.MailSend, 2)
		if err := o.DiscardLetter(t.Context(), o.now, letters[0], "why not"); err != nil {
			t.Fatal(err)
		}
		o.now = noon.Add(time.Minute)
		o.plan(jobs.MailSend, 3)
		o.claim(jobs.Mail, 1, 0)
		o.planned(jobs.New{Kind: jobs.PaymentAsk, NotBefore: noon.Add(time.Hour)})
		got, err := o.Backlog(t.Context(), o.now)
		if err != nil {
			t.Fatal(err)
		}
		want := []jobs.Backlog{
			{Queue: jobs.Payment, Kind: jobs.PaymentAsk, Delayed: 1, Oldest: o.now},
			{Queue: jobs.Mail, Kind: jobs.MailSend, Waiting: 2, Leased: 1, Dead: 1, Discarded: 1, Oldest: o.now},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("backlog (-want +got):\n%s", diff)
		}
		lengths, err := o.QueueLengths(t.Context())
		if diff := cmp.Diff(map[jobs.Queue]int{jobs.Payment: 1, jobs.Mail: 3}, lengths); diff != "" || err != nil {
			t.Errorf("lengths (%v, -want +got):\n%s", err, diff)
		}
	})
}

// TestClaimsReadTheIndex: behind a large backlog a claim reads as much as it takes.
func TestClaimsReadTheIndex(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	o := &outbox{Store: d.Store(t), t: t, now: noon}
	for range 4 {
		o.plan(jobs.MailSend, 2500)
	}
	d.Exec(t, "ANALYZE TABLE outbox")
	for _, where := range []string{"next_at = 0", "next_at > 0 AND next_at <= 1"} {
		rows, err := d.SQL(t).QueryContext(context.Background(),
			"EXPLAIN SELECT * FROM outbox WHERE queue = 'mail' AND "+where+" ORDER BY next_at, id LIMIT 500 FOR UPDATE SKIP LOCKED")
		if err != nil {
			t.Fatal(err)
		}
		plan := scanPlan(t, rows)
		if plan["key"] != "outbox_next" || plan["Extra"] != "" && plan["Extra"] != "Using where" && plan["Extra"] != "Using index condition" {
			t.Errorf("%s: %v", where, plan)
		}
	}
}

// scanPlan returns the first line of an EXPLAIN by its columns' names.
func scanPlan(t *testing.T, rows *sql.Rows) map[string]string {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatalf("no plan: %v, %v", err, rows.Err())
	}
	values, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	if err := rows.Scan(pointers...); err != nil {
		t.Fatal(err)
	}
	plan := map[string]string{}
	for i, c := range columns {
		plan[c] = values[i].String
	}
	return plan
}
