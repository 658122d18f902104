package vcluster

import (
	"fmt"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"github.com/berth-dev/berth/internal/errs"
)

// ChartVersion is the version of the chart the values are written for. The chart in
// vCluster's module says 0.0.1; who packs it sets the version.
const ChartVersion = "0.36.1"

// loadChart reads the chart's directory.
func loadChart(path string) (*chart.Chart, error) {
	loaded, err := loader.LoadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the vCluster chart in %s: %w", path, err)
	}
	if loaded.Metadata.Name != "vcluster" || loaded.Metadata.Version != ChartVersion {
		return nil, errs.New(errs.Invalid, "vcluster-chart",
			fmt.Sprintf("%s holds chart %s %s", path, loaded.Metadata.Name, loaded.Metadata.Version),
			"give the directory of chart vcluster "+ChartVersion+", with that version in its Chart.yaml")
	}
	return loaded, nil
}
