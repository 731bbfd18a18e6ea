package calm_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gapura/internal/calm"
)

// crowd is requests that wait at a door, one a millisecond, and the order in which they were let in.
type crowd struct {
	wg  sync.WaitGroup
	mu  sync.Mutex
	in  []int
	out map[int]time.Duration // how long those waited who were refused
}

func (c *crowd) come(ctx context.Context, g *calm.Gate, p calm.Priority, name int) {
	c.wg.Go(func() {
		began := time.Now()
		ok := g.Wait(ctx, p)
		c.mu.Lock()
		defer c.mu.Unlock()
		if ok {
			c.in = append(c.in, name)
		} else {
			c.out[name] = time.Since(began)
		}
	})
	time.Sleep(time.Millisecond)
}

func full(n int) (*calm.Gate, *crowd) {
	g := calm.NewGate(calm.Limits{All: n, Read: n, Export: n})
	for range n {
		g.Enter(calm.Webhook)
	}
	return g, &crowd{out: map[int]time.Duration{}}
}

// A place that comes free goes to the most important, and among equals to the newest. Those who waited too long are refused,
// the oldest first.
func TestTheNewestIsServedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, c := full(10)
		for name := range 5 {
			c.come(t.Context(), g, calm.Payment, name)
		}
		c.come(t.Context(), g, calm.Webhook, 100)
		if g.Waiting() != 6 || len(c.in) != 0 {
			t.Fatalf("%d wait, %v are in", g.Waiting(), c.in)
		}
		leave := func(n int) {
			for range n {
				g.Leave(calm.Webhook)
				synctest.Wait()
			}
		}
		leave(1)
		if len(c.in) != 1 || c.in[0] != 100 {
			t.Fatalf("the first place went to %v", c.in)
		}
		leave(3) // payments fill nine places of ten
		c.come(t.Context(), g, calm.Payment, 5)
		time.Sleep(calm.AtTheDoor)
		c.wg.Wait()
		if want := []int{100, 4, 3}; !slices.Equal(c.in, want) {
			t.Errorf("let in in the order %v, not %v", c.in, want)
		}
		for name, waited := range c.out {
			if waited != calm.AtTheDoor {
				t.Errorf("%d was refused after %v", name, waited)
			}
		}
		if g.Waiting() != 0 || g.Shed(calm.Payment) != int64(len(c.out)) || len(c.in)+len(c.out) != 7 {
			t.Errorf("%d wait, %d were shed, %v are in and %v out", g.Waiting(), g.Shed(calm.Payment), c.in, c.out)
		}
	})
}

// Twice as many come as can be served: in order of arrival everyone would wait as long as they are patient; newest first, nearly
// all who are served are served at once.
func TestNewestFirstAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm.NewGate(calm.Limits{All: 10, Read: 10, Export: 10}) // eight places for holds, 10 ms each: 800 a second
		var mu sync.Mutex
		var waits []time.Duration
		refused := 0
		over := time.Now().Add(4 * time.Second) // then those who still wait get what is free
		var wg sync.WaitGroup
		for range 6400 { // 1,600 a second for four seconds
			wg.Go(func() {
				began := time.Now()
				in := g.Wait(t.Context(), calm.Hold)
				mu.Lock()
				switch {
				case !in:
					refused++
				case time.Now().Before(over):
					waits = append(waits, time.Since(began))
				}
				mu.Unlock()
				if in {
					time.Sleep(10 * time.Millisecond)
					g.Leave(calm.Hold)
				}
			})
			time.Sleep(625 * time.Microsecond)
		}
		wg.Wait()
		fast := 0
		for _, w := range waits {
			if w <= 20*time.Millisecond {
				fast++
			}
		}
		if len(waits) < 3000 || float64(fast) < 0.95*float64(len(waits)) {
			t.Errorf("%d were served, %d of them within 20 ms, %d refused", len(waits), fast, refused)
		}
		if g.Inside() != 0 || g.Waiting() != 0 || int64(refused) != g.Shed(calm.Hold) {
			t.Errorf("%d inside, %d waiting, %d refused and %d counted", g.Inside(), g.Waiting(), refused, g.Shed(calm.Hold))
		}
	})
}

// The door is bounded: one too many makes the oldest of the least important leave at once. Who hangs up waits no longer.
func TestTheDoorIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, c := full(1)
		ctx, hangUp := context.WithCancel(t.Context())
		const most = 4096
		for name := range most {
			p := calm.Hold
			if name == 7 || name == 9 {
				p = calm.Read
			}
			c.wg.Go(func() {
				began := time.Now()
				if !g.Wait(ctx, p) {
					c.mu.Lock()
					c.out[name] = time.Since(began)
					c.mu.Unlock()
				}
			})
			if name < 10 {
				synctest.Wait() // the first ones in their order
			}
		}
		synctest.Wait()
		c.come(ctx, g, calm.Payment, most)
		synctest.Wait()
		if len(c.out) != 1 || g.Shed(calm.Read) != 1 || g.Waiting() != most {
			t.Fatalf("refused %v, %d wait", c.out, g.Waiting())
		}
		if _, oldest := c.out[7]; !oldest {
			t.Errorf("who had to leave is in %v", c.out)
		}
		hangUp()
		c.wg.Wait()
		if g.Waiting() != 0 || len(c.in) != 0 || g.Inside() != 1 {
			t.Errorf("%d wait, %v are in, %d inside", g.Waiting(), c.in, g.Inside())
		}
	})
}

// Many at once on a door that opens and closes: nobody is counted twice, and nobody is forgotten.
func TestTheDoorLosesNobody(t *testing.T) {
	t.Parallel()
	g := calm.NewGate(calm.Limits{All: 8, Read: 3, Export: 1})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			p := []calm.Priority{calm.Webhook, calm.Payment, calm.Hold, calm.Read}[i%4]
			for range 200 {
				if g.Wait(t.Context(), p) {
					if n := g.Inside(); n < 1 || n > 8+64 { // Enter counts before it decides
						t.Errorf("%d inside", n)
					}
					g.Leave(p)
				}
			}
		})
	}
	wg.Wait()
	if g.Inside() != 0 || g.Waiting() != 0 {
		t.Errorf("%d inside, %d waiting", g.Inside(), g.Waiting())
	}
}
