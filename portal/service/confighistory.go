package service

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// ConfigChange is a variable that differs between two releases. Old and New are the values
// of a plain setting, if they were asked for; a secret has none.
type ConfigChange struct {
	Key string
	// What is added, removed or changed.
	What     string
	Secret   bool
	Old, New string
}

// ConfigDiff is how the variables of one release differ from those of another.
type ConfigDiff struct {
	// From is 0 for what was before the first release.
	From, To int64
	// Release is the later of the two.
	Release *v1alpha1.Release
	Changes []ConfigChange
	// SecretsGone says that the secrets of one of them are no longer kept, so that only
	// their plain settings were compared.
	SecretsGone bool
}

// ConfigHistory tells for each release, newest first and at most so many, which variables it
// changed.
func (s *Service) ConfigHistory(ctx context.Context, tenant, name string, most int, values bool) ([]ConfigDiff, error) {
	releases, err := s.Releases(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	c := &configs{service: s, tenant: tenant, values: values, read: map[string]map[string][]byte{}}
	out := make([]ConfigDiff, 0, min(most, len(releases)))
	for i := range releases[:min(most, len(releases))] {
		var before *v1alpha1.Release
		if i+1 < len(releases) {
			before = &releases[i+1]
		}
		diff, err := c.between(ctx, before, &releases[i])
		if err != nil {
			return nil, err
		}
		out = append(out, diff)
	}
	return out, nil
}

// ConfigBetween tells how the variables of two releases differ. To of 0 is the newest release,
// from of 0 the one before to.
func (s *Service) ConfigBetween(ctx context.Context, tenant, name string, from, to int64, values bool) (*ConfigDiff, error) {
	releases, err := s.Releases(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	if len(releases) == 0 {
		return nil, notDeployed(name)
	}
	later := 0
	if to != 0 {
		if later, err = versionAmong(releases, "to", name, to); err != nil {
			return nil, err
		}
	}
	var before *v1alpha1.Release
	switch {
	case from != 0:
		earlier, err := versionAmong(releases, "from", name, from)
		if err != nil {
			return nil, err
		}
		before = &releases[earlier]
	case later+1 < len(releases):
		before = &releases[later+1]
	}
	c := &configs{service: s, tenant: tenant, values: values, read: map[string]map[string][]byte{}}
	diff, err := c.between(ctx, before, &releases[later])
	return &diff, err
}

func versionAmong(releases []v1alpha1.Release, field, app string, version int64) (int, error) {
	at := slices.IndexFunc(releases, func(r v1alpha1.Release) bool { return r.Spec.Version == version })
	if at < 0 {
		return 0, noRelease(field, app, version)
	}
	return at, nil
}

// configs compares the variables of an app's releases. What it reads of secrets stays in it.
type configs struct {
	service *Service
	tenant  string
	values  bool
	// read are the values of config Secrets by name; nil where one is gone.
	read map[string]map[string][]byte
}

// between compares two releases; before is nil for what was before the first.
func (c *configs) between(ctx context.Context, before, after *v1alpha1.Release) (ConfigDiff, error) {
	out := ConfigDiff{To: after.Spec.Version, Release: after}
	old := &v1alpha1.AppTemplate{}
	if before != nil {
		old, out.From = &before.Spec.Template, before.Spec.Version
	}
	changes, gone, err := c.compare(ctx, old, &after.Spec.Template)
	out.Changes, out.SecretsGone = changes, gone
	return out, err
}

// compare tells which variables differ, by name, and whether secrets could not be compared.
func (c *configs) compare(ctx context.Context, old, next *v1alpha1.AppTemplate) (changes []ConfigChange, gone bool, err error) {
	changes = plainChanges(old.Config, next.Config, c.values)
	if old.ConfigSecret == next.ConfigSecret {
		return changes, false, nil // a config Secret's name tells what it holds
	}
	before, err := c.secrets(ctx, old.ConfigSecret)
	if err != nil {
		return nil, false, err
	}
	after, err := c.secrets(ctx, next.ConfigSecret)
	if err != nil {
		return nil, false, err
	}
	if before == nil || after == nil {
		return changes, true, nil
	}
	changes = append(changes, secretChanges(before, after)...)
	slices.SortStableFunc(changes, func(a, b ConfigChange) int { return strings.Compare(a.Key, b.Key) })
	return changes, false, nil
}

func (c *configs) secrets(ctx context.Context, name string) (map[string][]byte, error) {
	if values, known := c.read[name]; known {
		return values, nil
	}
	values := map[string][]byte{}
	if name != "" {
		secret, err := c.service.secret(ctx, c.tenant, name)
		switch {
		case apierrors.IsNotFound(err):
			values = nil
		case err != nil:
			return nil, errs.Wrap(errs.Internal, err, "the app's secrets cannot be read")
		case secret.Data != nil:
			values = secret.Data
		}
	}
	c.read[name] = values
	return values, nil
}

func plainChanges(old, next map[string]string, values bool) []ConfigChange {
	out := keyChanges(old, next, func(a, b string) bool { return a == b })
	for i := range out {
		if values {
			out[i].Old, out[i].New = old[out[i].Key], next[out[i].Key]
		}
	}
	return out
}

func secretChanges(old, next map[string][]byte) []ConfigChange {
	out := keyChanges(old, next, bytes.Equal)
	for i := range out {
		out[i].Secret = true
	}
	return out
}

// keyChanges compares two maps, in the order of their keys.
func keyChanges[V any](old, next map[string]V, same func(a, b V) bool) []ConfigChange {
	var out []ConfigChange
	for _, key := range slices.Sorted(maps.Keys(next)) {
		before, had := old[key]
		switch {
		case !had:
			out = append(out, ConfigChange{Key: key, What: apps.ChangeAdded})
		case !same(before, next[key]):
			out = append(out, ConfigChange{Key: key, What: apps.ChangeChanged})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, stays := next[key]; !stays {
			out = append(out, ConfigChange{Key: key, What: apps.ChangeRemoved})
		}
	}
	slices.SortStableFunc(out, func(a, b ConfigChange) int { return strings.Compare(a.Key, b.Key) })
	return out
}
