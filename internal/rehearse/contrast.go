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
	err := writeFile(filepath.Join(dir, ReportFile), func(w io.Writer) error { return render(w, "contrast.html.tmpl", newContrastPage(c)) })
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// WriteSummary writes the outcome for a terminal.
func (c *Contrast) WriteSummary(w io.Writer) error {
	a, b := c.Without.Room.Sold, c.With.Room.Sold
	s := &summary{}
	s.title("People among bots")
	row := func(label string, sold Success) {
		s.row(label, "%.1f%%, %s of %s people", 100*sold.Share(), grouped(int64(sold.Had)), grouped(int64(sold.Wanted)))
	}
	row("without bots", a)
	row("with bots", b)
	s.row("fall", "%.1f%%; the target is at most %.0f%%", 100*c.Fall(), 100*Tolerance)
	if late, known := c.Delay(); known {
		s.row("later", "%.1f s, %.1f times the hold, until people had 95%% of the orders they had without bots", late,
			late/c.With.Plan.Room.Hold.Seconds())
	}
	_, err := io.WriteString(w, s.b.String())
	return err
}
