package apps

import (
	"cmp"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// NewestFirst sorts releases by version, the newest first.
func NewestFirst(releases []v1alpha1.Release) {
	slices.SortFunc(releases, func(a, b v1alpha1.Release) int { return cmp.Compare(b.Spec.Version, a.Spec.Version) })
}

// Target is the release that should run: the newest that has not failed. The
// releases are newest first; nil means that none is left.
func Target(releases []v1alpha1.Release) *v1alpha1.Release {
	for i := range releases {
		if releases[i].Status.Phase != v1alpha1.ReleaseFailed {
			return &releases[i]
		}
	}
	return nil
}

// Live is the release that serves now: the newest in phase Live, or nil.
func Live(releases []v1alpha1.Release) *v1alpha1.Release {
	for i := range releases {
		if releases[i].Status.Phase == v1alpha1.ReleaseLive {
			return &releases[i]
		}
	}
	return nil
}

// Proven says whether a release became healthy at some time. A proven release is
// applied again without being judged again.
func Proven(release *v1alpha1.Release) bool {
	return release.Status.FinishedAt != nil && release.Status.Phase != v1alpha1.ReleaseFailed
}

// Revisions says, for each component of the target, in which release it last
// changed. A component whose own part and whose environment are as they were keeps
// its processes: a new version of one component must not restart a database.
// Releases that failed do not count, since they never served.
func Revisions(target *v1alpha1.Release, releases []v1alpha1.Release) map[string]int64 {
	revisions := make(map[string]int64, len(target.Spec.Template.Components))
	for _, component := range target.Spec.Template.Components {
		hash := componentHash(&target.Spec.Template, component.Name)
		since := target.Spec.Version
		for i := range releases {
			older := &releases[i]
			if older.Spec.Version >= target.Spec.Version || older.Status.Phase == v1alpha1.ReleaseFailed {
				continue
			}
			if componentHash(&older.Spec.Template, component.Name) != hash {
				break
			}
			since = older.Spec.Version
		}
		revisions[component.Name] = since
	}
	return revisions
}

// componentHash covers all that one component gets from a template; it is empty
// for a component the template lacks.
func componentHash(template *v1alpha1.AppTemplate, name string) string {
	for _, component := range template.Components {
		if component.Name == name {
			return hashOf(v1alpha1.AppTemplate{
				Components: []v1alpha1.Component{component}, Config: template.Config, ConfigSecret: template.ConfigSecret,
			})
		}
	}
	return ""
}
