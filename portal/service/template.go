package service

import (
	"context"
	"maps"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// TemplatePut replaces what an app runs.
type TemplatePut struct {
	Template  v1alpha1.AppTemplate
	Formation []v1alpha1.ComponentFormation
	// DeployTimeoutSeconds of the app; 0 keeps it.
	DeployTimeoutSeconds int32
	// Secrets to set together with the template; the app's others stay.
	Secrets map[string]string
	// Labels of the app; nil keeps them.
	Labels map[string]string
	// Edge brings the app's allowed networks and limits; nil keeps them.
	Edge   *v1alpha1.EdgeSettings
	Reason string
	DryRun bool
}

// PutTemplate replaces what an app runs, and makes the app if there is none. The app's
// secrets stay; its config stays when the template brings none, not even an empty one.
func (s *Service) PutTemplate(ctx context.Context, tenant, name string, put TemplatePut) (*Change, error) {
	if put.Template.ConfigSecret != "" {
		return nil, errs.New(errs.Invalid, "configSecret", "secrets are not part of the template", "Set them with: berth secrets:set")
	}
	if _, err := s.liveTenant(ctx, tenant); err != nil {
		return nil, err
	}
	// The cheap checks come first, so that a slow registry is asked for sound input only.
	draft := &v1alpha1.App{}
	draft.Name = name
	draft.Spec.Template, draft.Spec.Formation, draft.Spec.Labels = &put.Template, put.Formation, put.Labels
	if err := apps.Validate(draft, apps.Surroundings{}); err != nil {
		return nil, err
	}
	template, err := s.pin(ctx, put.Template)
	if err != nil {
		return nil, err
	}
	put.Template = *template
	if err := s.prepareSecrets(ctx, tenant, name, put); err != nil {
		return nil, err
	}
	return s.do(ctx, s.putEdit(ctx, tenant, name, put))
}

// prepareSecrets makes an app that does not exist yet, so that its secrets have an
// owner: but only when nothing is left to refuse, the secrets included.
func (s *Service) prepareSecrets(ctx context.Context, tenant, name string, put TemplatePut) error {
	if err := validKeys("secrets", pointers(put.Secrets)); err != nil {
		return err
	}
	if len(put.Secrets) == 0 || put.DryRun {
		return nil
	}
	_, err := s.app(ctx, tenant, name)
	if errs.CodeOf(err) != errs.NotFound {
		return err
	}
	trial := put
	trial.DryRun = true
	if _, err := s.do(ctx, s.putEdit(ctx, tenant, name, trial)); err != nil {
		return err
	}
	_, err = s.CreateApp(ctx, tenant, name)
	return err
}

func (s *Service) putEdit(ctx context.Context, tenant, name string, put TemplatePut) edit {
	secrets := &nextSecret{service: s, tenant: tenant, values: pointers(put.Secrets)}
	return edit{
		tenant: tenant, app: name, reason: put.Reason, create: true, dryRun: put.DryRun,
		apply: func(app *v1alpha1.App) error {
			next := put.Template.DeepCopy()
			if old := app.Spec.Template; old != nil {
				next.ConfigSecret = old.ConfigSecret
				if next.Config == nil {
					next.Config = maps.Clone(old.Config)
				}
			}
			app.Spec.Template = next
			if put.Formation != nil {
				app.Spec.Formation = apps.Remember(put.Formation, app.Spec.Formation)
			}
			if put.Labels != nil {
				app.Spec.Labels = maps.Clone(put.Labels)
			}
			if put.Edge != nil {
				if err := putEdge(&app.Spec.Edge, put.Edge); err != nil {
					return err
				}
			}
			if put.DeployTimeoutSeconds != 0 {
				app.Spec.DeployTimeoutSeconds = put.DeployTimeoutSeconds
			}
			if len(put.Secrets) > 0 {
				return secrets.apply(ctx, app)
			}
			return s.secretsStay(ctx, tenant, next)
		},
		prepare: func() error { return secrets.write(ctx) },
	}
}

func pointers(values map[string]string) map[string]*string {
	out := make(map[string]*string, len(values))
	for k, v := range values {
		out[k] = &v
	}
	return out
}
