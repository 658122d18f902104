package place

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// Mine says whether an app belongs to the controller with this shard. A cache's word is
// taken for an app whose tenant is bound, as long as it stays: it was claimed for this
// controller, once. One that is not bound may have been claimed a moment ago for another,
// and who lets an app go has the last word: so live is asked as well.
func Mine(ctx context.Context, shard tenancy.Shard, live client.Reader, app *v1alpha1.App) (bool, error) {
	if app.DeletionTimestamp == nil {
		if found, err := Find(ctx, shard.Reader, app.Namespace); err == nil {
			return shard.Host(found.Host), nil
		}
	}
	if mine, err := shard.Namespace(ctx, app.Namespace); err != nil || !mine {
		return false, err
	}
	shard.Reader = live
	return shard.Namespace(ctx, app.Namespace)
}
