package fargate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// webhookPath is where the webhook answers.
const webhookPath = "/pods"

// Options say how the pool behaves and where its webhook answers.
type Options struct {
	Profile Profile
	// NodeName is the node that the pool's pods run on.
	NodeName string
	// StartDelay is how old a pod must be to start; 0 starts it at once.
	StartDelay time.Duration
	// PatchAfter is the age at which pods are evicted; at twice that age they are deleted.
	// 0 leaves them alone.
	PatchAfter time.Duration

	// Address is the host:port at which the API server, and nobody else, reaches the webhook.
	Address     string
	Certificate tls.Certificate
	// CA is what the API server trusts the certificate by, PEM.
	CA []byte

	Log *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Pool is the part of a cluster that behaves like Fargate.
type Pool struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	options Options
	log     *slog.Logger
	now     func() time.Time
	ready   chan struct{}
}

// New makes a Pool; it touches nothing yet.
func New(config *rest.Config, options Options) (*Pool, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		client: client, dynamic: objects, options: options, log: options.Log.With("part", "fargate"),
		now: options.Now, ready: make(chan struct{}),
	}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// Ready is closed when the API server was told to ask the webhook.
func (p *Pool) Ready() <-chan struct{} { return p.ready }

// Run serves the pool until ctx ends. An error means that it could not begin.
func (p *Pool) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", p.options.Address)
	if err != nil {
		return fmt.Errorf("the webhook of the pool like Fargate: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.serve(ctx, listener) })
	group.Go(func() error {
		if err := p.setup(ctx, listener.Addr().String()); err != nil {
			return err
		}
		close(p.ready)
		return p.schedule(ctx)
	})
	return group.Wait()
}

func (p *Pool) serve(ctx context.Context, listener net.Listener) error {
	webhook, err := admission.StandaloneWebhook(&admission.Webhook{Handler: p}, admission.StandaloneOptions{Logger: logr.FromSlogHandler(p.log.Handler())})
	if err != nil {
		return fmt.Errorf("the webhook of the pool like Fargate: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(webhookPath, webhook)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.options.Certificate}, MinVersion: tls.VersionTLS12},
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the webhook of the pool like Fargate: %w", err)
	}
	return nil
}
