package localcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/berth-dev/berth/internal/localcluster/netpol"
	"github.com/berth-dev/berth/internal/localcluster/volumes"
)

// cniCacheDir is where containerd's CNI library notes the address of a new pod, before
// anything of the pod runs.
const cniCacheDir = "/var/lib/cni/results"

// agentHealth is where the agent says, inside the node, that policies are enforced.
const agentHealth = "127.0.0.1:10270"

// runAgent does what clouds do with add-ons of their own: it enforces network policies
// and makes volumes. It runs inside the node's namespaces.
func runAgent(ctx context.Context, instance *Instance, log *slog.Logger) error {
	if os.Getenv(nodeMark) == "" {
		return errByHand
	}
	config, err := clientcmd.BuildConfigFromFlags("", instance.path("pki", "node-agent.kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	policies, err := netpol.New(client, netpol.Options{NodeName: nodeName, CNICacheDir: cniCacheDir, Log: log})
	if err != nil {
		return fmt.Errorf("network policies: %w", err)
	}
	provisioner, err := volumes.New(client, volumes.Options{Dir: instance.path("data", "volumes"), NodeName: nodeName, Log: log})
	if err != nil {
		return fmt.Errorf("volumes: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHealth(ctx, policies.Synced()) })
	group.Go(func() error { return policies.Run(ctx) })
	group.Go(func() error { return provisioner.Run(ctx) })
	return group.Wait()
}

// serveHealth answers 200 once the first full set of policies is in force.
func serveHealth(ctx context.Context, synced <-chan struct{}) error {
	server := &http.Server{Addr: agentHealth, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-synced:
		default:
			http.Error(w, "network policies are not in force yet", http.StatusServiceUnavailable)
		}
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("health: %w", err)
	}
	return nil
}
