// Command api is the shop's API: goods from PostgreSQL, and what Prometheus knows about
// the API itself.
//
//	POSTGRES_URL       where the database is
//	POSTGRES_PASSWORD  its password, if the address has none
//	METRICS_URL        where Prometheus is
//
// It serves from its first moment: while the database is not there, calls that need it
// answer 503 and the rest works. Told to stop, it finishes the requests it has.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	version := flag.String("version", "1", "version to report")
	broken := flag.Bool("broken", false, "end at once, as a release that never works does")
	unhealthy := flag.Bool("unhealthy", false, "serve, but never report to be healthy")
	flag.Parse()
	if *broken {
		slog.Error("cannot start: the price list is missing", "version", *version)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *version, !*unhealthy); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, version string, healthy bool) error {
	store, err := newStore(os.Getenv("POSTGRES_URL"), os.Getenv("POSTGRES_PASSWORD"))
	if err != nil {
		return err
	}
	defer store.pool.Close()
	retry := time.NewTicker(2 * time.Second)
	defer retry.Stop()
	go store.prepare(ctx, retry.C)

	shop := &shop{version: version, healthy: healthy, store: store, metricsURL: os.Getenv("METRICS_URL"), client: &http.Client{Timeout: 5 * time.Second}}
	server := &http.Server{Addr: ":8080", Handler: shop.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("serving", "address", server.Addr, "version", version)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("finishing the requests that have begun")
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return server.Shutdown(finish)
}
