package tenant

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

func TestATenantIsLookedAtForEveryChangeButItsUsage(t *testing.T) {
	usage := func(t *v1alpha1.Tenant) { t.Status.Usage.OCUs++ }
	for name, test := range map[string]struct {
		change func(*v1alpha1.Tenant)
		want   bool
	}{
		"nothing, at the slow sweep": {func(*v1alpha1.Tenant) {}, true},
		"the usage alone":            {usage, false},
		"the usage, as the API server tells it": {func(t *v1alpha1.Tenant) {
			usage(t)
			t.ResourceVersion, t.ManagedFields = "2", []metav1.ManagedFieldsEntry{{Manager: "berth-usage"}}
		}, false},
		"the plan": {func(t *v1alpha1.Tenant) { t.Spec.Plan = "large" }, true},
		"the usage and a claim": {func(t *v1alpha1.Tenant) {
			usage(t)
			t.Annotations = map[string]string{tenancy.AnnotationClaim: "k3x9m2pq"}
		}, true},
		"the usage and a status":  {func(t *v1alpha1.Tenant) { usage(t); t.Status.VirtualCluster = "k3x9m2pq" }, true},
		"the usage and the end":   {func(t *v1alpha1.Tenant) { usage(t); t.DeletionTimestamp = &metav1.Time{} }, true},
		"the status of the phase": {func(t *v1alpha1.Tenant) { t.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "shop", ResourceVersion: "1"}}
			after := before.DeepCopy()
			test.change(after)
			if got := moreThanUsage.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.want {
				t.Errorf("looked at: %t, want %t", got, test.want)
			}
		})
	}
}

func TestATenantIsLookedAtForAnAppOnlyWhereItsQuotaChanges(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.App)
		want   bool
	}{
		"it got ready":  {func(a *v1alpha1.App) { a.Status.Components[0].Ready = 1 }, false},
		"another image": {func(a *v1alpha1.App) { a.Spec.Template.Components[0].Image = "web:2" }, false},
		"a scale that rolls out alike": {func(a *v1alpha1.App) {
			a.Spec.Formation = []v1alpha1.ComponentFormation{{Name: "web", Count: 4, OCUs: 1}}
		}, false},
		"larger processes": {func(a *v1alpha1.App) {
			a.Spec.Formation = []v1alpha1.ComponentFormation{{Name: "web", Count: 1, OCUs: 4}}
		}, true},
		"a component that will leave": {func(a *v1alpha1.App) { a.Spec.Template.Components[0].Name = "front" }, true},
		"a component that runs and is not in the template": {func(a *v1alpha1.App) {
			a.Status.Components = append(a.Status.Components, v1alpha1.ComponentStatus{Name: "old", Desired: 1, OCUs: 1})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.App{
				Spec:   v1alpha1.AppSpec{Template: &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "web", Image: "web:1"}}}},
				Status: v1alpha1.AppStatus{Components: []v1alpha1.ComponentStatus{{Name: "web", Desired: 1, OCUs: 1}}},
			}
			after := before.DeepCopy()
			test.change(after)
			if got := otherHeadroom.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.want {
				t.Errorf("looked at: %t, want %t", got, test.want)
			}
		})
	}
}

func TestTenantsThatWaitAreLookedAtWhenAHostAnswersOtherwise(t *testing.T) {
	heard := func(status metav1.ConditionStatus) func(*v1alpha1.HostCluster) {
		return func(h *v1alpha1.HostCluster) {
			h.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: status}}
		}
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.HostCluster)
		want   bool
	}{
		"it answers for the first time": {heard(metav1.ConditionTrue), true},
		"it does not answer yet":        {heard(metav1.ConditionFalse), false},
		"its free OCUs":                 {func(h *v1alpha1.HostCluster) { h.Status.FreeOCUs++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.HostCluster{}
			after := before.DeepCopy()
			test.change(after)
			for _, e := range []event.UpdateEvent{{ObjectOld: before, ObjectNew: after}, {ObjectOld: after, ObjectNew: before}} {
				if got := answersOtherwise.Update(e); got != test.want {
					t.Errorf("looked at: %t, want %t", got, test.want)
				}
			}
		})
	}
}
