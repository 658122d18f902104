package reconcilers_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	s.Start(with(interceptor.Funcs{
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
	s.Start(with(interceptor.Funcs{
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

// with gives clients some of whose calls are others.
func with(calls interceptor.Funcs) func(client.WithWatch) client.WithWatch {
	return func(c client.WithWatch) client.WithWatch { return interceptor.NewClient(c, calls) }
}
