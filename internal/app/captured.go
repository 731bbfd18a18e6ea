package app

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// captureLibraries sends what libraries print by themselves to the log: whoever collects it can read every line. It changes
// the whole process.
func captureLibraries(to *slog.Logger) {
	slog.SetDefault(to)
	log.SetFlags(0)
	log.SetOutput(&captured{log: to})
	redis.SetLogger(&captured{log: to})
}

// captured writes a library's lines as warnings, one a second at most: a pool without its server repeats itself hundreds of times.
type captured struct {
	log  *slog.Logger
	last atomic.Int64 // unix nanoseconds
}

// Printf implements the logger of go-redis.
func (c *captured) Printf(_ context.Context, format string, values ...any) {
	c.note(fmt.Sprintf(format, values...))
}

// Write implements io.Writer for package log.
func (c *captured) Write(line []byte) (int, error) {
	c.note(string(line))
	return len(line), nil
}

func (c *captured) note(text string) {
	now, last := time.Now().UnixNano(), c.last.Load()
	if now-last < int64(time.Second) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("a library says", slog.String("text", text))
}

// errorLog is for an http.Server: what it says of connections and of handlers that panic.
func (p *program) errorLog() *log.Logger {
	return slog.NewLogLogger(p.log.Handler(), slog.LevelError)
}

// newServer has what every server of the program needs; the public one sets further bounds.
func (p *program) newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: p.errorLog()}
}
