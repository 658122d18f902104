package service

import (
	"context"
	"maps"
	"slices"
	"strings"

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
	Reason  string
	DryRun  bool
}

// PutTemplate replaces what an app runs, and makes the app if there is none. The app's
// secrets stay; its config stays when the template brings none.
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
	draft.Spec.Template, draft.Spec.Formation = &put.Template, put.Formation
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
// owner: but only when nothing else can be refused afterwards.
func (s *Service) prepareSecrets(ctx context.Context, tenant, name string, put TemplatePut) error {
	if len(put.Secrets) == 0 || put.DryRun {
		return nil
	}
	if err := validKeys("secrets", pointers(put.Secrets)); err != nil {
		return err
	}
	_, err := s.app(ctx, tenant, name)
	if errs.CodeOf(err) != errs.NotFound {
		return err
	}
	trial := put
	trial.Secrets, trial.DryRun = nil, true
	if _, err := s.do(ctx, s.putEdit(ctx, tenant, name, trial)); err != nil {
		return err
	}
	_, err = s.CreateApp(ctx, tenant, name)
	return err
}

func (s *Service) putEdit(ctx context.Context, tenant, name string, put TemplatePut) edit {
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
			if put.DeployTimeoutSeconds != 0 {
				app.Spec.DeployTimeoutSeconds = put.DeployTimeoutSeconds
			}
			if len(put.Secrets) > 0 && !put.DryRun {
				return s.applySecrets(ctx, tenant, app, pointers(put.Secrets))
			}
			return s.noClash(ctx, tenant, next)
		},
	}
}

func pointers(values map[string]string) map[string]*string {
	out := make(map[string]*string, len(values))
	for k, v := range values {
		out[k] = &v
	}
	return out
}

// pin replaces every image by its digest and takes the image's own user where the
// component names none.
func (s *Service) pin(ctx context.Context, template v1alpha1.AppTemplate) (*v1alpha1.AppTemplate, error) {
	out := template.DeepCopy()
	for i := range out.Components {
		c := &out.Components[i]
		image, err := s.Images.Resolve(ctx, "components."+c.Name+".image", c.Image)
		if err != nil {
			return nil, err
		}
		c.Image = image.Pinned
		if c.User == nil {
			c.User = image.User
		}
	}
	return out, nil
}

// Deploy puts new images into some of an app's components.
func (s *Service) Deploy(ctx context.Context, tenant, name string, images map[string]string, reason string) (*Change, error) {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	if app.Spec.Template == nil {
		return nil, notDeployed(name)
	}
	if len(images) == 0 {
		return nil, errs.New(errs.Invalid, "images", "no image was named", "Name one per component: berth deploy --app "+name+" web=registry/name:tag")
	}
	resolved := map[string]*Image{}
	for _, component := range slices.Sorted(maps.Keys(images)) {
		if !slices.Contains(componentNames(app), component) {
			return nil, unknownComponent("images", name, component, app)
		}
		if resolved[component], err = s.Images.Resolve(ctx, "components."+component+".image", images[component]); err != nil {
			return nil, err
		}
	}
	if reason == "" {
		reason = "deployed " + strings.Join(slices.Sorted(maps.Keys(images)), ", ")
	}
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: reason,
		apply: func(app *v1alpha1.App) error {
			if app.Spec.Template == nil {
				return notDeployed(name)
			}
			for i := range app.Spec.Template.Components {
				c := &app.Spec.Template.Components[i]
				if image, ok := resolved[c.Name]; ok {
					s.swap(ctx, c, image)
				}
			}
			return nil
		},
	})
}

// swap puts a new image into a component. A user that came from the old image goes
// with it; one that a person chose stays.
func (s *Service) swap(ctx context.Context, c *v1alpha1.Component, image *Image) {
	if c.Image == image.Pinned {
		return
	}
	old, err := s.Images.Resolve(ctx, "image", c.Image)
	inherited := c.User == nil || (err == nil && old.User != nil && *old.User == *c.User)
	if inherited {
		c.User = image.User
	}
	c.Image = image.Pinned
}

func componentNames(app *v1alpha1.App) []string {
	if app.Spec.Template == nil {
		return nil
	}
	names := make([]string, len(app.Spec.Template.Components))
	for i := range app.Spec.Template.Components {
		names[i] = app.Spec.Template.Components[i].Name
	}
	return names
}

func unknownComponent(field, app, component string, have *v1alpha1.App) error {
	return errs.New(errs.Invalid, field, "the app "+quote(app)+" has no component named "+quote(component),
		"Choose one of: "+strings.Join(componentNames(have), ", ")+".")
}
