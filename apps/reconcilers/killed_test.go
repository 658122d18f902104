package reconcilers_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

func TestTwoControllersAtOnceMakeOneReleaseOfOneChange(t *testing.T) {
	s := stage.New(t)
	s.Deploy(s.App, stage.Component("ui", "ui1"))
	other := stage.Component("ui", "ui1")
	// Right before our create, somebody else allocates the version.
	raced := false
	inner := watching(t, s)
	s.Start(interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if release, ok := object.(*v1alpha1.Release); ok && !raced {
				raced = true
				if err := c.Create(ctx, release.DeepCopy(), options...); err != nil {
					return err
				}
			}
			return c.Create(ctx, object, options...)
		},
	}))
	s.Settle(s.App)
	if releases := s.List(s.App); len(releases) != 1 || !raced {
		t.Fatalf("%d releases, raced: %t", len(releases), raced)
	}
	// The same race, but the other one released something else: both are kept.
	raced = false
	s.Deploy(s.App, stage.Component("ui", "ui2"))
	s.Start(interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if release, ok := object.(*v1alpha1.Release); ok && !raced {
				raced = true
				theirs := release.DeepCopy()
				other.Image = stage.Image("ui3")
				theirs.Spec.Template.Components[0] = other
				theirs.Spec.TemplateHash = apps.HashTemplate(&theirs.Spec.Template)
				if err := c.Create(ctx, theirs, options...); err != nil {
					return err
				}
			}
			return c.Create(ctx, object, options...)
		},
	}))
	s.Settle(s.App)
	var images []string
	for _, release := range s.List(s.App) {
		images = append(images, release.Spec.Template.Components[0].Image)
	}
	if diff := cmp.Diff([]string{stage.Image("ui2"), stage.Image("ui3"), stage.Image("ui1")}, images); diff != "" {
		t.Error(diff)
	}
}

func watching(t *testing.T, s *stage.Stage) client.WithWatch {
	t.Helper()
	c, err := client.NewWithWatch(s.Env.Config, client.Options{Scheme: s.Env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var errKilled = errors.New("the controller is killed")

// dying lets a number of writes through and then refuses all, as if the process were
// gone between two of them.
type dying struct{ left int }

func (d *dying) write() error {
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}

func (d *dying) client(inner client.WithWatch) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := d.write(); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			if err := d.write(); err != nil {
				return err
			}
			return c.Patch(ctx, object, patch, options...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			if err := d.write(); err != nil {
				return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("killed").GroupResource(), "controller", err)
			}
			return c.Apply(ctx, object, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if err := d.write(); err != nil {
				return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("killed").GroupResource(), "controller", err)
			}
			return c.Delete(ctx, object, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := d.write(); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
}

// TestAControllerKilledBetweenAnyTwoWritesConverges deploys a first release and one
// that fails, and kills the controller after every number of writes in turn.
func TestAControllerKilledBetweenAnyTwoWritesConverges(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 9
	}
	for writes := 0; ; writes += step {
		survived := false
		ok := t.Run(fmt.Sprintf("after %d writes", writes), func(t *testing.T) {
			s := stage.New(t)
			dies := &dying{left: writes}
			killable := dies.client(watching(t, s))
			s.Start(killable)
			s.Clusters.Use(killable)
			settle := func() {
				if err := s.TrySettle(s.App); err != nil || dies.left < 0 {
					s.Start(s.Client)
					s.Clusters.Use(s.Client)
					s.Settle(s.App)
				}
			}
			s.Deploy(s.App, stage.Component("ui", "ui1"), stage.Component("old", "old1"))
			settle()
			s.Healthy(s.App, "ui", "old")
			settle()
			s.WantPhases(s.App, live)
			s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("new", "new1"))
			settle()
			s.WantPhases(s.App, live, rollingOut)
			s.Crash(s.App, "new", 2)
			settle()
			s.WantPhases(s.App, live, failed)
			s.WantRunning(s.App, map[string]string{"ui": "ui1", "old": "old1"})
			survived = dies.left >= 0
		})
		if !ok || survived {
			return
		}
	}
}
