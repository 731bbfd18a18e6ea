package jobs_test

import (
	"context"
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

func (f full) ClaimJobs(_ context.Context, q jobs.Queue, _, _ time.Time, send, _ int) (jobs.Claims, error) {
	f[q] = send
	return jobs.Claims{Send: make([]jobs.Sending, send)}, nil
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
	limits := jobs.RelayLimits{Window: 2000, Heavy: 100, Held: 1, Batch: 500}
	for name, test := range map[string]struct {
		held    bool
		waiting carried
		want    full
		more    bool
	}{
		"calm": {waiting: carried{}, want: full{jobs.Payment: 500, jobs.Plan: 500, jobs.Ticket: 100, jobs.Mail: 100, jobs.Bulk: 500}, more: true},
		"filled": {
			waiting: carried{jobs.Payment: 2000, jobs.Plan: 1999, jobs.Ticket: 100, jobs.Mail: 99, jobs.Bulk: 1700},
			want:    full{jobs.Payment: 0, jobs.Plan: 1, jobs.Ticket: 0, jobs.Mail: 1, jobs.Bulk: 300}, more: true,
		},
		"rush": {
			held: true, waiting: carried{jobs.Payment: 2000, jobs.Ticket: 1},
			want: full{jobs.Payment: 0, jobs.Plan: 1, jobs.Ticket: 0, jobs.Mail: 1, jobs.Bulk: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outbox := full{}
			r := jobs.Relay{
				Outbox: outbox, Carrier: test.waiting, Queues: jobs.Queues(), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler),
				Meter: silent{}, Limits: limits, Held: func(q jobs.Queue) bool { return test.held && q != jobs.Payment },
			}
			more, err := r.Pass(t.Context())
			if err != nil || more != test.more || !maps.Equal(outbox, test.want) {
				t.Errorf("claimed %v, more: %v, %v; want %v", outbox, more, err, test.want)
			}
		})
	}
}
