package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
)

// The lease: a controller that was killed is replaced within leaseDuration.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 8 * time.Second
	retryPeriod   = 2 * time.Second
)

// newManager makes the manager, which works on the management cluster and holds its lease
// there.
func newManager(config config, rest *rest.Config) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing the kinds: %w", err)
		}
	}
	cached, err := cacheOptions()
	if err != nil {
		return nil, err
	}
	lease, renew, retry := leaseDuration, renewDeadline, retryPeriod
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: config.metricsAddress},
		HealthProbeBindAddress:        config.healthAddress,
		LeaderElection:                config.leaderElect,
		LeaderElectionID:              tenancy.LeaseName(config.management.name),
		LeaderElectionNamespace:       config.namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		Cache:                         cached,
		Client:                        clientOptions(),
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, mgr.AddHealthzCheck("ping", healthz.Ping)
}

// addHost gives the cluster where virtual clusters run: the manager's own or, where that is
// another one, the one this process runs in. Nothing is cached that nobody asks for, so that
// either cache holds its own cluster's kinds alone.
func addHost(mgr manager.Manager, config config, rest *rest.Config) (cluster.Cluster, error) {
	if config.management.kubeconfig == "" {
		return mgr, nil
	}
	cached, err := cacheOptions()
	if err != nil {
		return nil, err
	}
	host, err := cluster.New(rest, func(o *cluster.Options) {
		o.Scheme, o.Cache, o.Client = mgr.GetScheme(), cached, clientOptions()
	})
	if err != nil {
		return nil, fmt.Errorf("making the client of the host cluster: %w", err)
	}
	return host, mgr.Add(host)
}

func cacheOptions() (cache.Options, error) {
	labelled, err := labels.Parse(v1alpha1.LabelCertificate)
	if err != nil {
		return cache.Options{}, fmt.Errorf("choosing Secrets: %w", err)
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}: {Transform: hostcluster.TrimNode},
			// Of Secrets only what holds certificates is watched.
			&corev1.Secret{}: {Label: labelled},
		},
	}, nil
}

// clientOptions keep Secrets and config maps out of the cache: those of every tenant would
// fill the memory, and the first have no business there.
func clientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{
		DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
	}}
}
