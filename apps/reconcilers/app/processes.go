package app

import (
	"context"
	"fmt"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
)

// processes counts what runs, as the host cluster sees it: the tenant's API server
// is left alone, asleep or not.
func (r *Reconciler) processes(ctx context.Context, app *v1alpha1.App, seen *sight) error {
	if seen.tenant.Status.VirtualCluster == "" {
		return nil
	}
	pods, err := place.Processes(ctx, r.Host, seen.tenant.Status.VirtualCluster, app.Name)
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	seen.ready = map[string]int32{}
	for i := range pods {
		if place.Ready(&pods[i]) {
			seen.ready[pods[i].Labels[v1alpha1.LabelComponent]]++
		}
	}
	return nil
}
