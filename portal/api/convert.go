package api

import (
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func conditions(in []metav1.Condition) []apiclient.Condition {
	out := make([]apiclient.Condition, len(in))
	for i, c := range in {
		out[i] = apiclient.Condition{Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message}
	}
	return out
}

// ready tells whether the object is ready as it is asked for now, not as it was.
func ready(in []metav1.Condition, observed, generation int64) bool {
	return observed >= generation && apimeta.IsStatusConditionTrue(in, v1alpha1.ConditionReady)
}

func timeOf(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

func tenantOf(t *v1alpha1.Tenant) apiclient.Tenant {
	return apiclient.Tenant{
		Name: t.Name, DisplayName: t.Spec.DisplayName, Plan: t.Spec.Plan, Organization: t.Spec.Organization, Region: t.Spec.Region,
		Ready:    ready(t.Status.Conditions, t.Status.ObservedGeneration, t.Generation),
		Deleting: !t.DeletionTimestamp.IsZero(), HostSuffix: t.Status.HostSuffix,
		OCUs: t.Status.Usage.OCUs, PlanOCUs: t.Status.Usage.PlanOCUs,
		Conditions: conditions(t.Status.Conditions), CreatedAt: t.CreationTimestamp.Time,
	}
}

func appOf(a *v1alpha1.App, tenant string) apiclient.App {
	return apiclient.App{
		Name: a.Name, Tenant: tenant, URL: a.Status.URL,
		Ready:    ready(a.Status.Conditions, a.Status.ObservedGeneration, a.Generation),
		Deleting: !a.DeletionTimestamp.IsZero(), Maintenance: a.Spec.Edge.Maintenance,
		Latest: a.Status.LatestRelease, Live: a.Status.LiveRelease,
		Components: componentsOf(a), Template: a.Spec.Template, Formation: a.Spec.Formation,
		Labels: a.Spec.Labels, Edge: a.Spec.Edge,
		Conditions: conditions(a.Status.Conditions), CreatedAt: a.CreationTimestamp.Time,
		Generation: a.Generation, Observed: a.Status.ObservedGeneration,
	}
}

// componentsOf joins what was asked for with what is.
func componentsOf(a *v1alpha1.App) []apiclient.Component {
	if a.Spec.Template == nil {
		return nil
	}
	out := make([]apiclient.Component, len(a.Spec.Template.Components))
	for i, f := range apps.Formation(a.Spec.Template, a.Spec.Formation) {
		c := apiclient.Component{Name: f.Name, Image: a.Spec.Template.Components[i].Image, Count: f.Count, OCUs: f.OCUs}
		for _, s := range a.Status.Components {
			if s.Name == f.Name {
				c.Desired, c.Ready, c.URL = s.Desired, s.Ready, s.URL
			}
		}
		out[i] = c
	}
	return out
}

func releaseOf(r *v1alpha1.Release) apiclient.Release {
	phase := r.Status.Phase
	if phase == "" {
		phase = v1alpha1.ReleasePending
	}
	return apiclient.Release{
		App: r.Spec.App, Version: r.Spec.Version, Phase: string(phase), Summary: r.Spec.Summary,
		Template: r.Spec.Template.DeepCopy(), Failure: r.Status.Failure, Conditions: conditions(r.Status.Conditions),
		CreatedAt: r.CreationTimestamp.Time, StartedAt: timeOf(r.Status.StartedAt), FinishedAt: timeOf(r.Status.FinishedAt),
	}
}

func changeOf(c *service.Change, tenant string) apiclient.Changed {
	out := apiclient.Changed{
		Changed: c.Changed, DryRun: c.DryRun, App: appOf(c.App, tenant), OCUs: c.OCUs, PlanOCUs: c.PlanOCUs,
	}
	for _, f := range c.Fields {
		out.Changes = append(out.Changes, apiclient.FieldChange(f))
	}
	return out
}

// list renders a list; none is an empty one, never null.
func list[In, Out any](in []In, each func(*In) Out) apiclient.List[Out] {
	out := apiclient.List[Out]{Items: make([]Out, len(in))}
	for i := range in {
		out.Items[i] = each(&in[i])
	}
	return out
}
