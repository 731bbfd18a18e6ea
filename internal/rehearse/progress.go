package rehearse

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// collector gathers the workers' results once a second and tells how it goes.
type collector struct {
	e        *engine
	out      io.Writer
	tty      bool
	attempts []Attempt
	spares   [][]Attempt
	last     time.Duration
	offered  int64
	byCode   []int
	length   time.Duration // of the curve
}

func newCollector(e *engine, out io.Writer) *collector {
	c := &collector{e: e, out: out, spares: make([][]Attempt, len(e.workers)), byCode: make([]int, 256)}
	if f, ok := out.(*os.File); ok {
		c.tty = isatty.IsTerminal(f.Fd())
	}
	// Growing a slice of 200,000 attempts would copy it in the middle of the rush.
	c.attempts = make([]Attempt, 0, len(e.crowd.Visits)+len(e.crowd.Orders)/4)
	c.length = e.crowd.Visits[len(e.crowd.Visits)-1].At
	return c
}

// watch collects every second until ctx ends.
func (c *collector) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.report(c.collect())
		}
	}
}

// collect takes over the workers' results and returns the new ones.
func (c *collector) collect() []Attempt {
	from := len(c.attempts)
	for i, w := range c.e.workers {
		done := w.take(c.spares[i][:0])
		c.attempts = append(c.attempts, done...)
		c.spares[i] = done
	}
	return c.attempts[from:]
}

// report writes the progress line of the period since the last one.
func (c *collector) report(fresh []Attempt) {
	now := c.e.now()
	period := (now - c.last).Seconds()
	offered := c.e.offered.Load()
	acknowledged := 0
	var latencies []time.Duration
	for i := range fresh {
		a := &fresh[i]
		c.byCode[a.Code]++
		if a.Acknowledged() {
			acknowledged++
			latencies = append(latencies, a.Latency())
		}
	}
	slices.Sort(latencies)
	line := fmt.Sprintf("%s  offered %7s/s  acknowledged %7s/s  p50 %8s  p99 %8s  in flight %5s",
		c.position(now),
		grouped(int64(float64(offered-c.offered)/period)), grouped(int64(float64(acknowledged)/period)),
		shortDuration(rank(latencies, 0.50)), shortDuration(rank(latencies, 0.99)),
		grouped(c.e.pendingNow()))
	if refused := c.refused(); refused != "" {
		line += "  · " + refused
	}
	c.last, c.offered = now, offered
	c.write(line)
}

// position shows how far the curve has been played.
func (c *collector) position(now time.Duration) string {
	const cells = 10
	share := 1.0
	if c.length > 0 {
		share = max(min(now.Seconds()/c.length.Seconds(), 1), 0)
	}
	full := int(share * cells)
	now = max(now, 0).Round(time.Second)
	return fmt.Sprintf("%02d:%02d %s%s %3.0f%%", int(now.Minutes()), int(now.Seconds())%60,
		strings.Repeat("━", full), strings.Repeat("╌", cells-full), share*100)
}

// refused lists what was answered so far, apart from orders.
func (c *collector) refused() string {
	var parts []string
	for code, n := range c.byCode {
		if n > 0 && Code(code) != CodeAcknowledged {
			parts = append(parts, fmt.Sprintf("%s %s", c.e.codes.name(Code(code)), grouped(int64(n))))
		}
	}
	return strings.Join(parts, ", ")
}

func (c *collector) write(line string) {
	if c.tty {
		// Erase the rest of the line: the new one may be shorter. Autowrap is off meanwhile, so a narrow terminal cuts it.
		_, _ = fmt.Fprintf(c.out, "\r\x1b[?7l%s\x1b[K\x1b[?7h", line)
		return
	}
	_, _ = fmt.Fprintln(c.out, line) // a closed terminal must not end a rehearsal
}

// finish ends the progress line.
func (c *collector) finish() {
	if c.tty {
		_, _ = fmt.Fprintln(c.out)
	}
}

// pendingNow counts the requests that are queued or under way.
func (e *engine) pendingNow() int64 {
	busy := e.queued.Load()
	soon := time.Now()
	for _, w := range e.workers {
		if w.conn.Overdue(soon) {
			busy++
		}
	}
	return busy
}

// rank returns the smallest value that at least the share q of the sorted values does not exceed; 0 if there are none.
func rank(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// grouped writes n with commas between thousands.
func grouped(n int64) string { return groupedBy(n, ",") }

func groupedBy(n int64, separator string) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + separator + s[i:]
	}
	return sign + s
}

// shortDuration writes d with three digits at most and its unit.
func shortDuration(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d == 0:
		return "–"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms < 100_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	default:
		return fmt.Sprintf("%.0f s", ms/1000)
	}
}
