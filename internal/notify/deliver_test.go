package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"gapura/internal/clock"
)

// memoryLedger is a Ledger in memory.
type memoryLedger struct {
	mu         sync.Mutex
	ended      map[string]Delivery
	suppressed map[string]string
	broken     error
}

func newMemoryLedger() *memoryLedger {
	return &memoryLedger{ended: map[string]Delivery{}, suppressed: map[string]string{}}
}

func (l *memoryLedger) Ended(_ context.Context, messageID string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ended[messageID]
	return ok, l.broken
}

func (l *memoryLedger) Record(ctx context.Context, d Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.ended[d.MessageID]; !ok {
		l.ended[d.MessageID] = d
	}
	return errors.Join(l.broken, ctx.Err())
}

func (l *memoryLedger) Suppressed(_ context.Context, email string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.suppressed[email]
	return ok, l.broken
}

func (l *memoryLedger) Suppress(ctx context.Context, email, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suppressed[email] = reason
	return errors.Join(l.broken, ctx.Err())
}

// senderFunc is a Sender.
type senderFunc func(ctx context.Context, m Message) error

func (f senderFunc) Send(ctx context.Context, m Message) error { return f(ctx, m) }

func testPostman(send senderFunc) (*Postman, *memoryLedger) {
	ledger := newMemoryLedger()
	return NewPostman(send, ledger, clock.NewManual(time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC))), ledger
}

func testMessage(t testing.TB) Message {
	t.Helper()
	m, err := testComposer(t).Order(OrderReceived, testOrder(t, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDeliverOnce(t *testing.T) {
	t.Parallel()
	sent := 0
	p, _ := testPostman(func(context.Context, Message) error { sent++; return nil })
	for i, want := range []Outcome{Sent, Repeated, Repeated} {
		if got, err := p.Deliver(t.Context(), testMessage(t)); got != want || err != nil {
			t.Errorf("attempt %d: %s, %v, want %s", i+1, got, err, want)
		}
	}
	if sent != 1 {
		t.Errorf("sent %d times", sent)
	}
}

func TestDeliverRetriesWhatMayHelp(t *testing.T) {
	t.Parallel()
	for _, fate := range []Fate{Temporary, Ambiguous, Rejected} {
		p, ledger := testPostman(func(context.Context, Message) error { return &SendError{Fate: fate, Code: 451, Stage: "DATA"} })
		if _, err := p.Deliver(t.Context(), testMessage(t)); FateOf(err) != fate || err == nil {
			t.Errorf("%s: %v", fate, err)
		}
		if len(ledger.ended)+len(ledger.suppressed) != 0 {
			t.Errorf("%s: recorded as an end: %v", fate, ledger.ended)
		}
	}
	if FateOf(errors.New("unknown")) != Temporary {
		t.Error("an unknown error is not retried")
	}
}

func TestABounceEndsTheMessageAndTheAddress(t *testing.T) {
	t.Parallel()
	tries := 0
	p, ledger := testPostman(func(context.Context, Message) error {
		tries++
		return &SendError{Fate: Bounced, Code: 550, Enhanced: "5.1.1", Stage: "RCPT"}
	})
	first := testMessage(t)
	if got, err := p.Deliver(t.Context(), first); got != Bounce || err != nil {
		t.Fatalf("%s, %v", got, err)
	}
	if d := ledger.ended[first.ID]; d.Outcome != Bounce || d.Detail != "bounced at RCPT: reply 550 5.1.1" {
		t.Errorf("recorded %+v", d)
	}
	next := first
	next.ID = "another"
	if got, err := p.Deliver(t.Context(), next); got != Suppressed || err != nil || tries != 1 {
		t.Errorf("the next message to the address: %s, %v after %d tries", got, err, tries)
	}
}

func TestASentMessageIsRecordedAfterItsJobWasCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p, ledger := testPostman(func(context.Context, Message) error { cancel(); return nil })
	m := testMessage(t)
	if got, err := p.Deliver(ctx, m); got != Sent || err != nil || len(ledger.ended) != 1 {
		t.Errorf("%s, %v, %d recorded", got, err, len(ledger.ended))
	}
}

func TestABrokenLedgerSendsNothing(t *testing.T) {
	t.Parallel()
	p, ledger := testPostman(func(context.Context, Message) error {
		t.Error("sent without knowing whether it was sent before")
		return nil
	})
	ledger.broken = errors.New("database is away")
	if _, err := p.Deliver(t.Context(), testMessage(t)); !errors.Is(err, ledger.broken) {
		t.Errorf("%v", err)
	}
}

func TestAMessageWithASecondHeaderIsRefused(t *testing.T) {
	t.Parallel()
	p, _ := testPostman(func(context.Context, Message) error { t.Error("sent"); return nil })
	for _, change := range []func(*Message){
		func(m *Message) { m.Subject = "a\r\nBcc: x@example.id" },
		func(m *Message) { m.To.Name = "a\nb" },
		func(m *Message) { m.To.Email = "a@example.id\r\nDATA" },
		func(m *Message) { m.ReplyTo = "a@example.id, b@example.id" },
		func(m *Message) { m.ID = "x\r\n" },
	} {
		m := testMessage(t)
		change(&m)
		if _, err := p.Deliver(t.Context(), m); FateOf(err) != Rejected {
			t.Errorf("%+v: %v", m.To, err)
		}
	}
}

// crowd is a list of size recipients that exist only while they are read.
type crowd struct {
	size  int
	pages int
	look  func()
}

func (c *crowd) Recipients(_ context.Context, _ int64, after string, limit int) ([]Recipient, error) {
	first := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "%08d", &first); err != nil {
			return nil, err
		}
		first++
	}
	page := make([]Recipient, 0, limit)
	for i := first; i < c.size && len(page) < limit; i++ {
		page = append(page, Recipient{
			Cursor: fmt.Sprintf("%08d", i), Name: "Siti Aminah", Email: fmt.Sprintf("runner%d@example.id", i), Locale: "id",
			Unsubscribe: "https://run.example/u/xyz",
		})
	}
	if c.pages++; c.look != nil && c.pages%16 == 0 {
		c.look()
	}
	return page, nil
}

// plans keeps chunks as a database would; a chunk that does not follow the last is refused.
type plans struct {
	chunks []Chunk
	fail   int // the Add that fails, counted from 1; 0: none
	adds   int
}

func (p *plans) Position(context.Context, int64) (string, error) {
	if len(p.chunks) == 0 {
		return "", nil
	}
	return p.chunks[len(p.chunks)-1].Last, nil
}

func (p *plans) Add(_ context.Context, c Chunk) error {
	if p.adds++; p.adds == p.fail {
		return errors.New("crash")
	}
	if at, _ := p.Position(nil, 0); c.After != at { //nolint:staticcheck // the context is not used
		return errors.New("out of order")
	}
	p.chunks = append(p.chunks, c)
	return nil
}

// A hundred thousand recipients, planned, addressed and sent, in under 100 MB.
func TestMassMailingIsBoundedInMemory(t *testing.T) {
	size := 100_000
	if testing.Short() {
		size = 10_000
	}
	peak := uint64(0)
	list := &crowd{size: size, look: func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse+m.StackInuse)
	}}
	var planned plans
	if n, err := Plan(t.Context(), 7, list, &planned); n != size || err != nil || len(planned.chunks) != size/ChunkSize {
		t.Fatalf("planned %d in %d chunks: %v", n, len(planned.chunks), err)
	}
	sent := 0
	p := NewPostman(senderFunc(func(context.Context, Message) error { sent++; return nil }), &forgetful{}, clock.System{})
	newsletter := testNewsletter(t)
	for _, c := range planned.chunks {
		tally, err := p.SendChunk(t.Context(), newsletter, c, list)
		if err != nil || tally.Sent != c.Count {
			t.Fatalf("chunk %+v: %+v, %v", c, tally, err)
		}
	}
	if sent != size {
		t.Errorf("sent %d of %d", sent, size)
	}
	if peak > 100<<20 || peak == 0 {
		t.Errorf("the heap reached %d MB", peak>>20)
	}
	t.Logf("peak of heap and stacks: %.1f MB", float64(peak)/(1<<20))
}

// forgetful is a ledger that keeps nothing: the store's memory is not what is measured.
type forgetful struct{}

func (forgetful) Ended(context.Context, string) (bool, error)      { return false, nil }
func (forgetful) Record(context.Context, Delivery) error           { return nil }
func (forgetful) Suppressed(context.Context, string) (bool, error) { return false, nil }
func (forgetful) Suppress(context.Context, string, string) error   { return nil }

func TestPlanningGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	list, planned := &crowd{size: 1000}, plans{fail: 3}
	if n, err := Plan(t.Context(), 7, list, &planned); err == nil || n != 2*ChunkSize {
		t.Fatalf("planned %d, %v", n, err)
	}
	if n, err := Plan(t.Context(), 7, list, &planned); err != nil || n != 1000-2*ChunkSize {
		t.Fatalf("planned %d more, %v", n, err)
	}
	if n, err := Plan(t.Context(), 7, list, &planned); err != nil || n != 0 {
		t.Errorf("a third time planned %d, %v", n, err)
	}
}

func TestAChunkGoesOnAfterTemporaryTrouble(t *testing.T) {
	t.Parallel()
	got := map[string]int{}
	troubles := 3
	p, _ := testPostman(func(_ context.Context, m Message) error {
		if len(got) == 40 && troubles > 0 {
			troubles--
			return &SendError{Fate: Temporary, Code: 454, Stage: "end of DATA"}
		}
		got[m.To.Email]++
		return nil
	})
	list, newsletter := &crowd{size: 100}, testNewsletter(t)
	chunk := Chunk{Campaign: 7, Last: "00000099", Count: 100}
	var last Tally
	for range 4 {
		var err error
		if last, err = p.SendChunk(t.Context(), newsletter, chunk, list); err != nil && FateOf(err) != Temporary {
			t.Fatal(err)
		}
	}
	if len(got) != 100 || last.Sent != 60 || last.Skipped != 40 {
		t.Errorf("%d served, the last attempt: %+v", len(got), last)
	}
	for email, n := range got {
		if n != 1 {
			t.Errorf("%s got %d messages", email, n)
		}
	}
}

func TestOneBadRecipientStopsNobody(t *testing.T) {
	t.Parallel()
	p, ledger := testPostman(func(_ context.Context, m Message) error {
		switch m.To.Email {
		case "runner1@example.id":
			return &SendError{Fate: Bounced, Code: 550, Stage: "RCPT"}
		case "runner2@example.id":
			return &SendError{Fate: Rejected, Code: 554, Stage: "end of DATA"}
		}
		return nil
	})
	list := &someBad{crowd{size: 10}}
	tally, err := p.SendChunk(t.Context(), testNewsletter(t), Chunk{Campaign: 7, Last: "00000007"}, list)
	if want := (Tally{Sent: 5, Bounced: 1, Failed: 2}); tally != want || err != nil {
		t.Errorf("%+v, %v, want %+v", tally, err, want)
	}
	if len(ledger.suppressed) != 1 {
		t.Errorf("suppressed %d addresses", len(ledger.suppressed))
	}
}

// someBad has an address that is none.
type someBad struct{ crowd }

func (s *someBad) Recipients(ctx context.Context, campaign int64, after string, limit int) ([]Recipient, error) {
	page, err := s.crowd.Recipients(ctx, campaign, after, limit)
	for i := range page {
		if page[i].Cursor == "00000003" {
			page[i].Email = "not an address"
		}
	}
	return page, err
}

// A newsletter that cannot be composed for anybody must not count as served.
func TestABrokenNewsletterFailsItsChunk(t *testing.T) {
	t.Parallel()
	p, _ := testPostman(func(context.Context, Message) error { t.Error("sent"); return nil })
	list := recipientsFunc(func() []Recipient { return []Recipient{{Cursor: "a", Email: "a@example.id"}} })
	if _, err := p.SendChunk(t.Context(), testNewsletter(t), Chunk{Campaign: 7, Last: "a"}, list); FateOf(err) != Rejected || err == nil {
		t.Errorf("%v", err)
	}
	unordered := recipientsFunc(func() []Recipient { return []Recipient{{Cursor: ""}} })
	if _, err := Plan(t.Context(), 7, unordered, &plans{}); err == nil {
		t.Error("a list without order was planned for ever")
	}
}

type recipientsFunc func() []Recipient

func (f recipientsFunc) Recipients(context.Context, int64, string, int) ([]Recipient, error) {
	return f(), nil
}
