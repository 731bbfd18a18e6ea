package whole

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/rehearse"
	"gapura/internal/rehearse/crowd"
	"gapura/test/peers"
)

// aCrowd comes at rate orders a second for length, with every habit but giving places back: then what is sold at the end is
// exactly what there is, if enough people come.
func aCrowd(n *node, rate float64, length time.Duration, seed uint64) rehearse.Plan {
	plan := rehearse.DefaultPlan()
	plan.BaseURL, plan.Slug = n.url(), "night-run"
	plan.Crowd.Demand = crowd.Demand{Curve: crowd.CurveConstant, Rate: rate, For: length}
	plan.Crowd.Habits = crowd.Habits{DoubleClick: 0.05, LosesLine: 0.05, AsksAgain: 0.05, SecondCategory: 0.03}
	plan.Crowd.Seed = seed
	plan.Connections, plan.Polite, plan.Returns = 64, true, 20
	plan.Timeout, plan.Drain = 10*time.Second, 30*time.Second
	return plan
}

// play sends the crowd and fails the test for every finding.
func play(t *testing.T, plan rehearse.Plan) *rehearse.Result {
	t.Helper()
	var progress strings.Builder
	result, err := rehearse.Run(t.Context(), plan, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, mark := range result.Faults {
		if mark.Err != "" {
			t.Errorf("%s: %s", mark.Name, mark.Err)
		}
	}
	for _, broken := range rehearse.Broken(result.Findings) {
		t.Errorf("%s: %d of %d broken: %v", broken.Title.EN, broken.Broken, broken.Checked, broken.Examples)
	}
	t.Logf("%d orders acknowledged, %d places; answers %v", result.Acknowledged, result.Places, result.ByCode)
	return result
}

// after counts the orders acknowledged after the last fault had ended.
func after(r *rehearse.Result) int {
	last := r.Faults[len(r.Faults)-1]
	n := 0
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Acknowledged() && a.End > last.At+last.Took {
			n++
		}
	}
	return n
}

// soldOut checks that exactly the places there were are sold, and that the books are right.
func soldOut(t *testing.T, i *installation, places int) {
	t.Helper()
	if sold := i.places(t); sold != places {
		t.Errorf("%d places of %d are sold", sold, places)
	}
	i.clean(t)
}

// kill -9 twice in the middle of a crowd that wants more than there is: whatever was acknowledged is there afterwards, every
// repeat by key gets its own order, nothing is half-written, and not one place is lost or sold twice.
func TestKilledInTheMiddleOfACrowd(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, i *installation) {
		const places = 3000
		i.apply(t, places)
		n := i.serve(t)
		plan := aCrowd(n, 600, 4*time.Second, 11)
		restart := func(context.Context) error {
			if err := n.kill(); err != nil {
				return err
			}
			return n.start()
		}
		plan.Faults = []rehearse.Fault{{Name: "kill -9", At: time.Second, Do: restart}, {Name: "kill -9 again", At: 2 * time.Second, Do: restart}}
		result := play(t, plan)
		if after(result) == 0 {
			t.Error("nothing was acknowledged after the restart")
		}
		if result.ByCode["connection_lost"]+result.ByCode["connection_refused"] == 0 {
			t.Error("nobody noticed: the crowd was not in the middle of it")
		}
		soldOut(t, i, places)
	})
}

// MariaDB dies and comes back: the program answers overloaded meanwhile and goes on by itself.
func TestTheDatabaseIsKilledInTheMiddleOfACrowd(t *testing.T) {
	t.Parallel()
	database := peers.PrivateMariaDB(t)
	i := onMariaDB(t, database)
	const places = 3000
	i.apply(t, places)
	n := i.serve(t)
	plan := aCrowd(n, 600, 4*time.Second, 12)
	plan.Faults = []rehearse.Fault{{Name: "MariaDB killed", At: time.Second, Do: func(ctx context.Context) error {
		if err := database.Kill(); err != nil {
			return err
		}
		if err := eventually(ctx, func() bool { return status(n, "/readyz") == http.StatusServiceUnavailable }); err != nil {
			return fmt.Errorf("readyz without a database: %w", err)
		}
		if got := status(n, "/healthz"); got != http.StatusOK {
			return fmt.Errorf("healthz without a database: %d", got)
		}
		refused := func() bool {
			text, err := trickle(n, post("while-there-is-no-database", order(1, "Siti Aminah"), "Connection: close"), 20*time.Second)
			return err == nil && strings.HasPrefix(string(text), "HTTP/1.1 503 ")
		}
		if err := eventually(ctx, refused); err != nil {
			return fmt.Errorf("an order without a database: %w", err)
		}
		return database.Start()
	}}}
	result := play(t, plan)
	if after(result) == 0 {
		t.Error("the program did not go on by itself")
	}
	for _, code := range []string{"connection_lost", "connection_refused", "internal", "http_500"} {
		if result.ByCode[code] > 0 {
			t.Errorf("%d answers were %s", result.ByCode[code], code)
		}
	}
	if !n.running() || status(n, "/readyz") != http.StatusOK {
		t.Error("the node is not ready again")
	}
	soldOut(t, i, places)
}

// eventually asks until it is so, at most ten seconds.
func eventually(ctx context.Context, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// status asks on a connection of its own; 0: no answer.
func status(n *node, path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+path, nil)
	if err != nil {
		return 0
	}
	r.Close = true
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = w.Body.Close() }()
	_, _ = io.Copy(io.Discard, w.Body)
	return w.StatusCode
}

// A stop in the middle of a crowd, and a start: nobody loses anything, and the program ends in order.
func TestStoppedInTheMiddleOfACrowd(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, i *installation) {
		const places = 3000
		i.apply(t, places)
		n := i.serve(t)
		plan := aCrowd(n, 600, 4*time.Second, 13)
		plan.Faults = []rehearse.Fault{{Name: "SIGTERM", At: time.Second, Do: func(context.Context) error {
			if err := n.stop(); err != nil {
				return err
			}
			return n.start()
		}}}
		result := play(t, plan)
		if after(result) == 0 {
			t.Error("nothing was acknowledged after the restart")
		}
		for k := range result.Attempts {
			if a := &result.Attempts[k]; a.Start < result.Faults[0].At && result.Codes[a.Code] == "connection_lost" {
				t.Errorf("sent %s before the stop and not answered", result.Faults[0].At-a.Start)
			}
		}
		soldOut(t, i, places)
	})
}

// What was accepted is answered: requests that the program has begun to read when it is told to stop all get their 201,
// although the database was busy at that moment and new connections are refused already.
func TestAStopAnswersWhatWasAccepted(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, i *installation) {
		i.apply(t, 1000)
		n := i.serve(t)
		release := hold(t, i)
		const visitors = 40
		answers := make(chan string, visitors)
		var sent sync.WaitGroup
		for v := range visitors {
			sent.Add(1)
			go func() { answers <- accepted(n, v, &sent) }()
		}
		sent.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- n.stop() }()
		if err := eventually(t.Context(), func() bool { return status(n, "/healthz") == 0 }); err != nil {
			t.Fatalf("still listening after SIGTERM: %v", err)
		}
		release()
		for range visitors {
			if answer := <-answers; !strings.HasPrefix(answer, "HTTP/1.1 201 ") || !strings.HasSuffix(strings.TrimSpace(answer), "}]}") {
				t.Errorf("an accepted request got %q", answer)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		soldOut(t, i, visitors)
	})
}

// hold keeps the event locked until the function it returns is called.
func hold(t *testing.T, i *installation) func() {
	t.Helper()
	db := i.open(t)
	db.SetMaxOpenConns(1)
	begin, lock := "BEGIN IMMEDIATE", "SELECT 1"
	if i.driver == "mysql" {
		begin, lock = "BEGIN", "SELECT event_id FROM event_state FOR UPDATE"
	}
	for _, statement := range []string{begin, lock} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if _, err := db.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	}
}

// accepted sends one order and returns the whole answer. The program's 100 Continue tells that its handler reads the body.
func accepted(n *node, visitor int, sent *sync.WaitGroup) string {
	conn, err := net.Dial("tcp", n.address)
	if err != nil {
		sent.Done()
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	body := order(visitor, "Siti Aminah")
	_, _ = fmt.Fprintf(conn, "POST /api/v1/events/night-run/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: accepted-before-the-stop-%d\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", visitor, len(body))
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err == nil {
		_, err = reader.ReadString('\n')
	}
	if err == nil {
		_, err = io.WriteString(conn, body)
	}
	sent.Done()
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		return fmt.Sprintf("not accepted: %q %v", line, err)
	}
	answer, err := io.ReadAll(reader)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

// order is a correct one of a person of that number.
func order(person int, name string) string {
	return fmt.Sprintf(`{"contact":{"name":"%[2]s","email":"p%[1]d@example.id","phone":"0812-3456-789"},"participants":[{"category":"fun",`+
		`"name":"%[2]s","email":"p%[1]d@example.id","phone":"+6281200%06[1]d","birth_date":"1994-05-02","gender":"female"}]}`, person, name)
}

// Two nodes on one database. Half of the crowd goes to one of them each; the other half asks both at the same time, with the
// same keys, and must get the same order from both.
func TestTwoNodesOnOneDatabase(t *testing.T) {
	t.Parallel()
	i := onMariaDB(t, peers.MariaDB(t))
	const places = 2500
	i.apply(t, places)
	nodes := []*node{i.serve(t), i.serve(t)}
	const everywhere = 3e9 // seeds far apart: people of neighbouring ones share phone numbers
	results := make([]*rehearse.Result, 4)
	var crowds sync.WaitGroup
	for k, seed := range []uint64{1e9, 2e9, everywhere, everywhere} {
		crowds.Go(func() { results[k] = play(t, aCrowd(nodes[k%2], 200, 4*time.Second, seed)) })
	}
	crowds.Wait()
	if t.Failed() {
		return
	}
	first := map[int32]string{}
	for k := range results[2].Attempts {
		if a := &results[2].Attempts[k]; a.Receipt.ID != "" {
			first[a.Order] = a.Receipt.ID + a.Receipt.Token
		}
	}
	shared := 0
	for k := range results[3].Attempts {
		a := &results[3].Attempts[k]
		if other, ok := first[a.Order]; ok && a.Receipt.ID != "" {
			shared++
			if other != a.Receipt.ID+a.Receipt.Token {
				t.Errorf("one key, two orders: %s and %s", other, a.Receipt.ID)
			}
		}
	}
	if shared < 200 {
		t.Errorf("only %d keys were answered by both nodes", shared)
	}
	soldOut(t, i, places)
}

// A real on-sale's demand against a quota a tenth of it sells exactly the quota.
func TestARealOnsaleSellsExactlyTheQuota(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, i *installation) { onsale(t, i, 1, 30) })
}

// The same times 100, a third of the time.
func TestARealOnsaleTimesAHundred(t *testing.T) {
	peers.Long(t)
	t.Run("sqlite", func(t *testing.T) { onsale(t, onSQLite(t), 100, 3) })
	t.Run("mariadb", func(t *testing.T) { onsale(t, onMariaDB(t, peers.MariaDB(t)), 100, 3) })
}

func onsale(t *testing.T, i *installation, scale, speed float64) {
	t.Helper()
	i.apply(t, 1)
	n := i.serve(t)
	plan := aCrowd(n, 0, 0, 31)
	plan.Crowd.Demand = crowd.Demand{Curve: crowd.CurveOnsale, Scale: scale, Speed: speed}
	plan.Connections, plan.Returns, plan.Drain = 256, 5, 10*time.Minute // until everybody was served, however slow the machine
	plan.VerifyLimit = 20_000                                           // asked one by one; the audit below reads every order
	wanted, err := crowd.Gather(&crowd.Event{Slug: "night-run", MaxParticipants: 5, Categories: make([]crowd.Category, 4)}, plan.Crowd)
	if err != nil {
		t.Fatal(err)
	}
	places := wanted.People / 10
	i.apply(t, places)
	if err := eventually(t.Context(), func() bool { return strings.Contains(page(n, "/api/v1/events/night-run/availability"), `"available"`) }); err != nil {
		t.Fatal(err)
	}
	plan.Quotas = []rehearse.Quota{{ID: "total", Size: places, Categories: []string{"half", "10k", "5k", "fun"}}}
	result := play(t, plan)
	if result.ByCode["sold_out"] == 0 {
		t.Error("nobody was told sold_out")
	}
	soldOut(t, i, places)
}

func page(n *node, path string) string {
	w, err := http.Get(n.url() + path)
	if err != nil {
		return ""
	}
	defer func() { _ = w.Body.Close() }()
	text, _ := io.ReadAll(w.Body)
	return string(text)
}

// A database that takes no writes, as a full disk or a failover leaves it: reads go on, orders are told to come back, the log
// says what to do, and the same key is served when it is over.
func TestAReadOnlyDatabaseIsOverloaded(t *testing.T) {
	t.Parallel()
	database := peers.PrivateMariaDB(t)
	i := onMariaDB(t, database)
	i.apply(t, 10)
	n := i.serve(t)
	admin, err := sql.Open("mysql", database.AdminDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	readOnly := func(value int) {
		if _, err := admin.ExecContext(t.Context(), fmt.Sprintf("SET GLOBAL read_only = %d", value)); err != nil {
			t.Fatal(err)
		}
	}
	readOnly(1)
	refused := send(t, n, post("the-same-key-before-and-after", order(1, "Siti Aminah")), false)
	if code, _ := refused.problem(t); refused.status != http.StatusServiceUnavailable || code != "overloaded" || refused.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", refused.status, refused.header, refused.body)
	}
	if got := status(n, "/api/v1/events/night-run"); got != http.StatusOK {
		t.Errorf("reading: %d", got)
	}
	if left := i.rows(t); left["orders"]+left["participants"]+left["claims"] > 0 {
		t.Errorf("a refusal left %v", left)
	}
	readOnly(0)
	if a := send(t, n, post("the-same-key-before-and-after", order(1, "Siti Aminah")), false); a.status != http.StatusCreated {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(n.log.String(), "check that it runs, that its disk has room and that it is writable") {
		t.Errorf("the log does not say what to do:\n%s", n.log)
	}
	i.clean(t)
}
