package localcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/berth-dev/berth/internal/localcluster/fargate"
	"github.com/berth-dev/berth/internal/localcluster/netpol"
	"github.com/berth-dev/berth/internal/localcluster/volumes"
	"github.com/berth-dev/berth/internal/localcluster/zone"
)

// cniCacheDir is where containerd's CNI library notes the address of a new pod, before
// anything of the pod runs.
const cniCacheDir = "/var/lib/cni/results"

// agentHealth is where the agent says, inside the node, that policies are enforced.
const agentHealth = "127.0.0.1:10270"

// runAgent does what clouds do with add-ons of their own: it enforces network policies,
// makes volumes, answers for the names of the zone file, and treats pods of tenants as
// Fargate does where that is wanted. It runs inside the node's namespaces.
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
	state, err := instance.LoadState()
	if err != nil {
		return err
	}
	options := netpol.Options{NodeName: nodeName, CNICacheDir: cniCacheDir, Log: log}
	if state.Fargate.Enabled {
		options.GroupsFile, options.NodeAddrs = instance.SecurityGroups(), []netip.Addr{netip.MustParseAddr(nodeIP)}
	}
	policies, err := netpol.New(client, options)
	if err != nil {
		return fmt.Errorf("network policies: %w", err)
	}
	provisioner, err := volumes.New(client, volumes.Options{Dir: instance.path("data", "volumes"), NodeName: nodeName, Log: log})
	if err != nil {
		return fmt.Errorf("volumes: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	ready := []<-chan struct{}{policies.Synced()}
	if state.Fargate.Enabled {
		pool, err := instance.fargatePool(config, state.Fargate, log)
		if err != nil {
			return fmt.Errorf("the pool like Fargate: %w", err)
		}
		ready = append(ready, pool.Ready())
		group.Go(func() error { return pool.Run(ctx) })
	} else if err := fargate.Remove(ctx, client); err != nil {
		return err
	}
	group.Go(func() error { return serveHealth(ctx, ready) })
	group.Go(func() error { return policies.Run(ctx) })
	group.Go(func() error { return provisioner.Run(ctx) })
	group.Go(func() error {
		return zone.New(instance.ZoneFile(), log).Run(ctx, fmt.Sprintf("%s:%d", nodeIP, zonePort))
	})
	return group.Wait()
}

// serveHealth answers 200 once pods may start: when the first full set of policies is in
// force and the pool like Fargate, if there is one, is at work.
func serveHealth(ctx context.Context, ready []<-chan struct{}) error {
	server := &http.Server{Addr: agentHealth, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range ready {
			select {
			case <-part:
			default:
				http.Error(w, "network policies or the pool like Fargate are not in force yet", http.StatusServiceUnavailable)
				return
			}
		}
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("health: %w", err)
	}
	return nil
}
