package apps

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// The bounds of one component.
const (
	MaxCount = 100
	MaxOCUs  = 100
)

// Formation gives one entry for each component of the template, in its order,
// with the defaults filled in. Entries for components the template lacks are
// left out: they are the remembered sizes of components that may come back.
func Formation(template *v1alpha1.AppTemplate, formation []v1alpha1.ComponentFormation) []v1alpha1.ComponentFormation {
	return tenancy.Formation(&v1alpha1.App{Spec: v1alpha1.AppSpec{Template: template, Formation: formation}})
}

// Granted is the formation that may run now: what the app's status says was
// granted; for a component it does not mention, what the app asks for. The wish to
// restart needs no grant.
func Granted(app *v1alpha1.App, template *v1alpha1.AppTemplate) []v1alpha1.ComponentFormation {
	known := slices.Clone(app.Spec.Formation)
	for _, status := range app.Status.Components {
		granted := v1alpha1.ComponentFormation{Name: status.Name, Count: status.Desired, OCUs: status.OCUs}
		if asked, found := entryOf(app.Spec.Formation, status.Name); found {
			granted.RestartedAt = asked.RestartedAt
		}
		known = append(slices.DeleteFunc(known, func(asked v1alpha1.ComponentFormation) bool { return asked.Name == granted.Name }), granted)
	}
	return Formation(template, known)
}

// TotalOCUs is what the app asks for: the sum of OCUs times count.
func TotalOCUs(app *v1alpha1.App) int32 { return tenancy.AppUsage(app) }

// GrantedOCUs is what the app was granted, as its status tells.
func GrantedOCUs(app *v1alpha1.App) int32 {
	var total int32
	for _, status := range app.Status.Components {
		total += status.Desired * status.OCUs
	}
	return total
}

// kept is what was granted to the components that the app still asks for. What those that
// leave have is theirs until they are gone; it is no claim to as much for others.
func kept(app *v1alpha1.App) int32 { return GrantedOCUs(app) - tenancy.AppLeaving(app) }

// CheckPlan says whether an app may have what it asks for when the tenant's other
// apps hold inUse OCUs. To keep or to give back what was granted needs no room,
// so that a smaller plan stops nothing that runs.
func CheckPlan(plan *v1alpha1.Plan, app *v1alpha1.App, inUse int32) error {
	asked := TotalOCUs(app)
	if asked <= kept(app) || int64(asked)+int64(inUse) <= int64(plan.Spec.OCUs) {
		return nil
	}
	message := fmt.Sprintf("app %s asks for %s, but the plan %s allows %s", app.Name, ocus(asked), plan.Name, ocus(plan.Spec.OCUs))
	if inUse > 0 {
		message += fmt.Sprintf(" and the other apps use %d of them", inUse)
	}
	fix := "choose a larger plan or scale other apps down"
	if left := plan.Spec.OCUs - inUse; left > 0 {
		fix = fmt.Sprintf("scale %s to %s or less, or choose a larger plan", app.Name, ocus(left))
	}
	return errs.New(errs.OverPlan, "formation", message, fix)
}

// Scale changes how many processes of a component run and how large they are; a
// nil leaves the one it stands for as it is.
func Scale(app *v1alpha1.App, component string, count, size *int32) error {
	entry, found := entryOf(Formation(app.Spec.Template, app.Spec.Formation), component)
	if !found {
		return UnknownComponent("component", app, component)
	}
	if count != nil {
		entry.Count = *count
	}
	if size != nil {
		entry.OCUs = *size
	}
	for i := range app.Spec.Formation {
		if app.Spec.Formation[i].Name == component {
			app.Spec.Formation[i] = entry
			return nil
		}
	}
	app.Spec.Formation = append(app.Spec.Formation, entry)
	return nil
}

// RollBack makes the app ask for an older release's template again. The next
// release carries the reason.
func RollBack(app *v1alpha1.App, to *v1alpha1.Release) {
	app.Spec.Template = to.Spec.Template.DeepCopy()
	app.Spec.Reason = fmt.Sprintf("rolled back to v%d", to.Spec.Version)
}

// RestartedAt is when a component was last told to restart, by itself or with the whole
// app; nil if it never was.
func RestartedAt(app *v1alpha1.App, entry v1alpha1.ComponentFormation) *metav1.Time {
	if entry.RestartedAt == nil || app.Spec.RestartedAt != nil && entry.RestartedAt.Before(app.Spec.RestartedAt) {
		return app.Spec.RestartedAt
	}
	return entry.RestartedAt
}

// LastRestart is when the app or any of its components was last told to restart; nil if
// none ever was.
func LastRestart(app *v1alpha1.App) *metav1.Time {
	last := app.Spec.RestartedAt
	for _, entry := range app.Spec.Formation {
		if at := RestartedAt(app, entry); last == nil || last.Before(at) {
			last = at
		}
	}
	return last
}

// Remember adds to a new formation the entries of an old one for components that
// the new one does not mention, so that a component that comes back has its size. What
// was restarted stays so: a size that is written anew restarts nothing.
func Remember(formation, old []v1alpha1.ComponentFormation) []v1alpha1.ComponentFormation {
	const most = 20 // as many as the kind takes
	all := slices.Clone(formation)
	for i := range all {
		if entry, found := entryOf(old, all[i].Name); found && all[i].RestartedAt == nil {
			all[i].RestartedAt = entry.RestartedAt
		}
	}
	for _, entry := range old {
		if _, found := entryOf(all, entry.Name); !found && len(all) < most {
			all = append(all, entry)
		}
	}
	return all
}

func entryOf(formation []v1alpha1.ComponentFormation, name string) (v1alpha1.ComponentFormation, bool) {
	for _, entry := range formation {
		if entry.Name == name {
			return entry, true
		}
	}
	return v1alpha1.ComponentFormation{}, false
}

func ocus(n int32) string {
	if n == 1 {
		return "1 OCU"
	}
	return fmt.Sprintf("%d OCUs", n)
}
