package app

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/store"
	"gapura/internal/worker"
)

// withJobs opens the database of a shell whose schema is up to date.
func withJobs(t *testing.T, sh *shell) *store.Store {
	t.Helper()
	sh.must(t, "migrate")
	s, err := store.Open(t.Context(), store.Options{Driver: store.DriverSQLite, DSN: sh.directory + "/data/gapura.db"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bury makes dead letters of a kind and returns their numbers.
func bury(t *testing.T, s *store.Store, kind jobs.Kind, n int) []int64 {
	t.Helper()
	now, ctx := time.Now(), t.Context()
	planned := make([]jobs.New, n)
	for i := range planned {
		planned[i] = jobs.New{Kind: kind, EventID: 1, Order: id.New(), Version: 2, Arg: "order_confirmed"}
	}
	if err := s.PlanJobs(ctx, now, planned); err != nil {
		t.Fatal(err)
	}
	claims, err := s.ClaimJobs(ctx, kind.Queue(), now, now.Add(time.Minute), jobs.Want{Send: n})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int64, n)
	outcomes := make([]jobs.Outcome, n)
	for i, c := range claims.Send {
		ids[i] = c.ID
		outcomes[i] = jobs.Outcome{Sending: c, End: jobs.Dead, At: now, Error: "no such mailbox"}
	}
	if err := s.Settle(ctx, outcomes); err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantIn(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestQueueCommands(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	wantIn(t, sh.must(t, "queue", "list"), "nothing is waiting, and there are no dead letters")
	s := withJobs(t, sh)
	letters := bury(t, s, jobs.MailSend, 3)
	first := strconv.FormatInt(letters[0], 10)

	out := sh.must(t, "queue", "list")
	wantIn(t, out, "mail mail.send 0 0 0 3 0 -", first+" mail.send", "order_confirmed", "gapura queue show LETTER")
	wantIn(t, sh.must(t, "queue", "show", first), "job "+first+" mail.send dead", "attempts 1 of 20, sent 1 times", "attempt 1 no such mailbox")

	wantIn(t, sh.must(t, "queue", "edit", first, "--arg", "order_received", "--version", "3"), "job "+first+" will be tried again at once")
	wantIn(t, sh.must(t, "queue", "show", first), "mail.send waiting", "order_received", "version 3")
	wantIn(t, sh.must(t, "queue", "retry", first), "waits for a worker or is being done already")

	second := strconv.FormatInt(letters[1], 10)
	wantIn(t, sh.must(t, "queue", "discard", second, "--reason", "a test order"), "is discarded")
	wantIn(t, sh.must(t, "queue", "list", "--discarded"), second+" mail.send", "(a test order)")
	wantIn(t, sh.must(t, "queue", "show", second), "mail.send discarded", "reason a test order")
	wantIn(t, sh.must(t, "queue", "retry", "--kind", "mail.send", "--all"), "1 dead letters of kind mail.send")
	wantIn(t, sh.must(t, "queue", "retry", second), "job "+second+" will be tried again at once")
	wantIn(t, sh.must(t, "queue", "list"), "mail mail.send 3 0 0 0 0")
}

func TestQueueCommandsRefuse(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.must(t, "migrate")
	for line, want := range map[string]string{
		"queue show 99":                        "there is no job 99, or it is done: gapura queue list shows what is left",
		"queue retry":                          "say which: gapura queue retry ID, or gapura queue retry --kind KIND --all",
		"queue retry --kind mail.send":         "say which: gapura queue retry ID, or gapura queue retry --kind KIND --all",
		"queue retry 1 --all":                  "say either a job's number or --kind KIND --all, not both",
		"queue retry --kind mail --all":        `there is no kind "mail": use one of order.placed`,
		"queue retry 99":                       "there is no job 99",
		"queue edit 99":                        "say what to change: --arg TEXT or --version N",
		"queue edit 99 --arg x":                "there is no dead letter 99",
		"queue edit 99 --version=-1":           "--version is -1: use 0 or more",
		"queue discard 99 --reason x":          "there is no dead letter 99",
		"queue discard 99 --reason=":           "--reason needs 1 to 500 characters",
		"queue list --limit 0":                 "--limit is 0: use 1 or more",
		"queue list --kind x":                  `there is no kind "x"`,
		"queue edit 9 --arg " + long("x", 256): "--arg has 256 bytes: use at most 255",
	} {
		if got := sh.refused(t, exitNo, strings.Fields(line)...); !strings.HasPrefix(got, want) {
			t.Errorf("gapura %s: %q, want %q", line, got, want)
		}
	}
	if code, _, errs := sh.run(t, "queue", "discard", "1"); code != exitUsage || !strings.Contains(errs, "--reason") {
		t.Errorf("discard without a reason: exit %d, %s", code, errs)
	}
	if code, _, _ := sh.run(t, "queue", "show", "abc"); code != exitUsage {
		t.Errorf("show abc: exit %d", code)
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1500 * time.Millisecond: "1s", 61 * time.Second: "1m1s", 3*time.Hour + 5*time.Minute + 2*time.Second: "3h5m",
		49 * time.Hour: "2d1h",
	} {
		if got := age(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestOnlyQueuesThatSomebodyHereCanDoAreServed(t *testing.T) {
	t.Parallel()
	got := servedQueues(map[jobs.Kind]worker.Handler{jobs.MailSend: nil, jobs.OrderPlaced: nil, jobs.OrderChanged: nil})
	if want := []jobs.Queue{jobs.Plan, jobs.Mail}; !slices.Equal(got, want) {
		t.Errorf("served: %v, want %v", got, want)
	}
}

// TestAServerRunsItsJobs: with nothing configured, a job goes through the queue in the process.
func TestAServerRunsItsJobs(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	s := withJobs(t, sh)
	if err := s.PlanJobs(t.Context(), time.Now(), []jobs.New{{Kind: jobs.Noop}, {Kind: jobs.Noop}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var out, errs strings.Builder
	go func() {
		ended <- Run(ctx, []string{"serve"}, System{Out: &out, Err: &errs, Environment: sh.environment, Directory: sh.directory})
	}()
	tick, timeout := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for left := 2; left > 0; {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%d jobs are left", left)
		}
		lengths, err := s.QueueLengths(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left = lengths[jobs.Bulk]
	}
	stop()
	if code := <-ended; code != exitOK || errs.String() != "" {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
