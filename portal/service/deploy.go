package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// resolve asks the registries for images by the field they stand in, all at the same time
// and each image once. The error tells of every image that cannot be had.
func (s *Service) resolve(ctx context.Context, images map[string]string) (map[string]*Image, error) {
	type answer struct {
		image *Image
		err   error
	}
	answers := map[string]*answer{}
	var asking sync.WaitGroup
	for _, field := range slices.Sorted(maps.Keys(images)) {
		image := images[field]
		if answers[image] != nil {
			continue
		}
		a := &answer{}
		answers[image] = a
		asking.Go(func() { a.image, a.err = s.Images.Resolve(ctx, field, image) })
	}
	asking.Wait()
	out, faults := map[string]*Image{}, []error{}
	for _, field := range slices.Sorted(maps.Keys(images)) {
		a := answers[images[field]]
		if a.err != nil && !slices.Contains(faults, a.err) {
			faults = append(faults, a.err)
		}
		out[field] = a.image
	}
	return out, errors.Join(faults...)
}

func imageField(component string) string { return "components." + component + ".image" }

func sidecarField(component, sidecar string) string {
	return "components." + component + ".sidecars." + sidecar + ".image"
}

// imagesOf are a template's images, those of sidecars included, by the field they stand in.
func imagesOf(template *v1alpha1.AppTemplate) map[string]string {
	images := map[string]string{}
	for i := range template.Components {
		c := &template.Components[i]
		images[imageField(c.Name)] = c.Image
		for _, sidecar := range c.Sidecars {
			images[sidecarField(c.Name, sidecar.Name)] = sidecar.Image
		}
	}
	return images
}

// pin replaces every image by its digest and takes the image's own user where the
// component names none. Sidecars run as their component does.
func (s *Service) pin(ctx context.Context, template v1alpha1.AppTemplate) (*v1alpha1.AppTemplate, error) {
	images, err := s.resolve(ctx, imagesOf(&template))
	if err != nil {
		return nil, err
	}
	out := template.DeepCopy()
	for i := range out.Components {
		c := &out.Components[i]
		image := images[imageField(c.Name)]
		c.Image = image.Pinned
		if c.User == nil {
			c.User = image.User
		}
		for k := range c.Sidecars {
			c.Sidecars[k].Image = images[sidecarField(c.Name, c.Sidecars[k].Name)].Pinned
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
	components := slices.Sorted(maps.Keys(images))
	for _, component := range components {
		if !slices.Contains(apps.ComponentNames(app.Spec.Template), component) {
			return nil, apps.UnknownComponent("images", app, component)
		}
	}
	resolved, err := s.resolve(ctx, byField(images))
	if err != nil {
		return nil, err
	}
	swaps, err := s.swaps(ctx, app.Spec.Template, resolved)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		reason = "deployed " + strings.Join(components, ", ")
	}
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: reason,
		apply: func(app *v1alpha1.App) error {
			if app.Spec.Template == nil {
				return notDeployed(name)
			}
			return applySwaps(app.Spec.Template, swaps)
		},
	})
}

// byField names the images of components by the field they stand in.
func byField(images map[string]string) map[string]string {
	out := make(map[string]string, len(images))
	for component, image := range images {
		out[imageField(component)] = image
	}
	return out
}

// swap is a component before and after a deploy.
type swap struct{ old, next v1alpha1.Component }

// swaps puts new images, by field, into components. A user that came from the old image goes with
// it; one that a person chose stays. The old image tells which it was.
func (s *Service) swaps(ctx context.Context, template *v1alpha1.AppTemplate, images map[string]*Image) (map[string]swap, error) {
	out, unsure := map[string]swap{}, map[string]string{}
	for i := range template.Components {
		old, image := template.Components[i], images[imageField(template.Components[i].Name)]
		if image == nil {
			continue
		}
		next := *old.DeepCopy()
		next.Image = image.Pinned
		switch {
		case old.User == nil:
			next.User = image.User
		case old.Image != image.Pinned && !sameUser(old.User, image.User):
			unsure[old.Name] = old.Image
		}
		out[old.Name] = swap{old: old, next: next}
	}
	before, err := s.resolve(ctx, byField(unsure))
	if err != nil {
		component := slices.Sorted(maps.Keys(unsure))[0]
		return nil, errs.New(errs.CodeOf(err), imageField(component),
			"the image that runs now cannot be looked up, so nobody knows whether its user was chosen or came with it",
			"Name the new image in the app file, with user if it needs one, and run: berth apply")
	}
	for component := range unsure {
		one := out[component]
		if sameUser(before[imageField(component)].User, one.old.User) {
			one.next.User = images[imageField(component)].User
			out[component] = one
		}
	}
	return out, nil
}

func sameUser(a, b *int64) bool { return a != nil && b != nil && *a == *b }

// applySwaps makes the swaps, unless somebody else swapped one of the components since.
func applySwaps(template *v1alpha1.AppTemplate, swaps map[string]swap) error {
	made := 0
	for i := range template.Components {
		c := &template.Components[i]
		one, wanted := swaps[c.Name]
		if !wanted {
			continue
		}
		if c.Image != one.old.Image || (c.User == nil) != (one.old.User == nil) || c.User != nil && *c.User != *one.old.User {
			break
		}
		c.Image, c.User = one.next.Image, one.next.User
		made++
	}
	if made < len(swaps) {
		return errs.New(errs.Conflict, "images", "the app was changed by somebody else at the same moment", "Look at it with berth releases, then deploy again.")
	}
	return nil
}
