package service

import (
	"context"
	"errors"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// ReleaseState is a release, once there is one, and its app, at one moment.
type ReleaseState struct {
	App     *v1alpha1.App
	Release *v1alpha1.Release
	// Done: nothing more will come of it by itself.
	Done bool
	// Err says why no release comes of the change, if Done.
	Err error
}

// ErrWatchEnded says that the management cluster closed the watch: ask again.
var ErrWatchEnded = errors.New("the watch ended")

// WatchRelease tells each state of a release until it is done. Version 0 follows the
// newest release after the app's given generation was acted on.
func (s *Service) WatchRelease(ctx context.Context, tenant, name string, version, generation int64, each func(ReleaseState) error) error {
	if _, err := s.app(ctx, tenant, name); err != nil {
		return err
	}
	if version > 0 {
		if _, err := s.Release(ctx, tenant, name, version); err != nil {
			return err
		}
	}
	ns := client.InNamespace(v1alpha1.ManagementNamespace(tenant))
	// The watches begin before the first look, so that nothing falls in between.
	appEvents, err := s.Client.Watch(ctx, &v1alpha1.AppList{}, ns)
	if err != nil {
		return translate(err)
	}
	defer appEvents.Stop()
	releaseEvents, err := s.Client.Watch(ctx, &v1alpha1.ReleaseList{}, ns)
	if err != nil {
		return translate(err)
	}
	defer releaseEvents.Stop()
	for {
		state, err := s.releaseState(ctx, tenant, name, version, generation)
		if err != nil {
			return err
		}
		if err := each(state); err != nil || state.Done {
			return err
		}
		if err := nextOf(ctx, name, appEvents, releaseEvents); err != nil {
			return err
		}
	}
}

// nextOf waits until something about the app changes.
func nextOf(ctx context.Context, app string, appEvents, releaseEvents watch.Interface) error {
	for {
		var ev watch.Event
		var ok bool
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev, ok = <-appEvents.ResultChan():
		case ev, ok = <-releaseEvents.ResultChan():
		}
		if !ok || ev.Type == watch.Error {
			return ErrWatchEnded
		}
		switch obj := ev.Object.(type) {
		case *v1alpha1.App:
			if obj.Name == app {
				return nil
			}
		case *v1alpha1.Release:
			if obj.Spec.App == app {
				return nil
			}
		}
	}
}

func (s *Service) releaseState(ctx context.Context, tenant, name string, version, generation int64) (ReleaseState, error) {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return ReleaseState{}, err
	}
	state := ReleaseState{App: app}
	if version == 0 {
		if app.Status.ObservedGeneration < generation {
			return state, nil
		}
		if refused := planRefusal(app); refused != nil {
			state.Done, state.Err = true, refused
			return state, nil
		}
		created := apimeta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReleaseCreated)
		if created == nil || created.Status != metav1.ConditionTrue || app.Status.LatestRelease == 0 {
			return state, nil
		}
		version = app.Status.LatestRelease
	}
	if state.Release, err = s.Release(ctx, tenant, name, version); err != nil {
		return ReleaseState{}, err
	}
	switch state.Release.Status.Phase {
	case v1alpha1.ReleaseLive, v1alpha1.ReleaseFailed, v1alpha1.ReleaseSuperseded:
		state.Done = true
	case v1alpha1.ReleasePending, v1alpha1.ReleaseRollingOut:
	}
	return state, nil
}

// planRefusal is why the controller will not grant the app what it asks for.
func planRefusal(app *v1alpha1.App) error {
	within := apimeta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionWithinPlan)
	if within == nil || within.Status != metav1.ConditionFalse || within.Reason != v1alpha1.ReasonOverPlan {
		return nil
	}
	return errs.New(errs.OverPlan, "formation", within.Message, "Scale something down, or choose a larger plan.")
}
