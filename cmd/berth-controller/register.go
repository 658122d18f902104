package main

import (
	"fmt"
	"log/slog"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/reconcilers/app"
	"github.com/berth-dev/berth/apps/reconcilers/certificate"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/apps/reconcilers/release"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/clusters"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostaccess"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
	"github.com/berth-dev/berth/tenancy/vcluster"
)

// register adds the reconcilers of all rooms, with the adapters they need. What touches no
// host is the management cluster's controller's alone.
func register(mgr manager.Manager, host cluster.Cluster, config config, logger *slog.Logger) error {
	shard := tenancy.Shard{Controller: config.management.name, Reader: mgr.GetClient(), Live: mgr.GetAPIReader()}
	onHosts, err := onHosts(mgr, host, shard, config, logger)
	if err != nil {
		return err
	}
	for name, reconciler := range onHosts {
		if err := reconciler.Register(mgr, host); err != nil {
			return fmt.Errorf("registering the reconciler of %ss: %w", name, err)
		}
	}
	if !shard.Main() {
		return nil
	}
	ofManagement, err := ofManagement(mgr, config)
	if err != nil {
		return err
	}
	for name, reconciler := range ofManagement {
		if err := reconciler.Register(mgr); err != nil {
			return fmt.Errorf("registering the reconciler of %ss: %w", name, err)
		}
	}
	return nil
}

// onHost is a reconciler that works on a host cluster too.
type onHost interface {
	Register(mgr manager.Manager, host cluster.Cluster) error
}

func onHosts(
	mgr manager.Manager, host cluster.Cluster, shard tenancy.Shard, config config, logger *slog.Logger,
) (map[string]onHost, error) {
	installer, err := vcluster.New(vcluster.Config{
		ChartPath: config.chart,
		Namespace: config.namespace,
		Images:    config.images,
		REST:      host.GetConfig(),
		Log:       logger.With(slog.String("part", "helm")),
	})
	if err != nil {
		return nil, err
	}
	reach, err := clusters.Reach(host.GetConfig())
	if err != nil {
		return nil, err
	}
	var (
		tenants  = clusters.New(host.GetAPIReader())
		recorder = mgr.GetEventRecorder("berth-controller")
		now      = clock.RealClock{}
	)
	return map[string]onHost{
		"hostcluster": hostcluster.New(hostcluster.Options{
			Shard: shard, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Host: host.GetClient(), Installer: installer,
			Reach: reach, Clock: now, Events: recorder, SystemNamespace: config.namespace,
		}),
		"virtualcluster": virtualcluster.New(virtualcluster.Options{
			Shard: shard, Client: mgr.GetClient(), Host: host.GetClient(), HostLive: host.GetAPIReader(), Installer: installer,
			Clusters: tenants, Clock: now, Events: recorder, SystemNamespace: config.namespace,
		}),
		"tenant": tenant.New(tenant.Options{
			Shard: shard, Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Host: host.GetClient(), HostLive: host.GetAPIReader(),
			Clusters: tenants, Clock: now, Events: recorder, SystemNamespace: config.namespace, Domain: config.domain,
		}),
		"app": app.New(app.Options{
			Shard: shard, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Host: host.GetClient(), HostLive: host.GetAPIReader(),
			Clusters: tenants, Clock: now, Recorder: recorder, Domain: config.domain, EdgePort: config.edgePort,
		}),
		"release": release.New(release.Options{
			Shard: shard, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Clusters: tenants, Clock: now, Recorder: recorder,
		}),
	}, nil
}

func ofManagement(mgr manager.Manager, config config) (map[string]interface{ Register(manager.Manager) error }, error) {
	authority, err := config.authority(mgr)
	if err != nil {
		return nil, fmt.Errorf("preparing the certificate authority: %w", err)
	}
	recorder, now := mgr.GetEventRecorder("berth-controller"), clock.RealClock{}
	all := map[string]interface{ Register(manager.Manager) error }{
		"domain": domain.New(domain.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Proof: proof.New(config.proof), Authority: authority != nil,
			Clock: now, Recorder: recorder, Domain: config.domain,
		}),
		"certificate": certificate.New(certificate.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Authority: authority,
			Clock: now, Recorder: recorder, Domain: config.domain,
		}),
		"right of host": hostaccess.New(hostaccess.Options{
			Client: mgr.GetClient(), SystemNamespace: config.namespace,
		}),
	}
	if authority != nil && authority.Wildcards() {
		all["wildcard"] = certificate.NewWildcards(certificate.WildcardOptions{Client: mgr.GetClient(), Domain: config.domain})
	}
	return all, nil
}
