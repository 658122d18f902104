package release

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sweepEvery is how long what was deleted or scaled by hand in a tenant's cluster stays so
// at most. Nothing tells us of it: tenants' clusters are not watched.
const sweepEvery = 10 * time.Minute

// sweeps remembers when each app is due. It starts anew with the process, spread over the
// whole period, so that a new controller does not visit all clusters at once.
type sweeps struct {
	mu   sync.Mutex
	next map[types.NamespacedName]time.Time
}

// due says whether the app is to be swept now, and if so, notes that it is.
func (s *sweeps) due(app types.NamespacedName, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, known := s.next[app]
	if !known || now.Before(next) {
		return false
	}
	s.next[app] = now.Add(sweepEvery)
	return true
}

// wait is how long until the app is due.
func (s *sweeps) wait(app types.NamespacedName, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = map[types.NamespacedName]time.Time{}
	}
	next, known := s.next[app]
	switch {
	case !known:
		next = now.Add(rand.N(sweepEvery)) //nolint:gosec // to spread work needs no secrecy
	case !now.Before(next): // it had nothing to sweep when it was due
		next = now.Add(sweepEvery)
	}
	s.next[app] = next
	return next.Sub(now)
}

func (s *sweeps) forget(app types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.next, app)
}

// mend applies what is live once more if something of it was deleted or scaled by hand.
// Whatever else was changed stays until the next release: to apply it all whenever the
// rendering differs would restart every process there is after an upgrade of Berth.
func (r *Reconciler) mend(ctx context.Context, work *work) error {
	if work.target == nil {
		return nil
	}
	return r.inside(ctx, work, func(ctx context.Context, cluster client.Client) error {
		whole, err := r.isWhole(ctx, work, cluster)
		if err != nil || whole {
			return err
		}
		return r.apply(ctx, work, cluster)
	})
}

// isWhole says whether all objects of the target are there, the deployments of the size
// they should be, the clocks set, and the services with the target's ports and no others:
// those of the release before are let go here, when no route goes by them any more.
func (r *Reconciler) isWhole(ctx context.Context, work *work, cluster client.Client) (bool, error) {
	objects, err := r.render(ctx, work)
	if err != nil {
		return false, err
	}
	for _, kind := range []struct {
		list client.ObjectList
		want []client.Object
	}{
		{&appsv1.DeploymentList{}, objects.Deployments},
		{&batchv1.CronJobList{}, objects.CronJobs},
		{&corev1.ServiceList{}, objects.Services},
		{&corev1.SecretList{}, objects.Environment},
	} {
		there, err := owned(ctx, cluster, work.app.Name, kind.list)
		if err != nil {
			return false, err
		}
		for _, want := range kind.want {
			if !slices.ContainsFunc(there, func(have client.Object) bool { return matches(have, want) }) {
				return false, nil
			}
		}
	}
	return true, nil
}

func matches(have, want client.Object) bool {
	if have.GetName() != want.GetName() {
		return false
	}
	switch want := want.(type) {
	case *appsv1.Deployment:
		have, ok := have.(*appsv1.Deployment)
		return ok && *have.Spec.Replicas == *want.Spec.Replicas
	case *batchv1.CronJob:
		have, ok := have.(*batchv1.CronJob)
		return ok && *have.Spec.Suspend == *want.Spec.Suspend
	case *corev1.Service:
		have, ok := have.(*corev1.Service)
		return ok && len(have.Spec.Ports) == len(want.Spec.Ports) && !slices.ContainsFunc(want.Spec.Ports, func(port corev1.ServicePort) bool {
			return !slices.ContainsFunc(have.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port.Name })
		})
	default:
		return true
	}
}
