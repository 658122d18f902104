package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// stage is a moment of a tenant's creation.
type stage struct {
	name string
	// prepare makes a stage last that is over at once; nil for others.
	prepare func(t *testing.T)
	// met tells the stage by what the tenant says of itself.
	met func(*berthv1.Tenant) bool
}

// stagesOfCreation are all that a tenant goes through, in their order.
func stagesOfCreation() []stage {
	is := func(tenant *berthv1.Tenant, condition string) bool {
		return meta.IsStatusConditionTrue(tenant.Status.Conditions, condition)
	}
	return []stage{
		{"asked for", nil, func(*berthv1.Tenant) bool { return true }},
		{"seen by the controller", nil, func(tenant *berthv1.Tenant) bool { return len(tenant.Finalizers) > 0 }},
		{"with a cluster chosen", nil, func(tenant *berthv1.Tenant) bool { return tenant.Annotations[tenancy.AnnotationClaim] != "" }},
		{"with its name, in the queue for a cluster", emptyPool, func(tenant *berthv1.Tenant) bool {
			bound := meta.FindStatusCondition(tenant.Status.Conditions, berthv1.ConditionClusterBound)
			return is(tenant, berthv1.ConditionNameReserved) && bound != nil && bound.Status == metav1.ConditionFalse && bound.Reason == berthv1.ReasonQueued
		}},
		{"bound and within its limits, without access", silentPool, func(tenant *berthv1.Tenant) bool {
			return is(tenant, berthv1.ConditionClusterBound) && is(tenant, berthv1.ConditionLimitsApplied) && !is(tenant, berthv1.ConditionAccessReady)
		}},
		{"ready", nil, func(tenant *berthv1.Tenant) bool {
			return is(tenant, berthv1.ConditionAccessReady) && is(tenant, berthv1.ConditionReady)
		}},
	}
}

// TestDeletedWhileMade: a tenant that is deleted at any stage of its creation leaves nothing
// but its name, and the pool is whole again.
func TestDeletedWhileMade(t *testing.T) {
	var made []string
	poolWhole(t)
	for n, stage := range stagesOfCreation() {
		name := fmt.Sprintf("brief-%d", n)
		made = append(made, name)
		t.Run(stage.name, func(t *testing.T) {
			if stage.prepare != nil {
				stage.prepare(t)
			}
			deletedAt(t, name, stage)
			start := time.Now()
			eventually(t, 5*time.Minute, "the tenant gone", func() (bool, string) { return isGone(t, "", name, &berthv1.Tenant{}) })
			t.Logf("gone %s later", time.Since(start).Round(10*time.Millisecond))
		})
		poolWhole(t)
		nothingOrphaned(t)
	}
	reservedOnly(t, "brief-", made)
}

// deletedAt makes a tenant and deletes it as soon as it says that it is at a stage. A tenant
// that is past the stage without having been there fails the scenario.
func deletedAt(t *testing.T, name string, at stage) {
	t.Helper()
	tenant := tenantNamed(name)
	tenant.Spec.Plan = "small"
	changes := watchTenant(t, name)
	if err := berth.host.Create(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	var seen []string
	next := func() (*berthv1.Tenant, watch.EventType) {
		select {
		case change, ok := <-changes:
			if now, is := change.Object.(*berthv1.Tenant); ok && is {
				seen = append(seen, stateOf(now))
				return now, change.Type
			}
			t.Fatalf("the watch of the tenant ended (%v) after:\n%s", change.Object, strings.Join(seen, "\n"))
		case <-time.After(5 * time.Minute):
			t.Fatalf("no change of the tenant for five minutes, and it was never %s:\n%s", at.name, strings.Join(seen, "\n"))
		}
		return nil, ""
	}
	for now, _ := next(); !at.met(now); now, _ = next() {
		if meta.IsStatusConditionTrue(now.Status.Conditions, berthv1.ConditionReady) {
			t.Errorf("the tenant is ready and was never %s:\n%s", at.name, strings.Join(seen, "\n"))
			break
		}
	}
	if err := berth.host.Delete(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	// Between what was seen and the deletion the controller may have done more.
	for now, kind := next(); now.DeletionTimestamp == nil && kind != watch.Deleted; now, kind = next() {
	}
	t.Logf("seen until the deletion counts:\n%s", strings.Join(seen, "\n"))
}

// watchTenant follows a tenant until the scenario is over.
func watchTenant(t *testing.T, name string) <-chan watch.Event {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", berth.up.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := client.NewWithWatch(config, client.Options{Scheme: berth.host.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	watching, err := watcher.Watch(t.Context(), &berthv1.TenantList{}, &client.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watching.Stop)
	return watching.ResultChan()
}

// stateOf is how far a tenant's creation is, in one line.
func stateOf(tenant *berthv1.Tenant) string {
	state := fmt.Sprintf("finalizers %v, chosen %q", tenant.Finalizers, tenant.Annotations[tenancy.AnnotationClaim])
	for _, condition := range tenant.Status.Conditions {
		state += fmt.Sprintf(", %s=%s (%s)", condition.Type, condition.Status, condition.Reason)
	}
	if tenant.DeletionTimestamp != nil {
		state += ", being deleted"
	}
	return state
}

// emptyPool leaves no cluster to claim until the scenario is over: one is made for a tenant
// that waits.
func emptyPool(t *testing.T) {
	t.Helper()
	before := hostCluster(t.Context(), t).Spec.Pool
	t.Cleanup(func() { setPool(cleanupContext(t), t, before.Size, before.MaxClusters) })
	setPool(t.Context(), t, 0, before.MaxClusters)
	eventually(t, 5*time.Minute, "no cluster in the pool", func() (bool, string) {
		left := unclaimed(t)
		return len(left) == 0, fmt.Sprintf("%d clusters", len(left))
	})
}

// silentPool keeps the control planes of the clusters that can be claimed from answering until
// the scenario is over: whoever claims one has no access to it.
func silentPool(t *testing.T) {
	t.Helper()
	var free []berthv1.VirtualCluster
	eventually(t, 5*time.Minute, "a cluster that can be claimed", func() (bool, string) {
		free = slices.DeleteFunc(unclaimed(t), func(c berthv1.VirtualCluster) bool { return !tenancy.Claimable(&c) })
		return len(free) > 0, "none"
	})
	for _, cluster := range free {
		controlPlaneOf(cluster.Name).stop(t)
	}
}

// unclaimed are the clusters that no tenant has.
func unclaimed(t *testing.T) []berthv1.VirtualCluster {
	t.Helper()
	var all berthv1.VirtualClusterList
	if err := berth.host.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all.Items, func(c berthv1.VirtualCluster) bool { return c.Spec.ClaimRef != nil || c.DeletionTimestamp != nil })
}
