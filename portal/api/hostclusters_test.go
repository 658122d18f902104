package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// host makes a host cluster that answers, with a cluster ready to be claimed.
func (w *world) host(region, name, cluster string) {
	w.t.Helper()
	host := &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HostClusterSpec{
			Region: region, Zones: []string{region + "-a"}, ControllerName: region, EdgeAddress: "192.0.2.7:443", Pool: v1alpha1.PoolSpec{MaxClusters: 10, MaxStarting: 2},
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443},
		},
	}
	w.createFor(host)
	host.Status.CapacityOCUs, host.Status.FreeOCUs = 40, 12
	host.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, LastTransitionTime: metav1.NewTime(w.clock.Now()),
	}}
	w.status(host)
	ready := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: cluster}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: name}}
	w.createFor(ready)
	ready.Status.Phase = v1alpha1.VirtualClusterAvailable
	w.status(ready)
}

func TestAnOperatorCordonsAHostAndSeesWhyItIsSkipped(t *testing.T) {
	w := newWorld(t)
	w.host("moon", "moon-1", "moonaaa1")
	got := must[apiclient.HostCluster](w, http.MethodGet, "/hostclusters/moon-1", nil)
	if got.Skipped != nil || got.FreeOCUs != 12 || got.CapacityOCUs != 40 || !cmp.Equal(got.Zones, []string{"moon-a"}) {
		t.Errorf("got %+v", got)
	}
	if got.ControllerName != "moon" || got.EdgeAddress != "192.0.2.7:443" {
		t.Errorf("controller %q, edge %q", got.ControllerName, got.EdgeAddress)
	}
	if got := regionNamed(w, "moon"); got == nil || !got.Room {
		t.Errorf("the region is %+v, want one with room", got)
	}
	for range 2 { // Once more changes nothing.
		got = must[apiclient.HostCluster](w, http.MethodPatch, "/hostclusters/moon-1", `{"cordoned": true}`)
		if !got.Cordoned || got.Skipped == nil || got.Skipped.Reason != v1alpha1.ReasonCordoned {
			t.Errorf("got %+v", got)
		}
	}
	if got := regionNamed(w, "moon"); got == nil || got.Room {
		t.Errorf("the region is %+v, want one without room", got)
	}
	got = must[apiclient.HostCluster](w, http.MethodPatch, "/hostclusters/moon-1", `{"cordoned": false}`)
	if got.Cordoned || got.Skipped != nil {
		t.Errorf("got %+v", got)
	}
	if p := w.refused(http.MethodPatch, "/hostclusters/moon-1", `{"region": "mars"}`); p.Field != "region" {
		t.Errorf("refused %+v, want the field region", p)
	}
	if p := w.refused(http.MethodPatch, "/hostclusters/nowhere", `{"cordoned": true}`); p.Status != http.StatusNotFound || p.Field != "host" {
		t.Errorf("refused %+v", p)
	}
}

func regionNamed(w *world, name string) *apiclient.Region {
	w.t.Helper()
	for _, region := range must[apiclient.List[apiclient.Region]](w, http.MethodGet, "/regions", nil).Items {
		if region.Name == name {
			return &region
		}
	}
	return nil
}

func TestAnOrganizationOwnsSeveralTenantsInRegionsOfItsChoice(t *testing.T) {
	w := newWorld(t)
	w.host("north", "north-1", "northaa1")
	for name, region := range map[string]string{"owned-one": "north", "owned-two": ""} {
		made := must[apiclient.Tenant](w, http.MethodPost, "/tenants", apiclient.NewTenant{Name: name, Plan: testPlan, Region: region, Organization: "acme-inc"})
		if made.Organization != "acme-inc" || made.Region != region {
			t.Errorf("made %+v", made)
		}
		w.leaves(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	var names []string
	for _, tenant := range must[apiclient.List[apiclient.Tenant]](w, http.MethodGet, "/tenants?organization=acme-inc", nil).Items {
		names = append(names, tenant.Name)
	}
	if diff := cmp.Diff([]string{"owned-one", "owned-two"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if all := must[apiclient.List[apiclient.Tenant]](w, http.MethodGet, "/tenants", nil).Items; len(all) < 3 {
		t.Errorf("%d tenants in all, want also the one of nobody", len(all))
	}
	for what, p := range map[string]apiclient.Problem{
		"region":       w.refused(http.MethodPost, "/tenants", apiclient.NewTenant{Name: "owned-three", Plan: testPlan, Region: "mars"}),
		"organization": w.refused(http.MethodPost, "/tenants", apiclient.NewTenant{Name: "owned-three", Plan: testPlan, Organization: "Acme Inc"}),
	} {
		if p.Field != what || p.Fix == "" {
			t.Errorf("%s: refused %+v", what, p)
		}
		if what == "region" && !strings.Contains(p.Fix, "north") {
			t.Errorf("the fix does not name the regions: %q", p.Fix)
		}
	}
}
