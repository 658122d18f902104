// Command berth-setup does what the chart's jobs need around an upgrade and an
// uninstallation:
//
//	berth-setup kinds   applies the custom resource definitions, which Helm installs
//	                    once and never again
//	berth-setup drain   refuses if there are tenants, else deletes the host clusters
//	                    and waits until the pool's virtual clusters are gone
//
// It speaks to the API server by plain HTTP requests: a client library would make the
// binary ten times as large for four requests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = "usage: berth-setup kinds | drain"

// drainTimeout is less than the job's own, so that there is time to say what is left.
const drainTimeout = 270 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "berth-setup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New(usage)
	}
	server, err := inCluster()
	if err != nil {
		return err
	}
	switch args[0] {
	case "kinds":
		return server.applyKinds(ctx)
	case "drain":
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		return server.drain(ctx, tick.C)
	default:
		return errors.New(usage)
	}
}
