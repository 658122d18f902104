package app

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

// sight is what the phases saw.
type sight struct {
	edgePort int
	tenant   *v1alpha1.Tenant
	plan     *v1alpha1.Plan
	suffix   string
	releases []v1alpha1.Release
	granted  []v1alpha1.ComponentFormation
	hosts    []apps.Host
	ready    map[string]int32

	// others is what the tenant's other apps were granted.
	others int32

	placeErr, planErr, releaseErr, routesErr, processesErr error
}

// next is what the reconciler does now.
func (s *sight) next() error {
	return errors.Join(s.placeErr, s.planErr, s.releaseErr, s.routesErr, s.processesErr)
}

// blocked says whether an app waits for what another one has.
func blocked(app *v1alpha1.App) bool {
	for _, condition := range app.Status.Conditions {
		if condition.Status != "True" && (condition.Reason == v1alpha1.ReasonOverPlan || condition.Reason == v1alpha1.ReasonHostTaken) {
			return true
		}
	}
	return false
}

// write turns what was seen into the app's status.
func (s *sight) write(app *v1alpha1.App) {
	status, generation := &app.Status, app.Generation
	status.ObservedGeneration = generation
	conditions.Initialize(&status.Conditions, generation,
		v1alpha1.ConditionWithinPlan, v1alpha1.ConditionReleaseCreated, v1alpha1.ConditionRouted)
	if s.placeErr != nil {
		for _, condition := range []string{v1alpha1.ConditionWithinPlan, v1alpha1.ConditionReleaseCreated, v1alpha1.ConditionRouted} {
			set(app, condition, s.placeErr, "")
		}
		conditions.DeriveReady(&status.Conditions, generation, v1alpha1.ConditionWithinPlan)
		return
	}
	s.writeComponents(app)
	set(app, v1alpha1.ConditionWithinPlan, s.planErr, s.planWords(app))
	s.writeRelease(app)
	set(app, v1alpha1.ConditionRouted, s.routesErr, fmt.Sprintf("%d host names", len(s.hosts)))
	conditions.DeriveReady(&status.Conditions, generation,
		v1alpha1.ConditionWithinPlan, v1alpha1.ConditionReleaseCreated, v1alpha1.ConditionRouted)
	if conditions.IsTrue(status.Conditions, generation, v1alpha1.ConditionReady) {
		s.writeReady(app)
	}
}

// writeGrant writes what the release reconciler waits for, if the app's generation is new
// or what it may have has changed: the rest of the status stays.
func (s *sight) writeGrant(app *v1alpha1.App) bool {
	if s.planErr != nil || s.granted == nil {
		return false
	}
	known := map[string]v1alpha1.ComponentStatus{}
	for _, component := range app.Status.Components {
		known[component.Name] = component
	}
	same := len(known) == len(s.granted) && observed(app, v1alpha1.ConditionWithinPlan)
	components := make([]v1alpha1.ComponentStatus, 0, len(s.granted))
	for _, entry := range s.granted {
		component := known[entry.Name]
		same = same && component.Desired == entry.Count && component.OCUs == entry.OCUs
		component.Name, component.Desired, component.OCUs = entry.Name, entry.Count, entry.OCUs
		component.Ready = min(component.Ready, component.Desired)
		components = append(components, component)
	}
	if same {
		return false
	}
	app.Status.Components = components
	conditions.Initialize(&app.Status.Conditions, app.Generation,
		v1alpha1.ConditionWithinPlan, v1alpha1.ConditionReleaseCreated, v1alpha1.ConditionRouted)
	set(app, v1alpha1.ConditionWithinPlan, nil, s.planWords(app))
	return true
}

// observed says whether a condition is about the app's present spec.
func observed(app *v1alpha1.App, condition string) bool {
	for _, c := range app.Status.Conditions {
		if c.Type == condition {
			return c.ObservedGeneration == app.Generation && c.Status != metav1.ConditionUnknown
		}
	}
	return false
}

// set writes a condition from a phase's error; without one it is True.
func set(app *v1alpha1.App, condition string, err error, message string) {
	conds, generation := &app.Status.Conditions, app.Generation
	if err == nil {
		conditions.Set(conds, generation, condition, true, v1alpha1.ReasonSucceeded, message)
		return
	}
	judged := steps.Judge(err)
	if judged.Err != nil || judged.Reason == "" {
		// The text of an unexpected error is for the log, not for tenants.
		conditions.Set(conds, generation, condition, false, v1alpha1.ReasonProgressing, "This is being tried again.")
		return
	}
	conditions.Set(conds, generation, condition, false, judged.Reason, judged.Message)
}

func (s *sight) planWords(app *v1alpha1.App) string {
	if s.plan == nil {
		return ""
	}
	return fmt.Sprintf("%d of the plan's %d OCUs", apps.GrantedOCUs(app), s.plan.Spec.OCUs)
}

// writeComponents tells what was granted and what of it runs. Over the plan the
// components stay as they were.
func (s *sight) writeComponents(app *v1alpha1.App) {
	granted := s.granted
	if s.planErr != nil {
		granted = nil
		for _, component := range app.Status.Components {
			granted = append(granted, v1alpha1.ComponentFormation{Name: component.Name, Count: component.Desired, OCUs: component.OCUs})
		}
	}
	urls := s.urls()
	app.Status.Components = nil
	for _, entry := range granted {
		app.Status.Components = append(app.Status.Components, v1alpha1.ComponentStatus{
			Name: entry.Name, Desired: entry.Count, OCUs: entry.OCUs,
			// During a rollout old and new processes serve side by side.
			Ready: min(s.ready[entry.Name], entry.Count),
			URL:   urls[entry.Name],
		})
	}
	app.Status.URL = urls[""]
}

// urls gives the address of each component's first exposed HTTP port; under the
// empty name that of the app.
func (s *sight) urls() map[string]string {
	urls := map[string]string{}
	for _, host := range s.hosts {
		if host.Port.Protocol == v1alpha1.ProtocolTCP {
			continue
		}
		url := tenancy.URL(host.Name, s.edgePort)
		if _, known := urls[host.Component]; !known || host.Front {
			urls[host.Component] = url
		}
		if host.Front {
			urls[""] = url
		}
	}
	return urls
}

func (s *sight) writeRelease(app *v1alpha1.App) {
	status := &app.Status
	if len(s.releases) > 0 {
		status.LatestRelease = s.releases[0].Spec.Version
	}
	if live := apps.Live(s.releases); live != nil {
		status.LiveRelease = live.Spec.Version
	} else {
		status.LiveRelease = 0
	}
	switch {
	case app.Spec.Template == nil:
		conditions.Set(&status.Conditions, app.Generation, v1alpha1.ConditionReleaseCreated, false,
			v1alpha1.ReasonNotDeployed, "Nothing has been deployed yet.")
	case s.planErr != nil:
		conditions.Set(&status.Conditions, app.Generation, v1alpha1.ConditionReleaseCreated, false,
			v1alpha1.ReasonWaiting, "No release is made while the app asks for more than it may have.")
	default:
		set(app, v1alpha1.ConditionReleaseCreated, s.releaseErr, fmt.Sprintf("v%d", status.LatestRelease))
	}
}

// writeReady looks at what the other conditions do not tell: whether it runs.
func (s *sight) writeReady(app *v1alpha1.App) {
	notReady := func(reason, message string) {
		conditions.Set(&app.Status.Conditions, app.Generation, v1alpha1.ConditionReady, false, reason, message)
	}
	newest := &s.releases[0]
	var ready, desired int32
	for _, component := range app.Status.Components {
		if s.byTheClock(app, component.Name) {
			continue
		}
		ready += component.Ready
		desired += component.Desired
	}
	switch {
	case app.Status.LiveRelease == 0 && newest.Status.Failure != nil:
		notReady(newest.Status.Failure.Reason, fmt.Sprintf("v%d failed: %s", newest.Spec.Version, newest.Status.Failure.Message))
	case app.Status.LiveRelease == 0:
		notReady(v1alpha1.ReasonProgressing, fmt.Sprintf("v%d is rolling out.", newest.Spec.Version))
	case ready < desired:
		notReady(v1alpha1.ReasonProgressing, fmt.Sprintf("%d of %d processes are ready.", ready, desired))
	}
}

// byTheClock says whether a component is well while nothing of it runs: in what is live,
// or else in what is wanted.
func (s *sight) byTheClock(app *v1alpha1.App, name string) bool {
	templates := []*v1alpha1.AppTemplate{app.Spec.Template}
	if live := apps.Live(s.releases); live != nil {
		templates = []*v1alpha1.AppTemplate{&live.Spec.Template, app.Spec.Template}
	}
	for _, template := range templates {
		if component, found := apps.ComponentOf(template, name); found {
			return component.Cron != nil
		}
	}
	return false
}

func equalStatus(a, b *v1alpha1.AppStatus) bool { return equality.Semantic.DeepEqual(a, b) }
