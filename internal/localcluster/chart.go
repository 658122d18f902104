package localcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

const (
	// chartRelease is the name of the Helm release that Berth is.
	chartRelease = "berth"
	// contentLabel stands on Helm's record: the hash of the chart and values it is made
	// of. A release that is what it should be is left alone.
	contentLabel = "berth.dev/content"
	// hookTimeout bounds each of the chart's jobs.
	hookTimeout = 5 * time.Minute
)

// installChart installs the chart in chartDir, or brings what is installed up to it, as
// `helm upgrade --install` does. It does not wait for what it installs.
func installChart(ctx context.Context, kubeconfig, kubeContext, chartDir string, values map[string]any) error {
	config, err := helmConfiguration(kubeconfig, kubeContext)
	if err != nil {
		return err
	}
	content, err := chartContent(chartDir, values)
	if err != nil {
		return err
	}
	last, err := lastRelease(config)
	if err != nil {
		return err
	}
	if last != nil && last.Info.Status == common.StatusDeployed && last.Labels[contentLabel] == content {
		return nil
	}
	chart, err := loader.Load(chartDir)
	if err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	labels := map[string]string{contentLabel: content}
	if last == nil {
		err = served(ctx, func() error {
			// Made anew for each attempt: it remembers which kinds there are.
			config, err := helmConfiguration(kubeconfig, kubeContext)
			if err != nil {
				return err
			}
			install := action.NewInstall(config)
			install.ReleaseName, install.Namespace, install.Labels = chartRelease, SystemNamespace, labels
			// What an installation that was killed half-way made is taken over.
			install.TakeOwnership, install.ForceConflicts = true, true
			install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, hookTimeout
			_, err = install.RunWithContext(ctx, chart, values)
			return err
		})
	} else {
		upgrade := action.NewUpgrade(config)
		upgrade.Namespace, upgrade.MaxHistory, upgrade.ResetValues, upgrade.Labels = SystemNamespace, 3, true, labels
		upgrade.WaitStrategy, upgrade.Timeout = kube.HookOnlyStrategy, hookTimeout
		upgrade.ServerSideApply, upgrade.ForceConflicts = "auto", true
		_, err = upgrade.RunWithContext(ctx, chartRelease, chart, values)
	}
	if err != nil {
		return fmt.Errorf("installing the chart: %w", err)
	}
	return nil
}

// served tries again, for half a minute, what fails for want of kinds that were made just
// now: the API server may take a moment to serve them, and Helm, told to wait for nothing but
// jobs, does not wait for them either. It fails so before it has written anything else.
func served(ctx context.Context, install func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		err := install()
		if !meta.IsNoMatchError(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// lastRelease returns the newest record of the release; nil if there is none. Records of
// work that was killed half-way are removed: Helm refuses to work on them, and applying
// again brings the objects to what they should be.
func lastRelease(config *action.Configuration) (*release.Release, error) {
	for {
		last, err := config.Releases.Last(chartRelease)
		if errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		record, ok := last.(*release.Release)
		if !ok {
			return nil, fmt.Errorf("the release's record is a %T", last)
		}
		switch record.Info.Status {
		case common.StatusPendingInstall, common.StatusPendingUpgrade, common.StatusPendingRollback, common.StatusUninstalling:
			if _, err := config.Releases.Delete(record.Name, record.Version); err != nil {
				return nil, err
			}
		case common.StatusFailed:
			if record.Version > 1 {
				return record, nil
			}
			// A first installation that failed cannot be upgraded from.
			if _, err := config.Releases.Delete(record.Name, record.Version); err != nil {
				return nil, err
			}
		default:
			return record, nil
		}
	}
}

// chartContent hashes a chart's files and values.
func chartContent(chartDir string, values map[string]any) (string, error) {
	hash := sha256.New()
	root, err := os.OpenRoot(chartDir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	files := root.FS()
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return nil // the link to the kinds: their hash is in the images
		}
		fmt.Fprintf(hash, "/%s %d\n", path, len(data))
		hash.Write(data)
		return nil
	})
	if err != nil {
		return "", err
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	hash.Write(encoded)
	return hex.EncodeToString(hash.Sum(nil))[:32], nil
}

// uninstallChart removes Berth from a cluster.
func uninstallChart(kubeconfig, kubeContext string) error {
	config, err := helmConfiguration(kubeconfig, kubeContext)
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(config)
	uninstall.IgnoreNotFound, uninstall.Timeout = true, hookTimeout
	uninstall.WaitStrategy = kube.StatusWatcherStrategy
	_, err = uninstall.Run(chartRelease)
	return err
}

func helmConfiguration(kubeconfig, kubeContext string) (*action.Configuration, error) {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &kubeconfig
	if kubeContext != "" {
		flags.Context = &kubeContext
	}
	namespace := SystemNamespace
	flags.Namespace = &namespace
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	return config, config.Init(flags, SystemNamespace, "secret")
}
