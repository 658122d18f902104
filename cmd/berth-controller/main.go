package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	_ "time/tzdata" // schedules name time zones, and not every machine knows them

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/berth-dev/berth/internal/logging"
)

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "berth-controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	config, err := parse(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	logger := logging.New(os.Stderr, config.log)
	logging.Install(logger)

	hostREST, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the host cluster: %w", err)
	}
	managementREST, err := config.management.config(hostREST)
	if err != nil {
		return err
	}
	// The API server's own fairness bounds us; the client's default of 20 requests a
	// second would make a queue of tenants wait on this process.
	for _, rest := range []*rest.Config{hostREST, managementREST} {
		rest.QPS, rest.Burst = 200, 400
	}

	mgr, err := newManager(config, managementREST)
	if err != nil {
		return err
	}
	host, err := addHost(mgr, config, hostREST)
	if err != nil {
		return err
	}
	if err := register(mgr, host, config, logger); err != nil {
		return err
	}
	logger.InfoContext(ctx, "starting", slog.String("domain", config.domain), slog.String("controllerName", config.management.name))
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}
