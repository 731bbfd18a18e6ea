package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/jobs"
)

// full is an outbox in which every queue has more to do than anybody asks for; it notes how much that is.
type full map[jobs.Queue]int

func (f full) DueQueues(_ context.Context, _ time.Time, queues []jobs.Queue) ([]jobs.Queue, error) {
	return queues, nil
}

func (f full) ClaimJobs(_ context.Context, q jobs.Queue, _, _ time.Time, want jobs.Want) (jobs.Claims, error) {
	f[q] = want.Send
	return jobs.Claims{Send: make([]jobs.Sending, want.Send)}, nil
}

func (f full) ResendJobs(context.Context, []jobs.Sending, time.Time) ([]jobs.Sending, error) {
	return nil, nil
}

func (f full) PostponeJobs(context.Context, []jobs.Sending, time.Time) (int, error) { return 0, nil }

func (f full) ClearLeases(context.Context, time.Time, []jobs.Queue) (int, error) { return 0, nil }

// carried is how many jobs wait in the carrier.
type carried map[jobs.Queue]int

func (c carried) Look(context.Context) (map[jobs.Queue]int, bool, error) { return c, false, nil }

func (c carried) Send(context.Context, []jobs.Sending) error { return nil }

func (c carried) Alive(context.Context, []jobs.Sending) ([]bool, error) { return nil, nil }

type silent struct{}

func (silent) JobsSent(jobs.Queue, int, bool)              {}
func (silent) JobStarted(jobs.Kind, time.Duration)         {}
func (silent) JobEnded(jobs.Kind, jobs.End, time.Duration) {}
func (silent) JobsWaiting(jobs.Queue, int)                 {}

// While registrations wait, payments go on and of the rest a trickle is sent, at the relay's own pace.
func TestAHeldQueueTrickles(t *testing.T) {
	t.Parallel()
	limits := jobs.RelayLimits{Window: 2000, Heavy: 100, Busy: 5, Held: 1, Batch: 500}
	for name, test := range map[string]struct {
		demand  jobs.Demand
		waiting carried
		want    full
		more    bool
	}{
		"calm": {waiting: carried{}, want: full{jobs.Confirm: 500, jobs.Payment: 500, jobs.Plan: 500, jobs.Ticket: 100, jobs.Mail: 100, jobs.Bulk: 500}, more: true},
		"filled": {
			waiting: carried{jobs.Payment: 2000, jobs.Plan: 1999, jobs.Ticket: 100, jobs.Mail: 99, jobs.Bulk: 1700},
			want:    full{jobs.Confirm: 500, jobs.Payment: 0, jobs.Plan: 1, jobs.Ticket: 0, jobs.Mail: 1, jobs.Bulk: 300}, more: true,
		},
		"busy": {
			demand: jobs.Busy, waiting: carried{jobs.Ticket: 4, jobs.Mail: 5},
			want: full{jobs.Confirm: 500, jobs.Payment: 500, jobs.Plan: 500, jobs.Ticket: 1, jobs.Mail: 0, jobs.Bulk: 500}, more: true,
		},
		"rush": {
			demand: jobs.Late, waiting: carried{jobs.Payment: 2000, jobs.Ticket: 1},
			want: full{jobs.Confirm: 500, jobs.Payment: 0, jobs.Plan: 1, jobs.Ticket: 0, jobs.Mail: 1, jobs.Bulk: 1}, more: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outbox := full{}
			r := jobs.Relay{
				Outbox: outbox, Carrier: test.waiting, Queues: jobs.Queues(), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler),
				Meter: silent{}, Limits: limits, Demand: func() jobs.Demand { return test.demand },
			}
			more, err := r.Pass(t.Context())
			if err != nil || more != test.more || !maps.Equal(outbox, test.want) {
				t.Errorf("claimed %v, more: %v, %v; want %v", outbox, more, err, test.want)
			}
		})
	}
}

// New jobs of a direct queue are done where they lie and not sent; if they cannot be done together they go the usual way.
func TestDirectJobsAreNotSent(t *testing.T) {
	t.Parallel()
	limits := jobs.RelayLimits{Window: 2000, Held: 3, Batch: 500, Direct: 200, Gentle: 50}
	for name, test := range map[string]struct {
		demand jobs.Demand
		there  int // new jobs
		err    error
		asked  int
		want   jobs.Want
		more   bool
	}{
		"many":   {there: 1000, asked: 200, want: jobs.Want{Send: 500, Check: 500, Ended: true}, more: true},
		"few":    {there: 7, asked: 200, want: jobs.Want{Send: 500, Check: 500, Ended: true}},
		"none":   {asked: 200, want: jobs.Want{Send: 500, Check: 500, Ended: true}},
		"rush":   {demand: jobs.Late, there: 1000, asked: 50, want: jobs.Want{Send: 3, Check: 500, Ended: true}},
		"failed": {there: 1000, asked: 200, err: errors.New("one of them cannot be read"), want: jobs.Want{Send: 500, Check: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outbox, asked := &wanted{full: full{}}, 0
			r := jobs.Relay{
				Outbox: outbox, Carrier: carried{}, Queues: []jobs.Queue{jobs.Plan}, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler),
				Meter: silent{}, Limits: limits, Demand: func() jobs.Demand { return test.demand },
				Direct: map[jobs.Queue]jobs.Direct{jobs.Plan: func(_ context.Context, n int) ([]jobs.Job, error) {
					asked = n
					return make([]jobs.Job, min(n, test.there)), test.err
				}},
			}
			more, err := r.Pass(t.Context())
			if err != nil || more != test.more || asked != test.asked || outbox.want != test.want {
				t.Errorf("%d done directly, claimed %+v, more: %v, %v; want %d, %+v", asked, outbox.want, more, err, test.asked, test.want)
			}
		})
	}
}

// wanted notes what is claimed and has nothing.
type wanted struct {
	full
	want jobs.Want
}

func (w *wanted) ClaimJobs(_ context.Context, _ jobs.Queue, _, _ time.Time, want jobs.Want) (jobs.Claims, error) {
	w.want = want
	return jobs.Claims{}, nil
}
