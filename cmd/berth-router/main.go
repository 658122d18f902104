// Command berth-router is the edge: it sends every request from outside to the app, the
// tenant's API server or the portal that its host name stands for. It reads the management
// cluster and the host cluster and writes nothing to them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/access"
	"github.com/berth-dev/berth/apps/router/feed"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/logging"
)

func main() {
	c, err := parseConfig(os.Args[1:], os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		log := logging.New(os.Stderr, c.log)
		logging.Install(log)
		err = run(context.Background(), c, log)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-router:", err)
		os.Exit(1)
	}
}

// run serves until a signal, then finishes what has begun.
func run(ctx context.Context, c config, log *slog.Logger) error {
	stop, cancelStop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancelStop()
	// Serving and watching go on while answers are finished, hence their own contexts.
	work, cancelWork := context.WithCancel(ctx)
	defer cancelWork()

	management, host, err := clusters(c)
	if err != nil {
		return err
	}
	routes := table.New(table.Config{Domain: c.domain, Platform: c.platform(), Controller: c.controllerName})
	changes, err := feed.New(management, host, routes, c.storageDir, log)
	if err != nil {
		return err
	}
	failed := make(chan error, 4)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		failed <- changes.Run(work)
	}()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(staleGauge(changes))
	lines, err := accessLog(c, registry)
	if err != nil {
		return err
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		lines.Run(work)
	}()
	// The last lines are written, and what is known is kept for the next start.
	defer func() {
		cancelWork()
		<-written
		<-fed
	}()
	read := http.NewServeMux()
	read.Handle("GET /access", lines)
	var serving atomic.Bool
	for address, handler := range map[string]http.Handler{
		c.accessAddress:  read,
		c.metricsAddress: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		c.healthAddress:  health(&serving),
	} {
		if address == "" {
			continue
		}
		if err := serveInside(work, address, handler, failed); err != nil {
			return err
		}
	}
	if err := awaitTable(stop, changes, failed); err != nil || stop.Err() != nil {
		return err
	}
	edge, err := router.Start(work, c.router(lines), routes, log, registry)
	if err != nil {
		return err
	}
	serving.Store(true)
	log.Info("serving", "domain", c.domain, "https", c.httpsAddress, "http", c.httpAddress, "tcp", c.tcpAddress)

	select {
	case <-stop.Done():
	case err = <-failed:
	}
	serving.Store(false)
	return errors.Join(err, shutdown(work, c, edge, log))
}

// staleGauge says whether the table is what an earlier process knew.
func staleGauge(changes *feed.Feed) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "berth_router_table_stale",
		Help: "1 while the table is what an earlier process knew, because the API server does not answer.",
	}, func() float64 {
		if changes.Stale() {
			return 1
		}
		return 0
	})
}

// accessLog is where apps' requests are noted.
func accessLog(c config, registry prometheus.Registerer) (*access.Log, error) {
	var out io.Writer
	if c.accessLog {
		out = os.Stdout
	}
	lines, err := access.New(out, registry)
	if err != nil {
		return nil, fmt.Errorf("beginning the access log: %w", err)
	}
	return lines, nil
}

// shutdown lets those who send us requests see that we are going, then drains.
func shutdown(ctx context.Context, c config, edge *router.Edge, log *slog.Logger) error {
	log.Info("shutting down", "delay", c.shutdownDelay, "drain", c.drainTimeout)
	<-time.After(c.shutdownDelay)
	ctx, cancel := context.WithTimeout(ctx, c.drainTimeout)
	defer cancel()
	if err := edge.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}

// awaitTable waits until the table has been filled: an edge that does not know its
// hosts yet would tell everyone that they do not exist.
func awaitTable(stop context.Context, changes *feed.Feed, failed <-chan error) error {
	tick := time.NewTicker(feed.Settle)
	defer tick.Stop()
	for !changes.Ready() {
		select {
		case <-stop.Done():
			return nil
		case err := <-failed:
			return err
		case <-tick.C:
		}
	}
	return nil
}

// clusters finds the API servers of the management cluster and of the host, which is nil
// where they are one.
func clusters(c config) (management, host *rest.Config, err error) {
	if host, err = hostCluster(c.kubeconfig); err != nil {
		return nil, nil, fmt.Errorf("finding the host cluster: %w", err)
	}
	if c.management == "" {
		return host, nil, nil
	}
	// Errors of parsing may hold what is in the file, which is secret.
	if management, err = hostCluster(c.management); err != nil {
		return nil, nil, errs.New(errs.Invalid, "management-kubeconfig", c.management+" cannot be used",
			"give a file with the kubeconfig that the host was joined with")
	}
	return management, host, nil
}

// hostCluster finds the API server of the cluster we run in, or the one a file names.
func hostCluster(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// health tells the kubelet how we are.
func health(serving *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !serving.Load() {
			http.Error(w, "not serving", http.StatusServiceUnavailable)
		}
	})
	return mux
}

// serveInside serves what only the cluster itself asks for, until ctx ends.
func serveInside(ctx context.Context, address string, handler http.Handler, failed chan<- error) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return nil
}
