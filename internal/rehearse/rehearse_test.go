package rehearse

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gapura/internal/rehearse/crowd"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		serveBench()
		return
	}
	goleak.VerifyTestMain(m)
}

// testPlan brings orders people within length to the server at url.
func testPlan(url string, orders int, length time.Duration) Plan {
	p := DefaultPlan()
	p.BaseURL, p.Slug = url, "night-run"
	p.Crowd.Demand = crowd.Demand{Curve: crowd.CurveConstant, Rate: float64(orders) / length.Seconds(), For: length}
	p.Crowd.Habits = crowd.Habits{DoubleClick: 0.1, LosesLine: 0.1, AsksAgain: 0.1, Cancels: 0.1, SecondCategory: 0.2}
	p.Crowd.Seed = 7
	p.Connections = 16
	p.OneProcessor = false // other tests run beside this one
	return p
}

func run(t *testing.T, p Plan) *Result {
	t.Helper()
	r, err := Run(t.Context(), p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// brokenChecks returns the names of the broken checks.
func brokenChecks(r *Result) []string {
	names := map[string]bool{}
	for _, f := range Broken(r.Findings) {
		names[f.Check] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestAnHonestServerPassesEveryCheck(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 700, sins{sellsBack: true, overloadEvery: 50})
	p := testPlan(f.URL, 600, time.Second)
	p.Polite = true
	p.Quotas = []Quota{{ID: "total", Size: 700, Categories: []string{"10k", "fun", "hm"}}}
	r := run(t, p)
	if got := brokenChecks(r); len(got) > 0 {
		t.Fatalf("broken: %v\n%+v", got, Broken(r.Findings))
	}
	for _, want := range []string{"acknowledged", "replayed", "cancelled", "already_registered", "sold_out", "overloaded", "dropped"} {
		if r.ByCode[want] == 0 {
			t.Errorf("no answer %s: the crowd lacks that habit", want)
		}
	}
	for _, f := range r.Findings {
		if f.Checked == 0 {
			t.Errorf("check %s looked at nothing", f.Check)
		}
	}
	if r.GivenBack == 0 || r.Places-r.GivenBack > 700 || r.Places-r.GivenBack != f.taken {
		t.Errorf("%d places acknowledged, %d given back, the server holds %d", r.Places, r.GivenBack, f.taken)
	}
	if len(r.Orders) < 600 || r.Unanswered != 0 || r.Offered != len(r.Attempts) {
		t.Errorf("orders %d, unanswered %d, offered %d, attempts %d", len(r.Orders), r.Unanswered, r.Offered, len(r.Attempts))
	}
}

func TestEverySinIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sins sins
		want []string // checks that must be broken, and no others
	}{
		"oversells":            {sins{oversells: true}, []string{"quota total"}},
		"loses acknowledged":   {sins{loses: 7}, []string{"acknowledged_exists", "key_finds_order"}},
		"two orders for a key": {sins{twoOrders: true}, []string{"one_key_one_order", "one_person_one_place"}},
		"two places":           {sins{twoPlaces: true}, []string{"one_person_one_place"}},
		"silent replay":        {sins{silentReplay: true}, []string{"replay_marked"}},
		"half an order":        {sins{forgetsPerson: 10}, []string{"order_complete"}},
		"false duplicate":      {sins{refusesStranger: 20}, []string{"no_false_duplicate"}},
		"written refusal":      {sins{writesRefused: true}, []string{"refused_absent", "quota total"}},
		"one order for two":    {sins{sameOrder: 10}, []string{"one_order_one_key", "acknowledged_exists"}},
		"plain 500":            {sins{fails: 20}, []string{"answers_expected"}},
		"ignores cancelling":   {sins{neverCancels: true}, []string{"status_plausible"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := 100_000
			if c.sins.oversells || c.sins.writesRefused {
				size = 200
			}
			f := newFakeServer(t, size, c.sins)
			p := testPlan(f.URL, 300, 400*time.Millisecond)
			p.Quotas = []Quota{{ID: "total", Size: size, Categories: []string{"10k", "fun", "hm"}}}
			got := brokenChecks(run(t, p))
			for _, want := range c.want {
				if !slices.Contains(got, want) {
					t.Errorf("%s is not broken; broken: %v", want, got)
				}
			}
			if len(c.want) == 1 && len(got) > 1 {
				t.Errorf("broken beside it: %v", got)
			}
		})
	}
}

func TestASlowServerDoesNotSlowTheCrowd(t *testing.T) {
	t.Parallel()
	const orders, length = 400, time.Second
	f := newFakeServer(t, 100_000, sins{slow: 100 * time.Millisecond})
	p := testPlan(f.URL, orders, length)
	p.Crowd.Pure, p.Connections = true, 4 // 40 requests a second at best: a tenth of what arrives
	p.Drain = 500 * time.Millisecond
	r := run(t, p)
	if r.Offered != orders {
		t.Errorf("offered %d of %d: the server slowed the crowd", r.Offered, orders)
	}
	if r.Unanswered == 0 {
		t.Error("a server with a tenth of the capacity answered everybody")
	}
	// Whoever was answered last had waited about as long as the curve, although its own exchange took a tenth of a second.
	if r.Latency.Max < 500*time.Millisecond || r.ClientQueue.Max < 400*time.Millisecond {
		t.Errorf("latency %v, client queue %v: waiting for a connection is not counted", r.Latency.Max, r.ClientQueue.Max)
	}
	for i, a := range r.Attempts {
		if planned := r.Orders[a.Order].At; a.Intended != planned {
			t.Fatalf("attempt %d is measured from %v, not from its arrival %v", i, a.Intended, planned)
		}
	}
}

func TestTheCrowdSurvivesARestart(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 100_000, sins{})
	addr := f.Listener.Addr().String()
	p := testPlan(f.URL, 1000, 2*time.Second)
	back := make(chan *httptest.Server, 1)
	p.Faults = []Fault{
		{Name: "kill", At: 500 * time.Millisecond, Do: func(context.Context) error {
			handler := f.Config.Handler
			_ = f.Listener.Close()
			f.CloseClientConnections()
			_ = f.Config.Close()
			time.AfterFunc(600*time.Millisecond, func() {
				l, err := net.Listen("tcp", addr)
				if err != nil {
					back <- nil
					return
				}
				s := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
				s.Start()
				back <- s
			})
			return nil
		}},
	}
	r := run(t, p)
	s := <-back
	if s == nil {
		t.Fatal("the address was taken before the server came back")
	}
	defer s.Close()
	if r.ByCode["connection_refused"] == 0 {
		t.Error("nobody noticed that the server was away")
	}
	if got := brokenChecks(r); len(got) > 0 {
		t.Errorf("broken: %+v", Broken(r.Findings))
	}
	clear := map[int32]bool{}
	for _, a := range r.Attempts {
		if a.Code.Answered() {
			clear[a.Order] = true
		}
	}
	if len(clear) != len(r.Orders) {
		t.Errorf("%d of %d orders got an answer in the end", len(clear), len(r.Orders))
	}
	// On a machine that is busy otherwise the rate may not recover before the curve ends: that is no recovery, not a quick one.
	if len(r.Faults) != 1 || len(r.Recoveries) != 1 || r.Recoveries[0].Took >= 0 && r.Recoveries[0].Took < 300*time.Millisecond {
		t.Errorf("faults %+v, recoveries %+v", r.Faults, r.Recoveries)
	}
}

func TestAnInterruptedRehearsalIsStillJudged(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 100_000, sins{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := testPlan(f.URL, 100_000, time.Hour)
	p.Faults = []Fault{{Name: "stop", At: 300 * time.Millisecond, Do: func(context.Context) error { cancel(); return nil }}}
	r, err := Run(ctx, p, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Acknowledged == 0 || r.End > 20*time.Second || !r.Interrupted {
		t.Errorf("acknowledged %d, ended %v, interrupted %v", r.Acknowledged, r.End, r.Interrupted)
	}
	if got := brokenChecks(r); len(got) > 0 {
		t.Errorf("broken: %v", got)
	}
	if exist := finding(t, r, "acknowledged_exists"); exist.Checked != r.Acknowledged {
		t.Errorf("asked about %d of %d orders", exist.Checked, r.Acknowledged)
	}
}

// finding returns the finding of a check.
func finding(t *testing.T, r *Result, check string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding %s", check)
	return Finding{}
}

func TestAServerThatIsGoneIsNotAskedForever(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 100_000, sins{})
	p := testPlan(f.URL, 500, 200*time.Millisecond)
	p.Crowd.Pure = true
	r := run(t, p)
	f.Close()
	begin := time.Now()
	r.Findings = Verify(t.Context(), r)
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if got := finding(t, r, "questions_answered"); got.Broken != 500 {
		t.Errorf("%d questions without an answer, want 500: %v", got.Broken, got.Examples)
	}
}

func TestManyOrdersAreSampledAndSaidSo(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 100_000, sins{})
	p := testPlan(f.URL, 500, 200*time.Millisecond)
	p.VerifyLimit = 200
	exist := finding(t, run(t, p), "acknowledged_exists")
	if exist.Checked < 100 || exist.Checked > 200 || !strings.Contains(exist.Note.EN, "a sample of") {
		t.Errorf("%+v", exist)
	}
}

func TestOnlyThisMachineIsLoaded(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://192.0.2.1:8080", "http://example.id", "https://127.0.0.1", "http://0.0.0.0:80", "127.0.0.1:80", ""} {
		if addr, err := loopback(base); err == nil {
			t.Errorf("%q is accepted as %s", base, addr)
		}
	}
	for base, want := range map[string]string{
		"http://127.0.0.1:8080": "127.0.0.1:8080", "http://localhost:1/": "127.0.0.1:1", "http://[::1]:8080": "[::1]:8080",
	} {
		if addr, err := loopback(base); err != nil || addr != want {
			t.Errorf("%q: %q, %v", base, addr, err)
		}
	}
}

func TestAPlanThatCannotBePlayedSaysWhy(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Plan){
		"connections":    func(p *Plan) { p.Connections = 0 },
		"do not fit":     func(p *Plan) { p.Idle = 60_000 },
		"curve \"flat\"": func(p *Plan) { p.Crowd.Demand.Curve = "flat" },
		"rate above 0":   func(p *Plan) { p.Crowd.Demand = crowd.Demand{Curve: crowd.CurveConstant, For: time.Second} },
	} {
		p := DefaultPlan()
		change(&p)
		if _, err := Run(t.Context(), p, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAnAuditorJoinsTheFindings(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 1000, sins{})
	p := testPlan(f.URL, 20, 100*time.Millisecond)
	p.Slug = ""
	p.Auditors = []Auditor{
		func(context.Context) ([]Finding, error) {
			return []Finding{{Check: "ledger", Broken: 2, Checked: 9}}, nil
		},
		func(context.Context) ([]Finding, error) { return nil, io.ErrUnexpectedEOF },
	}
	if got := brokenChecks(run(t, p)); !slices.Equal(got, []string{"auditor", "ledger"}) {
		t.Errorf("broken: %v", got)
	}
}

func TestIdleConnectionsStayOpen(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t, 1000, sins{})
	p := testPlan(f.URL, 20, 100*time.Millisecond)
	p.Idle = 50
	if r := run(t, p); r.IdleOpen != 50 {
		t.Errorf("%d of 50 idle connections are open", r.IdleOpen)
	}
}
