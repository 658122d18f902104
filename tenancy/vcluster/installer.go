package vcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	releasecommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// hashLabel stands on Helm's record: what was installed, also after the values
	// changed or the controller was killed.
	hashLabel = "berth.dev/values-hash"

	// revision of every record: control planes are installed once and replaced, never
	// upgraded in place.
	revision = 1

	// hookTimeout bounds Helm's waiting for hooks, of which the chart has none.
	hookTimeout = time.Minute
)

// Config of an Installer.
type Config struct {
	// ChartPath is the directory of the chart, version ChartVersion.
	ChartPath string
	// Namespace is where Helm's records are kept: the platform's.
	Namespace string
	// Images the control planes run.
	Images Images
	// REST is the host cluster.
	REST *rest.Config
	// Log gets what Helm has to say.
	Log *slog.Logger
}

// Installer implements tenancy.Installer with Helm.
type Installer struct {
	chart   *chart.Chart
	images  Images
	cluster *cluster
	secrets *driver.Secrets
	log     *slog.Logger
	caps    *common.Capabilities
}

var _ tenancy.Installer = (*Installer)(nil)

// New reads the chart and checks that its values can be built.
func New(config Config) (*Installer, error) {
	loaded, err := loadChart(config.ChartPath)
	if err != nil {
		return nil, err
	}
	if err := config.Images.Validate(); err != nil {
		return nil, err
	}
	shared, err := newCluster(config.REST)
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(config.REST)
	if err != nil {
		return nil, fmt.Errorf("making a client for Helm's records: %w", err)
	}
	version, err := shared.discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking the host cluster for its version: %w", err)
	}
	caps := common.DefaultCapabilities.Copy()
	caps.KubeVersion = common.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor}
	installer := &Installer{
		chart:   loaded,
		images:  config.Images,
		cluster: shared,
		secrets: driver.NewSecrets(clients.CoreV1().Secrets(config.Namespace)),
		log:     config.Log,
		caps:    caps,
	}
	_, err = installer.Hash(tenancy.HostClass{CPUOvercommit: 1})
	return installer, err
}

// Hash implements tenancy.Installer.
func (i *Installer) Hash(class tenancy.HostClass) (string, error) {
	return hash(ChartVersion, class, i.images)
}

// Install implements tenancy.Installer.
func (i *Installer) Install(ctx context.Context, id string, class tenancy.HostClass) (string, error) {
	helm, err := i.helm(id)
	if err != nil {
		return "", err
	}
	record, err := i.record(helm, id)
	if err != nil {
		return "", err
	}
	if record != nil && record.Info.Status == releasecommon.StatusDeployed {
		return record.Labels[hashLabel], nil
	}
	if record != nil {
		// A record in any other state is of an install that was cut short. Installing
		// again adopts what it made.
		i.log.InfoContext(ctx, "an earlier install was cut short, finishing it", "virtualCluster", id, "status", record.Info.Status)
		if _, err := helm.Releases.Delete(id, revision); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return "", fmt.Errorf("dropping the record of an unfinished install: %w", err)
		}
	}
	return i.install(ctx, helm, id, class)
}

func (i *Installer) install(ctx context.Context, helm *action.Configuration, id string, class tenancy.HostClass) (string, error) {
	hash, err := i.Hash(class)
	if err != nil {
		return "", err
	}
	all, err := values(id, class, i.images)
	if err != nil {
		return "", err
	}
	install := newInstall(helm, id)
	install.Labels = map[string]string{hashLabel: hash}
	if _, err := install.RunWithContext(ctx, i.chart, all); err != nil {
		return "", fmt.Errorf("installing the control plane of %s: %w", id, err)
	}
	return hash, nil
}

// newInstall is the action that installs virtual cluster id.
func newInstall(helm *action.Configuration, id string) *action.Install {
	install := action.NewInstall(helm)
	install.ReleaseName = id
	install.Namespace = v1alpha1.HostNamespace(id)
	install.PostRenderer = guard{namespace: install.Namespace}
	// What a killed process left is ours; everything in the namespace is.
	install.TakeOwnership = true
	install.ForceConflicts = true
	// The API server checks each object as it comes; asking it for its whole schema
	// first takes longer than the install.
	install.DisableOpenAPIValidation = true
	// The reconciler watches the control plane itself.
	install.WaitStrategy = kube.HookOnlyStrategy
	install.Timeout = hookTimeout
	return install
}

// Uninstall implements tenancy.Installer.
func (i *Installer) Uninstall(_ context.Context, id string) error {
	helm, err := i.helm(id)
	if err != nil {
		return err
	}
	// Helm takes every failure to read the record for "not found" when asked to ignore
	// that, so it is read here first.
	record, err := i.record(helm, id)
	if err != nil || record == nil {
		return err
	}
	uninstall := action.NewUninstall(helm)
	uninstall.DisableHooks = true
	uninstall.WaitStrategy = kube.HookOnlyStrategy
	uninstall.DeletionPropagation = "background"
	uninstall.Timeout = hookTimeout
	if _, err := uninstall.Run(id); err != nil {
		return fmt.Errorf("uninstalling the control plane of %s: %w", id, err)
	}
	return nil
}

// record is Helm's record of virtual cluster id, nil if there is none.
func (i *Installer) record(helm *action.Configuration, id string) (*release.Release, error) {
	stored, err := helm.Releases.Get(id, revision)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Helm's record of %s: %w", id, err)
	}
	record, ok := stored.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("reading Helm's record of %s: it is a %T", id, stored)
	}
	return record, nil
}

// helm is a configuration for actions on virtual cluster id: its objects in vc-<id>,
// the record of them in the platform's namespace.
func (i *Installer) helm(id string) (*action.Configuration, error) {
	helm := action.NewConfiguration(action.ConfigurationSetLogger(i.log.Handler()))
	namespace := v1alpha1.HostNamespace(id)
	if err := helm.Init(&getter{cluster: i.cluster, namespace: namespace}, namespace, "memory"); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	helm.Releases = storage.Init(i.secrets)
	helm.Capabilities = i.caps.Copy()
	return helm, nil
}
