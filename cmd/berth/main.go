package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and not every machine knows them

	"github.com/berth-dev/berth/internal/localcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if code, ok := localcluster.Main(ctx, os.Args); ok {
		os.Exit(code)
	}
	slog.SetLogLoggerLevel(slog.LevelError) // libraries' remarks are not for people
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
