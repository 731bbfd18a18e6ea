package whole

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"gapura/internal/lifecycle"
	"gapura/internal/provider/midtrans/standin"
	"gapura/test/peers"
)

// How many orders are paid: manyOrders are the promise, fewOrders are enough that every disaster meets some of them.
const (
	manyOrders = 5000
	fewOrders  = 120
)

// ordersEnv asks for another number.
const ordersEnv = "GAPURA_CRASH_ORDERS"

func orders(t *testing.T) int {
	t.Helper()
	switch text := os.Getenv(ordersEnv); {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", ordersEnv, err)
		}
		return n
	case os.Getenv(peers.LongEnv) != "":
		return manyOrders
	}
	return fewOrders
}

// shop is everything that stands around paid orders: databases, provider, mail server, one node and two workers.
type shop struct {
	*installation
	mariadb *peers.MariaDBServer
	redis   *peers.RedisServer
	bank    *standin.Server
	post    *postOffice
	node    *node
	workers []*worker
	paid    atomic.Int64

	striking atomic.Bool // the provider is in trouble
}

// openShop starts all of it. The provider sends every notification twice more, late, in any order, and pending after what
// follows it; some answers of its are lost after they took effect.
func openShop(t *testing.T, n int) *shop {
	t.Helper()
	s := &shop{mariadb: peers.PrivateMariaDB(t), redis: peers.PrivateRedis(t), post: openPostOffice(t)}
	s.installation = onMariaDB(t, s.mariadb)
	address := freeAddress(t)
	const key = "SB-Mid-server-crash"
	var err error
	s.bank, err = standin.New(standin.Config{ServerKey: key, NotifyURL: "http://" + address + "/webhooks/midtrans", Scale: 60})
	if err != nil {
		t.Fatal(err)
	}
	s.bank.SetTrouble(badly())
	work := lifecycle.NewGroup(t.Context())
	s.bank.Start(work)
	bank := &http.Server{Handler: s.worse(s.bank.Handler()), ReadHeaderTimeout: time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = bank.Serve(listener) }()
	t.Cleanup(func() {
		_ = work.Stop(context.WithoutCancel(t.Context()))
		_ = bank.Close()
		s.bank.Close()
	})
	host, port, _ := net.SplitHostPort(s.post.address)
	s.environment = append(s.environment, "MIDTRANS_SERVER_KEY="+key, "MIDTRANS_BASE_URL=http://"+listener.Addr().String(),
		"MIDTRANS_SNAP_URL=http://"+listener.Addr().String(), "MIDTRANS_RATE=2000", "MAIL_RATE=2000", "APP_URL=http://"+address,
		"QUEUE_CONNECTION=redis", "REDIS_URL="+s.redis.URL(0), "MAIL_MAILER=smtp", "MAIL_HOST="+host, "MAIL_PORT="+port, "CAPTCHA_PROVIDER=none",
		"TRUSTED_PROXIES=127.0.0.1")
	s.apply(t, 3*n)
	s.node = &node{installation: s.installation, address: address}
	if err := s.node.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.node.kill() })
	for range 2 {
		w := &worker{installation: s.installation}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.kill() })
		s.workers = append(s.workers, w)
	}
	return s
}

func badly() standin.Trouble {
	return standin.Trouble{Duplicate: 2, Reorder: true, Delay: 50 * time.Millisecond, Shuffle: time.Second}
}

// troubleEvery is after how many calls to the provider the next round of trouble strikes. By the clock it would meet every
// call of those who, after trouble, call rarely: then nobody recovers, which is an outage and another test's.
const troubleEvery = 40

// worse lets one call fail, one answer be lost, one notification be forged and one name a wrong sum, again and again as long as
// the buyers pay.
func (s *shop) worse(next http.Handler) http.Handler {
	var calls atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%troubleEvery == 0 && s.striking.Load() {
			trouble := badly()
			trouble.Broken, trouble.LoseAnswer, trouble.BadSignature, trouble.WrongAmount = 1, 1, 1, 1
			s.bank.SetTrouble(trouble)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *shop) calm() {
	s.striking.Store(false)
	s.bank.SetTrouble(badly())
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// worker is one running `gapura work`.
type worker struct {
	installation *installation
	process      *os.Process
	ended        chan struct{}
	log          *bytes.Buffer
}

func (w *worker) start() error {
	binary, err := program()
	if err != nil {
		return err
	}
	command := exec.Command(binary, "work")
	w.log, w.ended = &bytes.Buffer{}, make(chan struct{})
	command.Env, command.Dir, command.SysProcAttr = w.installation.environment, w.installation.directory, orphanless()
	command.Stdout, command.Stderr = w.log, w.log
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(w.ended)
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	err = <-started
	w.process = command.Process
	return err
}

func (w *worker) kill() error {
	err := w.process.Kill()
	<-w.ended
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("the worker had ended by itself: %s", w.log)
	}
	return err
}

// register sends order number n, again with the same key until it is acknowledged.
func (s *shop) register(ctx context.Context, n int) error {
	people := make([]string, 1+n%2)
	for i := range people {
		who := n*2 + i
		people[i] = fmt.Sprintf(`{"category":"5k","name":"Pelari %d","email":"p%d@example.id","phone":"+62812%08d","birth_date":"1994-05-02","gender":"female","answers":{"fit":"true"}}`,
			who, who, who)
	}
	body := fmt.Sprintf(`{"contact":{"name":"Pelari %d","email":"p%d@example.id","phone":"+62812%08d"},"participants":[%s],"locale":"id"}`,
		n*2, n*2, n*2, strings.Join(people, ","))
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.node.url()+"/api/v1/events/night-run/orders", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)) // buyers have addresses of their own
		r.Header.Set("Idempotency-Key", fmt.Sprintf("crash-order-number-%08d", n))
		w, err := http.DefaultClient.Do(r)
		if err == nil {
			said, _ := io.ReadAll(w.Body)
			_ = w.Body.Close()
			switch {
			case w.StatusCode == http.StatusCreated:
				return nil
			case w.StatusCode < 500 && w.StatusCode != http.StatusTooManyRequests && w.StatusCode != http.StatusConflict:
				return fmt.Errorf("order %d: %d %s", n, w.StatusCode, said)
			}
		}
		wait(ctx, 50*time.Millisecond+rand.N(200*time.Millisecond))
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// payAll pays every page that the program opens, as the buyers would, until n are paid.
func (s *shop) payAll(ctx context.Context, n int) error {
	paid := map[string]bool{}
	for len(paid) < n && ctx.Err() == nil {
		for _, v := range s.bank.Transactions() {
			order := v.OrderID[:strings.LastIndex(v.OrderID, "-")] // a second attempt of the same order is the same buyer's
			if paid[order] || v.Revoked || v.Status != "" {
				continue
			}
			channel := []string{"other_qris", "bca_va", "gopay"}[len(paid)%3]
			if err := s.bank.Pay(v.OrderID, channel); err != nil {
				return fmt.Errorf("pay %s by %s: %w", v.OrderID, channel, err)
			}
			paid[order] = true
			s.paid.Add(1)
		}
		wait(ctx, 20*time.Millisecond)
	}
	return ctx.Err()
}

// disasters strike one after the other while the orders are paid: each when another part of them is.
func (s *shop) disasters(ctx context.Context, t *testing.T, n int) error {
	all := []struct {
		name string
		do   func() error
	}{
		{"kill -9 of a worker", func() error { return errors.Join(s.workers[0].kill(), s.workers[0].start()) }},
		{"FLUSHALL", func() error { return s.flush(ctx) }},
		{"kill -9 of Redis", func() error { return errors.Join(s.redis.Kill(), s.redis.Start()) }},
		{"kill -9 of the node", func() error { return errors.Join(s.node.kill(), s.node.start()) }},
		{"kill -9 of MariaDB", func() error { return errors.Join(s.mariadb.Kill(), s.mariadb.Start()) }},
		{"kill -9 of both workers", func() error {
			return errors.Join(s.workers[0].kill(), s.workers[1].kill(), s.workers[0].start(), s.workers[1].start())
		}},
		{"FLUSHALL again", func() error { return s.flush(ctx) }},
	}
	for i, d := range all {
		for s.paid.Load() < int64(n*(i+1)/(len(all)+1)) && ctx.Err() == nil {
			wait(ctx, 10*time.Millisecond)
		}
		began := time.Now()
		if err := d.do(); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		t.Logf("%s after %d paid orders; there again after %s", d.name, s.paid.Load(), time.Since(began).Round(time.Millisecond))
	}
	return nil
}

func (s *shop) flush(ctx context.Context) error {
	options, err := redis.ParseURL(s.redis.URL(0))
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	return client.FlushAll(ctx).Err()
}

// patience is how long n orders may take, and then what is left of them.
func patience(n int) time.Duration { return 3*time.Minute + time.Duration(n)*200*time.Millisecond }

// drained waits until nothing is left to be done.
func (s *shop) drained(t *testing.T, n int) {
	t.Helper()
	end := time.Now().Add(patience(n))
	for {
		confirmed, waiting := s.count(t, "SELECT COUNT(*) FROM orders WHERE status = 'confirmed'"), s.count(t, "SELECT COUNT(*) FROM outbox")
		if confirmed == n && waiting == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d orders are confirmed, %d jobs wait: %s\n%s", confirmed, n, waiting, s.must(t, "queue", "list"), s.errors(t))
		}
		wait(t.Context(), 200*time.Millisecond)
	}
}

// errors lists why jobs failed that are not done.
func (s *shop) errors(t *testing.T) string {
	t.Helper()
	db := s.open(t)
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT kind, text FROM (SELECT id, kind FROM dead_letters UNION ALL SELECT id, kind FROM outbox) AS j "+
		"JOIN job_errors e ON e.job_id = j.id ORDER BY e.at DESC LIMIT 100")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	var all strings.Builder
	for rows.Next() {
		var kind, text string
		if err := rows.Scan(&kind, &text); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&all, "%s: %s\n", kind, text)
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	return all.String()
}

// kill -9 of a worker, of Redis, of the program, of MariaDB and FLUSHALL, each in the middle of paid orders whose provider
// duplicates, reorders and delays: after the drain everything is there exactly once.
func TestNothingIsLostOrDoubledAfterPayment(t *testing.T) {
	n := orders(t)
	s := openShop(t, n)
	began := time.Now()
	within, cancel := context.WithTimeout(t.Context(), patience(n))
	defer cancel()
	g, ctx := errgroup.WithContext(within)
	g.SetLimit(34)
	s.striking.Store(true)
	g.Go(func() error {
		defer s.calm()
		return s.payAll(ctx, n)
	})
	g.Go(func() error { return s.disasters(ctx, t, n) })
	for i := range n {
		g.Go(func() error { return s.register(ctx, i) })
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("%v; %d of %d orders are paid: %s\n%s", err, s.paid.Load(), n, s.must(t, "queue", "list"), s.errors(t))
	}
	paidAfter := time.Since(began)
	s.drained(t, n)
	t.Logf("%d orders registered and paid in %s, everything done after %s", n, paidAfter.Round(time.Second), time.Since(began).Round(time.Second))
	s.once(t, n)
	s.clean(t)
}

// once counts what there is.
func (s *shop) once(t *testing.T, n int) {
	t.Helper()
	people := n + n/2
	for what, c := range map[string]struct {
		query string
		want  int
	}{
		"participants":           {"SELECT COUNT(*) FROM participants", people},
		"tickets":                {"SELECT COUNT(*) FROM tickets WHERE void = 0 AND serial = 1", people},
		"invoices":               {"SELECT COUNT(*) FROM invoices", n},
		"the last invoice":       {"SELECT MAX(number) FROM invoices", n},
		"ticket documents":       {"SELECT COUNT(*) FROM documents WHERE kind = 'tickets'", n},
		"invoice documents":      {"SELECT COUNT(*) FROM documents WHERE kind = 'invoice'", n},
		"confirmations recorded": {"SELECT COUNT(*) FROM mail_deliveries WHERE kind = 'order_confirmed' AND outcome = 'sent'", n},
		"dead letters":           {"SELECT COUNT(*) FROM dead_letters WHERE kind <> 'payment.confirm'", 0},
		"money":                  {"SELECT SUM(amount) FROM payment_entries WHERE from_account = 'in' AND to_account = 'paid'", people * 150_000},
		"other entries":          {"SELECT COUNT(*) FROM payment_entries WHERE from_account <> 'in' OR to_account <> 'paid'", 0},
	} {
		if got := s.count(t, c.query); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
	s.mailed(t, n)
	if why := s.errors(t); why != "" {
		t.Logf("failures of what is left:\n%s", why)
	}
}

// mailed: every confirmation has arrived. One that came twice is SMTP's own window, the moment between the server's answer
// and its record: it has the same Message-ID, and there are few.
func (s *shop) mailed(t *testing.T, n int) {
	t.Helper()
	kinds, twice := s.post.sorted()
	if kinds["order_confirmed"] != n {
		t.Errorf("%d confirmations arrived, want %d", kinds["order_confirmed"], n)
	}
	for kind, count := range kinds {
		if count > n || (kind != "order_confirmed" && kind != "order_received") {
			t.Errorf("%d messages of kind %s", count, kind)
		}
	}
	// Four connections a process, three processes, five kills of one: no more can be in the window.
	if twice > 60 {
		t.Errorf("%d messages came twice", twice)
	}
	t.Logf("%d confirmations and %d reminders to pay arrived; %d of them twice", kinds["order_confirmed"], kinds["order_received"], twice)
}

// postOffice is a mail server that counts messages by their Message-ID.
type postOffice struct {
	address string
	mu      sync.Mutex
	came    map[string]int
	tried   map[string]int                // recipients that were named
	slow    atomic.Int64                  // nanoseconds before a message is taken
	refuse  func(to string, n int) string // the answer to the nth naming of a recipient; empty: taken
}

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{address: listener.Addr().String(), came: map[string]int{}, tried: map[string]int{}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				stop := context.AfterFunc(t.Context(), func() { _ = c.Close() })
				defer stop()
				defer func() { _ = c.Close() }()
				p.talk(c)
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	return p
}

// talk speaks as much SMTP as one client needs.
func (p *postOffice) talk(c net.Conn) {
	lines := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	say("220 post office")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "EHLO":
			say("250-post office\r\n250 ENHANCEDSTATUSCODES")
		case "RCPT":
			say(p.rcpt(line))
		case "DATA":
			say("354 go on")
			messageID, err := readMessage(lines)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.came[messageID]++
			p.mu.Unlock()
			<-time.After(time.Duration(p.slow.Load()))
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

// rcpt answers RCPT TO:<address>.
func (p *postOffice) rcpt(line string) string {
	_, to, _ := strings.Cut(line, "<")
	to, _, _ = strings.Cut(to, ">")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried[to]++
	if p.refuse != nil {
		if answer := p.refuse(to, p.tried[to]); answer != "" {
			return answer
		}
	}
	return "250 fine"
}

// refusing makes the office answer so from now on.
func (p *postOffice) refusing(refuse func(to string, n int) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// tries is how often a recipient was named.
func (p *postOffice) tries(to string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried[to]
}

// has reports how often a message of that order and kind has come.
func (p *postOffice) has(order, kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for messageID, n := range p.came {
		if strings.HasPrefix(messageID, order+"."+kind+".") {
			return n
		}
	}
	return 0
}

func readMessage(lines *bufio.Reader) (messageID string, err error) {
	named := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return messageID, err
		}
		named = named && strings.HasPrefix(line, " ") || strings.HasPrefix(strings.ToLower(line), "message-id:") // a long one is folded
		if _, value, ok := strings.Cut(line, "<"); named && ok && messageID == "" {
			messageID = strings.TrimSuffix(strings.TrimSpace(value), ">")
		}
	}
}

// sorted counts the messages by kind, and those that came more than once.
func (p *postOffice) sorted() (kinds map[string]int, twice int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kinds = map[string]int{}
	for messageID, n := range p.came {
		parts := strings.Split(messageID, ".")
		kinds[parts[min(1, len(parts)-1)]]++
		if n > 1 {
			twice++
		}
	}
	return kinds, twice
}
