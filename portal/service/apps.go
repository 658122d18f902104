package service

import (
	"context"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Apps lists a tenant's apps by name: those that have all of the labels.
func (s *Service) Apps(ctx context.Context, tenant string, labels map[string]string) ([]v1alpha1.App, error) {
	if _, err := s.tenant(ctx, tenant); err != nil {
		return nil, err
	}
	var list v1alpha1.AppList
	err := s.Client.List(ctx, &list, client.InNamespace(v1alpha1.ManagementNamespace(tenant)))
	return slices.DeleteFunc(list.Items, func(app v1alpha1.App) bool { return !hasLabels(&app, labels) }), translate(err)
}

// App reads one app.
func (s *Service) App(ctx context.Context, tenant, name string) (*v1alpha1.App, error) {
	return s.app(ctx, tenant, name)
}

// CreateApp makes an app that runs nothing yet.
func (s *Service) CreateApp(ctx context.Context, tenant, name string) (*v1alpha1.App, error) {
	if err := inName(tenancy.CheckAppName(name)); err != nil {
		return nil, err
	}
	if _, err := s.liveTenant(ctx, tenant); err != nil {
		return nil, err
	}
	app := newApp(tenant, name)
	err := s.Client.Create(ctx, app)
	if apierrors.IsAlreadyExists(err) {
		return nil, errs.New(errs.Conflict, "name", "the tenant "+quote(tenant)+" has an app named "+quote(name)+" already", "Choose another name.")
	}
	return app, translate(err)
}

// newApp is an app to be created. It has the finalizers of its controllers at once, so
// that none of them needs a write of its own before it may begin.
func newApp(tenant, name string) *v1alpha1.App {
	return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{
		Namespace: v1alpha1.ManagementNamespace(tenant), Name: name,
		Finalizers: v1alpha1.AppFinalizers(),
	}}
}

// DeleteApp begins to delete an app with its volumes.
func (s *Service) DeleteApp(ctx context.Context, tenant, name string) error {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return err
	}
	return translate(client.IgnoreNotFound(s.Client.Delete(ctx, app, client.Preconditions{UID: &app.UID})))
}

// AppPatch changes what is set of an app and leaves the rest.
type AppPatch struct {
	Formation   []Scale
	Maintenance *bool
	// Config sets keys; nil removes the key.
	Config map[string]*string
	// Labels sets labels; nil removes the label.
	Labels map[string]*string
	Edge   *EdgePatch
}

// Scale changes a component's count and size; nil leaves them.
type Scale struct {
	Component   string
	Count, OCUs *int32
}

// PatchApp changes formation, maintenance, config, labels or how the edge treats the app.
func (s *Service) PatchApp(ctx context.Context, tenant, name string, patch AppPatch) (*Change, error) {
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: configReason(patch.Config),
		apply: func(app *v1alpha1.App) error {
			if patch.Maintenance != nil {
				app.Spec.Edge.Maintenance = *patch.Maintenance
			}
			if err := patch.Edge.apply(&app.Spec.Edge); err != nil {
				return err
			}
			patchLabels(app, patch.Labels)
			if len(patch.Formation) > 0 && app.Spec.Template == nil {
				return notDeployed(name)
			}
			for _, f := range patch.Formation {
				if err := apps.Scale(app, f.Component, f.Count, f.OCUs); err != nil {
					return err
				}
			}
			return s.patchConfig(ctx, tenant, app, patch.Config)
		},
	})
}

// Restart restarts every process of some of an app's components; of all when none is named.
func (s *Service) Restart(ctx context.Context, tenant, name string, components []string) (*Change, error) {
	// The API keeps whole seconds; two restarts within one are one.
	now := metav1.NewTime(s.Clock.Now().Truncate(time.Second))
	reason := "restarted"
	if len(components) > 0 {
		reason += " " + strings.Join(components, ", ")
	}
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: reason,
		apply: func(app *v1alpha1.App) error {
			if app.Spec.Template == nil {
				return notDeployed(name)
			}
			if len(components) == 0 {
				app.Spec.RestartedAt = &now
			}
			for _, component := range components {
				if err := restartComponent(app, component, now); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// restartComponent asks for new processes of one component and leaves its size.
func restartComponent(app *v1alpha1.App, component string, now metav1.Time) error {
	if !slices.Contains(apps.ComponentNames(app.Spec.Template), component) {
		return apps.UnknownComponent("components", app, component)
	}
	if err := apps.Scale(app, component, nil, nil); err != nil {
		return err
	}
	for i := range app.Spec.Formation {
		if app.Spec.Formation[i].Name == component {
			app.Spec.Formation[i].RestartedAt = &now
		}
	}
	return nil
}

func notDeployed(app string) error {
	return errs.New(errs.Conflict, "app", "nothing has been deployed to "+quote(app)+" yet", "Write an app file with: berth init; deploy it with: berth apply")
}

func configReason(config map[string]*string) string {
	if len(config) == 0 {
		return "changed"
	}
	var set, unset []string
	for k, v := range config {
		if v == nil {
			unset = append(unset, k)
		} else {
			set = append(set, k)
		}
	}
	slices.Sort(set)
	slices.Sort(unset)
	var parts []string
	if len(set) > 0 {
		parts = append(parts, "set "+strings.Join(set, ", "))
	}
	if len(unset) > 0 {
		parts = append(parts, "unset "+strings.Join(unset, ", "))
	}
	return strings.Join(parts, "; ")
}
