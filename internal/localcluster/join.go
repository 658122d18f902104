package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// fillHost makes the running node a host of its management cluster, and waits until that
// finds it ready.
func (i *Instance) fillHost(ctx context.Context, c client.Client, b *built, management *Instance, options UpOptions, progress *Progress) error {
	state, err := i.LoadState()
	if err != nil {
		return err
	}
	other, err := management.LoadState()
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", management.adminKubeconfig())
	if err != nil {
		return err
	}
	step := progress.Start("Joining " + management.Name)
	values, err := i.register(ctx, config, management, *state.Host, options)
	if err == nil {
		err = i.linked(ctx)
	}
	if step.End(err) != nil {
		return err
	}
	step = progress.Start("Berth's chart")
	err = installChart(ctx, i.adminKubeconfig(), "", filepath.Join(b.source, "charts", "berth"), hostValues(b.images, values, i.Name, other.Ports.HTTPS))
	if step.End(err) != nil {
		return err
	}
	step = progress.Start("Berth itself")
	if err := step.End(berthReady(ctx, c, state.Started)); err != nil {
		return err
	}
	step = progress.Start("Virtual clusters")
	return step.End(i.readyAsHost(ctx, config, func(seen string) { step.Detail("%s", seen) }))
}

// register makes a host known to its management cluster, as the administrator of that.
func (i *Instance) register(ctx context.Context, config *rest.Config, management *Instance, of HostOf, options UpOptions) (map[string]any, error) {
	ca, err := os.ReadFile(management.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	return options.Join.Register(ctx, config, Host{
		Name: i.Name, Spec: hostSpec(of, options), CA: ca, Server: "https://" + onNode(managementAPIPort),
	})
}

// hostSpec describes an embedded cluster as a host of another.
func hostSpec(of HostOf, options UpOptions) v1alpha1.HostClusterSpec {
	return v1alpha1.HostClusterSpec{
		Region: of.Region, EdgeAddress: onNode(of.EdgePort),
		CPUOvercommit: int32(overcommit(options.Fargate)), Pool: v1alpha1.PoolSpec{Size: int32(options.PoolSize)},
		Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{nodeOnly}, APIServerPort: apiPort, DeniedCIDRs: insideCIDRs},
	}
}

// linked waits until the host's links are up: the other instance is, so it takes a moment only.
func (i *Instance) linked(ctx context.Context) error {
	return poll(ctx, 30*time.Second, "the links are not up", func(context.Context) (bool, string, error) {
		links, err := i.Links()
		return links.Up, links.Problem, err
	})
}

// StillKnown tells whether the management cluster of a host, where that runs, lists it.
func (i *Instance) StillKnown(ctx context.Context) bool {
	state, err := i.LoadState()
	if err != nil || state.Host == nil {
		return false
	}
	management, err := Open(state.Host.Instance)
	if err != nil || management.Running() == nil {
		return false
	}
	config, err := clientcmd.BuildConfigFromFlags("", management.adminKubeconfig())
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := hostClusters(config)
	return err == nil && c.Get(ctx, client.ObjectKey{Name: i.Name}, &v1alpha1.HostCluster{}) == nil
}

// hostClusters makes a client that knows Berth's kinds.
func hostClusters(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// readyAsHost waits until the management cluster finds the host ready, and tells what it sees.
func (i *Instance) readyAsHost(ctx context.Context, management *rest.Config, tell func(seen string)) error {
	c, err := hostClusters(management)
	if err != nil {
		return err
	}
	err = poll(ctx, 5*time.Minute, "the host is not ready", func(ctx context.Context) (bool, string, error) {
		var host v1alpha1.HostCluster
		if err := c.Get(ctx, client.ObjectKey{Name: i.Name}, &host); err != nil {
			return false, "", err
		}
		ready, seen := seenAsHost(&host)
		tell(seen)
		return ready, seen, nil
	})
	if err != nil {
		return fmt.Errorf("%w; its controller says more: kubectl --kubeconfig %s -n %s logs deploy/berth", err, i.Kubeconfig(), SystemNamespace)
	}
	return nil
}

// seenAsHost tells whether a host is ready, as it is described now, and what is said of it. One
// that is full of tenants is as ready as it gets.
func seenAsHost(host *v1alpha1.HostCluster) (ready bool, seen string) {
	condition := meta.FindStatusCondition(host.Status.Conditions, v1alpha1.ConditionReady)
	if condition == nil || condition.ObservedGeneration != host.Generation {
		return false, "its controller has not looked at it yet"
	}
	return condition.Status == metav1.ConditionTrue || condition.Reason == v1alpha1.ReasonNoCapacity, condition.Message
}
