package service

import (
	"maps"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// patchLabels sets and removes labels.
func patchLabels(app *v1alpha1.App, labels map[string]*string) {
	if len(labels) == 0 {
		return
	}
	next := maps.Clone(app.Spec.Labels)
	if next == nil {
		next = map[string]string{}
	}
	for key, value := range labels {
		if value == nil {
			delete(next, key)
			continue
		}
		next[key] = *value
	}
	if len(next) == 0 {
		next = nil
	}
	app.Spec.Labels = next
}

// hasLabels tells whether an app has all of the labels.
func hasLabels(app *v1alpha1.App, labels map[string]string) bool {
	for key, value := range labels {
		if got, has := app.Spec.Labels[key]; !has || got != value {
			return false
		}
	}
	return true
}
