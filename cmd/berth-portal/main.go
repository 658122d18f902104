// Command berth-portal serves the JSON API.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
	_ "time/tzdata" // schedules name time zones, and not every machine knows them

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/logging"
	"github.com/berth-dev/berth/portal"
	"github.com/berth-dev/berth/portal/api"
	"github.com/berth-dev/berth/portal/service"
)

// drainTimeout bounds how long answers may take after the signal to stop.
const drainTimeout = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "berth-portal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	conf, err := parse(args)
	if err != nil {
		return err
	}
	log := logging.New(os.Stderr, conf.Logging)
	logging.Install(log)
	c, err := managementClient()
	if err != nil {
		return err
	}
	draining := make(chan struct{})
	handler := newHandler(conf, c, log, draining)
	return serve(ctx, conf, handler, log, draining)
}

// managementClient is an uncached client of the cluster that holds the objects.
func managementClient() (client.WithWatch, error) {
	restConfig, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the management cluster: %w", err)
	}
	// The API server limits us; a limit here would make people wait for each other.
	restConfig.QPS = -1
	restConfig.UserAgent = "berth-portal"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the management cluster: %w", err)
	}
	return c, nil
}

func newHandler(conf Config, c client.WithWatch, log *slog.Logger, draining <-chan struct{}) http.Handler {
	svc := service.New(service.Options{
		Client: c,
		Images: service.NewImages(conf.Mirrors, nil),
		Clock:  clock.RealClock{},
		Domain: conf.Domain, EdgePort: conf.EdgePort,
		EdgeCA:        func() ([]byte, error) { return readCA(conf.EdgeCAFile) },
		EdgeAddress:   conf.EdgeAddress,
		EdgeRoots:     func() ([]byte, error) { return edgeRoots(conf.EdgeCAFile, systemRoots()) },
		AccessService: conf.AccessService,
	})
	return portal.New(portal.Options{
		API: api.New(api.Options{
			Service: svc, Auth: api.NewOperatorToken(c, clock.RealClock{}), Log: log, Draining: draining,
		}),
		Log: log,
	})
}

// readCA reads the edge's certificate authority. No file at all means a public one.
func readCA(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path) // the path is the operator's own
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// systemRoots is the file of the certificates that the system trusts, where Go looks on the
// systems that the portal's image is made from.
func systemRoots() string { return env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt") }

// edgeRoots reads what the edge is verified by: its own authority and those that the system
// trusts. Without its own there is nothing to add to the system's.
func edgeRoots(caFile, systemFile string) ([]byte, error) {
	own, err := readCA(caFile)
	if err != nil || len(own) == 0 {
		return nil, err
	}
	public, err := readCA(systemFile)
	return slices.Concat(own, []byte("\n"), public), err
}

// serve answers until ctx ends; then streams end at once and the rest is finished.
func serve(ctx context.Context, conf Config, handler http.Handler, log *slog.Logger, draining chan struct{}) error {
	servers := []*http.Server{
		{Addr: conf.Address, Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute},
		{Addr: conf.HealthAddress, Handler: portal.Health(), ReadHeaderTimeout: 10 * time.Second},
	}
	failed := make(chan error, len(servers))
	for _, server := range servers {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", server.Addr)
		if err != nil {
			return err
		}
		log.InfoContext(ctx, "listening", "address", listener.Addr().String())
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	close(draining)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Shutdown(limited))
	}
	return errors.Join(errs...)
}
