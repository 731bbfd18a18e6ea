// Command gapura is the whole registration server: `gapura --help` lists what it does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"gapura/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Run(ctx, os.Args[1:], app.System{Out: os.Stdout, Err: os.Stderr, Directory: ".", Process: true})
	stop()
	os.Exit(code)
}
