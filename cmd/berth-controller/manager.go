package main

import (
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/apps/reconcilers/app"
	"github.com/berth-dev/berth/apps/reconcilers/certificate"
	"github.com/berth-dev/berth/apps/reconcilers/domain"
	"github.com/berth-dev/berth/apps/reconcilers/release"
	"github.com/berth-dev/berth/tenancy/clusters"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
	"github.com/berth-dev/berth/tenancy/reconcilers/tenant"
	"github.com/berth-dev/berth/tenancy/reconcilers/virtualcluster"
	"github.com/berth-dev/berth/tenancy/vcluster"
)

// The lease: a controller that was killed is replaced within leaseDuration.
const (
	leaseName     = "berth-controller"
	leaseDuration = 10 * time.Second
	renewDeadline = 8 * time.Second
	retryPeriod   = 2 * time.Second
)

func newManager(config config, rest *rest.Config) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing the kinds: %w", err)
		}
	}
	labelled, err := labels.Parse(v1alpha1.LabelCertificate)
	if err != nil {
		return nil, fmt.Errorf("choosing Secrets: %w", err)
	}
	lease, renew, retry := leaseDuration, renewDeadline, retryPeriod
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: config.metricsAddress},
		HealthProbeBindAddress:        config.healthAddress,
		LeaderElection:                config.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       config.namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Node{}: {Transform: hostcluster.TrimNode},
				// Of Secrets only what holds certificates is watched.
				&corev1.Secret{}: {Label: labelled},
			},
		},
		// Secrets and config maps of every tenant would fill the memory, and the first
		// have no business there.
		Client: client.Options{Cache: &client.CacheOptions{
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("ping", healthz.Ping)
}

// register adds the reconcilers of all rooms, with the adapters they need.
func register(mgr manager.Manager, config config, logger *slog.Logger) error {
	installer, err := vcluster.New(vcluster.Config{
		ChartPath: config.chart,
		Namespace: config.namespace,
		Images:    config.images,
		REST:      mgr.GetConfig(),
		Log:       logger.With(slog.String("part", "helm")),
	})
	if err != nil {
		return err
	}
	reach, err := clusters.Reach(mgr.GetConfig())
	if err != nil {
		return err
	}
	authority, err := config.authority(mgr)
	if err != nil {
		return fmt.Errorf("preparing the certificate authority: %w", err)
	}
	var (
		tenants  = clusters.New(mgr.GetAPIReader())
		recorder = mgr.GetEventRecorder("berth-controller")
		now      = clock.RealClock{}
	)
	all := map[string]interface{ Register(manager.Manager) error }{
		"hostcluster": hostcluster.New(hostcluster.Options{
			Client: mgr.GetClient(), Installer: installer, Reach: reach, Clock: now, Events: recorder,
		}),
		"virtualcluster": virtualcluster.New(virtualcluster.Options{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Installer: installer, Clusters: tenants,
			Clock: now, Events: recorder, SystemNamespace: config.namespace,
		}),
		"tenant": tenant.New(tenant.Options{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clusters: tenants,
			Clock: now, Events: recorder, SystemNamespace: config.namespace, Domain: config.domain,
		}),
		"app": app.New(app.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Clusters: tenants,
			Clock: now, Recorder: recorder, Domain: config.domain, EdgePort: config.edgePort,
		}),
		"domain": domain.New(domain.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Proof: proof.New(config.proof), Authority: authority != nil,
			Clock: now, Recorder: recorder, Domain: config.domain,
		}),
		"certificate": certificate.New(certificate.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Authority: authority,
			Clock: now, Recorder: recorder, Domain: config.domain,
		}),
		"release": release.New(release.Options{
			Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Clusters: tenants, Clock: now, Recorder: recorder,
		}),
	}
	if authority != nil && authority.Wildcards() {
		all["wildcard"] = certificate.NewWildcards(certificate.WildcardOptions{Client: mgr.GetClient(), Domain: config.domain})
	}
	for name, reconciler := range all {
		if err := reconciler.Register(mgr); err != nil {
			return fmt.Errorf("registering the reconciler of %ss: %w", name, err)
		}
	}
	return nil
}
