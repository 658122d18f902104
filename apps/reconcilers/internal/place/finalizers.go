package place

import (
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// AddFinalizers puts on an app what both reconcilers hold it by, and tells whether that
// changed it.
func AddFinalizers(app *v1alpha1.App) bool {
	added := controllerutil.AddFinalizer(app, v1alpha1.Finalizer)
	return controllerutil.AddFinalizer(app, v1alpha1.FinalizerReleases) || added
}
