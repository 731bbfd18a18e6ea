package gate_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/ratelimit"
)

// shared is a tier that notes what reaches it.
type shared struct {
	mu   sync.Mutex
	keys []string
	tier *ratelimit.Local
	now  func() time.Time
}

func (s *shared) Take(_ context.Context, key string, l ratelimit.Limit, reserve int) (ratelimit.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
	return s.tier.Take(key, l, s.now(), reserve), nil
}

func nodes(t *testing.T, n int) ([]*gate.Gate, *shared) {
	t.Helper()
	manual := clock.NewManual(time.Unix(1_800_000_000, 0))
	tier := &shared{tier: ratelimit.NewLocal(1024), now: manual.Now}
	hidden := gate.Hidden(tier, []byte("a secret of at least thirty-two bytes"))
	all := make([]*gate.Gate, n)
	for i := range all {
		all[i] = gate.New(gate.Config{Mode: gate.On, Limiter: ratelimit.NewLimiter(ratelimit.NewLocal(1024), hidden, manual)})
	}
	return all, tier
}

func order(g *gate.Gate, key, person string) error {
	v := gate.Visit{Call: gate.Order, Ticket: key, Person: person}
	s, err := g.Knock(context.Background(), &v)
	if err != nil {
		return err
	}
	_, err = g.Admit(context.Background(), &v, s, nil)
	return err
}

// A crowd in which everyone orders once or twice asks nothing of the shared tier.
func TestACrowdCostsNoRoundTrips(t *testing.T) {
	t.Parallel()
	all, tier := nodes(t, 1)
	for i := range 200 {
		if err := order(all[0], fmt.Sprint("key", i), fmt.Sprint("person", i/2)); err != nil {
			t.Fatal(err)
		}
	}
	if len(tier.keys) != 0 {
		t.Errorf("asked %d times", len(tier.keys))
	}
}

// A person who goes to every node in turn gets little more than the quota of one, and Redis never sees who it is.
func TestAPersonIsLimitedOverAllNodes(t *testing.T) {
	t.Parallel()
	all, tier := nodes(t, 4)
	accepted := 0
	for i := range 400 {
		switch err := order(all[i%4], fmt.Sprint("key", i), "siti@example.id"); fault.CodeOf(err) {
		case "":
			accepted++
		case fault.RateLimited:
		default:
			t.Fatal(err)
		}
	}
	if accepted < 30 || accepted > 30+4*2 {
		t.Errorf("%d accepted of a quota of 30 over four nodes that count two each by themselves", accepted)
	}
	for _, key := range tier.keys {
		if strings.Contains(key, "siti") || strings.Contains(key, "key") || len(key) != 32 {
			t.Fatalf("the shared tier saw %q", key)
		}
	}
}

func TestNoGateLetsEveryonePass(t *testing.T) {
	t.Parallel()
	var g *gate.Gate
	if err := order(g, "key", "person"); err != nil || g.WantsCaptcha(gate.Order) || g.Address("203.0.113.1:1", nil).IsValid() || g.Host("a") != "a" {
		t.Error(err)
	}
}

// Whom nobody can tell apart is not limited: a request without a key fails later, for that.
func TestAnUnknownSenderIsNotLimited(t *testing.T) {
	t.Parallel()
	all, _ := nodes(t, 1)
	for range 1000 {
		if err := order(all[0], "", ""); err != nil {
			t.Fatal(err)
		}
	}
}
