// Package app is the program: it reads the configuration, joins the parts and runs one command.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// System is what a command may touch of the machine.
type System struct {
	Out, Err    io.Writer
	Environment []string // NAME=value; nil: the process's own
	Directory   string   // where .env lies
	Process     bool     // the command is the whole process: what libraries print goes to its log too
}

// Exit codes of every command.
const (
	exitOK    = 0
	exitNo    = 1 // it ran, and the answer is no
	exitUsage = 2
)

// errNo makes a command exit with 1 after it has said everything itself.
var errNo = errors.New("the answer is no")

// commands is the command line; the order is that of the help.
type commands struct {
	Demo     demoCommand     `cmd:"" help:"Serve a demo event that is open now, with nothing installed."`
	Serve    serveCommand    `cmd:"" help:"Serve pages and API. With SQLite it also runs the workers."`
	Work     workCommand     `cmd:"" help:"Run the workers only: queue, relay, expiry of holds."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's schema up to date."`
	Event    eventCommand    `cmd:"" help:"Create, change and look at events."`
	Queue    queueCommand    `cmd:"" help:"Look at the jobs after an acknowledgement, and decide on dead letters."`
	Room     roomCommand     `cmd:"" help:"Look at a waiting room, pause it, let visitors in."`
	Draw     drawCommand     `cmd:"" help:"Check the draw of a waiting room from what is published."`
	Mail     mailCommand     `cmd:"" help:"Write to the participants of an event."`
	Audit    auditCommand    `cmd:"" help:"Check every invariant against the database."`
	Rehearse rehearseCommand `cmd:"" help:"Send an opening-day crowd to a server on this machine, then audit."`
	Doctor   doctorCommand   `cmd:"" help:"Say what would fail on opening day."`
}

// program is what every command gets.
type program struct {
	ctx    context.Context
	system System
	cfg    *Config
	log    *slog.Logger
}

// exited carries kong's wish to exit out of its parser.
type exited int

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, args []string, system System) (code int) {
	defer func() {
		if r := recover(); r != nil {
			wish, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(wish)
		}
	}()
	var line commands
	parser, err := kong.New(&line, kong.Name("gapura"), kong.UsageOnError(),
		kong.Description("Registration for running events, for the minute when everyone comes at once."),
		kong.Writers(system.Out, system.Err), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return complain(system.Err, err, exitUsage)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return complain(system.Err, fmt.Errorf("%w; see gapura --help", err), exitUsage)
	}
	if system.Environment == nil {
		system.Environment = os.Environ()
	}
	cfg, err := loadConfig(system.Environment, system.Directory)
	if err != nil {
		return complain(system.Err, err, exitUsage)
	}
	log := slog.New(slog.NewJSONHandler(system.Err, &slog.HandlerOptions{Level: cfg.level()}))
	if system.Process {
		captureLibraries(log)
	}
	p := &program{ctx: ctx, system: system, cfg: cfg, log: log}
	if err := parsed.Run(p); err != nil && !errors.Is(err, errNo) {
		return complain(system.Err, err, exitNo)
	} else if err != nil {
		return exitNo
	}
	return exitOK
}

// complain prints an error as one sentence a line.
func complain(w io.Writer, err error, code int) int {
	for _, line := range strings.Split(err.Error(), "\n") {
		_, _ = fmt.Fprintf(w, "gapura: %s\n", line)
	}
	return code
}
