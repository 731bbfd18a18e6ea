package rehearse

import (
	"fmt"
	"io"
	"path/filepath"
)

// Contrast is the same people twice: without and with bots among them.
type Contrast struct {
	Without, With *Result
}

// Tolerance is by how much people's success may fall because of bots.
const Tolerance = 0.05

// Fall is by which part people's success fell, negative if it rose.
func (c *Contrast) Fall() float64 {
	without := c.Without.Room.Sold.Share()
	if without == 0 {
		return 0
	}
	return 1 - c.With.Room.Sold.Share()/without
}

// Clean reports whether nothing is broken in either crowd and people's success stayed within the tolerance.
func (c *Contrast) Clean() bool { return c.Without.Clean() && c.With.Clean() && c.Fall() <= Tolerance }

// Names of the directories beneath a contrast's report that hold the reports of its two crowds.
const (
	WithoutDirectory = "without-bots"
	WithDirectory    = "with-bots"
)

// WriteContrast writes the report of both, and each one's own beneath it.
func WriteContrast(dir string, c *Contrast) error {
	for name, r := range map[string]*Result{WithoutDirectory: c.Without, WithDirectory: c.With} {
		if err := WriteReport(filepath.Join(dir, name), r); err != nil {
			return err
		}
	}
	return nil
}

// WriteSummary writes the outcome for a terminal.
func (c *Contrast) WriteSummary(w io.Writer) error {
	a, b := c.Without.Room.Sold, c.With.Room.Sold
	_, err := fmt.Fprintf(w, "\nReal people's success: %.1f%% without bots (%d of %d), %.1f%% with them (%d of %d): a fall of %.1f%%, at most %.0f%% is the target.\n",
		100*a.Share(), a.Had, a.Wanted, 100*b.Share(), b.Had, b.Wanted, 100*c.Fall(), 100*Tolerance)
	return err
}
