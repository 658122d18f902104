package release

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// clusterTimeout bounds one visit to a tenant's cluster.
	clusterTimeout = 20 * time.Second
	// awayAgain is the pause before asking a cluster again that did not answer.
	awayAgain = 2 * time.Second
)

// outside marks an error that does not come from the tenant's API server, so that a
// hiccup of our own is not taken for its absence.
type outside struct{ error }

func (o outside) Unwrap() error { return o.error }

// inside visits the tenant's cluster. When it does not answer, that is noted and
// waited for; nothing is concluded about the release.
func (r *Reconciler) inside(ctx context.Context, work *work, visit func(context.Context, client.Client) error) error {
	err := r.visit(ctx, work, visit)
	var ours outside
	switch {
	case errors.As(err, &ours):
		return ours.error
	case err == nil, place.Refused(err), isPolicy(err):
		return errors.Join(err, r.back(ctx, work))
	case errors.Is(err, tenancy.ErrNoAccess), place.Away(err):
		return r.away(ctx, work)
	default:
		return err
	}
}

func (r *Reconciler) visit(ctx context.Context, work *work, visit func(context.Context, client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	cluster, err := r.Clusters.Client(ctx, work.place.Cluster.Name)
	if err != nil {
		return err
	}
	return visit(ctx, cluster)
}

// isPolicy says whether an error already tells what happens next.
func isPolicy(err error) bool { return steps.Judge(err).Err == nil }

// judged says whether the target has a clock that must be stopped and started.
func judged(work *work) bool { return work.target != nil && !apps.Proven(work.target) }

// away stops the target's clock.
func (r *Reconciler) away(ctx context.Context, work *work) error {
	if judged(work) {
		if work.target.Annotations[annotationAwaySince] == "" {
			if err := r.annotate(ctx, work.target, annotationAwaySince, r.Clock.Now().UTC().Format(time.RFC3339Nano)); err != nil {
				return err
			}
		}
		r.awayFor(work) // From the first look on it is counted here.
		if err := r.writeStatus(ctx, work.target, waiting); err != nil {
			return err
		}
	}
	return steps.Wait(v1alpha1.ReasonWaiting, awayMessage, awayAgain)
}

// back starts the clock again and adds the pause to what does not count.
func (r *Reconciler) back(ctx context.Context, work *work) error {
	if !judged(work) || work.target.Annotations[annotationAwaySince] == "" {
		return nil
	}
	before, _ := time.ParseDuration(work.target.Annotations[annotationAway])
	total := before + r.awayFor(work)
	return r.annotate(ctx, work.target, annotationAway, total.String(), annotationAwaySince, "")
}

// awayFor is how long the tenant's API server has been away this time. One that is said to
// have gone in the future was noted by a clock that has been set back since.
func (r *Reconciler) awayFor(work *work) time.Duration {
	since, err := time.Parse(time.RFC3339Nano, work.target.Annotations[annotationAwaySince])
	if err != nil {
		return 0
	}
	return max(r.passed(work, since), 0)
}
