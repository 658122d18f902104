package reconcilers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy/reconcilers/hostcluster"
)

func (w *world) tenantIn(region, name string) *v1alpha1.Tenant {
	w.t.Helper()
	made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TenantSpec{Plan: "small", Region: region}}
	w.create(made)
	return made
}

func (w *world) hostNamed(name string) *v1alpha1.HostCluster {
	w.t.Helper()
	found := &v1alpha1.HostCluster{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: name}, found); err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *world) cordon(name string, cordoned bool) {
	w.t.Helper()
	host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	// A patch: the reconciler writes the status meanwhile.
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"cordoned":%t}}`, cordoned))
	if err := w.Client.Patch(w.t.Context(), host, patch); err != nil {
		w.t.Fatal(err)
	}
}

// hears wants a host's Reachable condition.
func (w *world) hears(name string, status metav1.ConditionStatus) {
	w.t.Helper()
	got := meta.FindStatusCondition(w.hostNamed(name).Status.Conditions, v1alpha1.ConditionReachable)
	if got == nil || got.Status != status {
		w.t.Fatalf("%s of %s is %+v, want %s", v1alpha1.ConditionReachable, name, got, status)
	}
}

// told wants what a tenant that waits is told.
func (w *world) told(name, reason, message string) {
	w.t.Helper()
	got := meta.FindStatusCondition(w.named(name).Status.Conditions, v1alpha1.ConditionClusterBound)
	if got == nil || got.Status != metav1.ConditionFalse || got.Reason != reason || got.Message != message {
		w.t.Fatalf("%s is told %+v, want %s: %s", name, got, reason, message)
	}
}

func TestATenantIsPlacedWhereThereIsRoomAndIsToldWhyNot(t *testing.T) {
	w := newWorld(t)
	w.plan()
	for name, region := range map[string]string{"eu-full": "eu", "eu-cordoned": "eu", "eu-silent": "eu", "us": "us"} {
		w.away.set(name, name == "eu-silent")
		w.hostIn(region, name, v1alpha1.PoolSpec{MaxClusters: 1})
		w.pass(w.hosts(), name)
	}
	w.availableOn("eu-full", "lllllll1")
	w.availableOn("eu-cordoned", "lllllll2")
	w.availableOn("eu-silent", "lllllll3")
	w.availableOn("us", "lllllll4")
	w.cordon("eu-cordoned", true)
	w.hears("eu-silent", metav1.ConditionFalse)

	first := w.tenantIn("eu", "first")
	w.pass(w.tenants(w.Client), "first")
	if got := w.claims(first); len(got) != 1 || got[0] != "lllllll1" {
		t.Fatalf("it claimed %v, want the only cluster of a host that takes tenants", got)
	}
	second := w.tenantIn("eu", "second")
	told := events.NewFakeRecorder(20)
	r := w.tenants(w.Client)
	r.Events = told
	w.pass(r, "second")
	w.pass(r, "second") // What did not change is not told again.
	close(told.Events)
	skipped := map[string]string{}
	for event := range told.Events {
		if words := strings.Fields(event); words[2] == "Host" { // Normal Full Host eu-full is skipped: …
			skipped[words[3]] += words[1]
		}
	}
	if diff := cmp.Diff(map[string]string{
		"eu-full": v1alpha1.ReasonFull, "eu-cordoned": v1alpha1.ReasonCordoned,
		"eu-silent": v1alpha1.ReasonUnreachable, "us": v1alpha1.ReasonOtherRegion,
	}, skipped); diff != "" {
		t.Errorf("what operators are told (-want +got):\n%s", diff)
	}
	w.told("second", v1alpha1.ReasonNoCapacity, "No cluster in region eu has room: 1 is full, 1 is being serviced, 1 does not answer")

	w.away.set("eu-silent", false)
	w.pass(w.hosts(), "eu-silent")
	w.hears("eu-silent", metav1.ConditionTrue)
	w.pass(w.tenants(w.Client), "second")
	if got := w.claims(second); len(got) != 1 || got[0] != "lllllll3" {
		t.Errorf("it claimed %v, want the cluster of the host that came back", got)
	}
	third := w.tenantIn("eu", "third")
	w.cordon("eu-cordoned", false)
	w.pass(w.tenants(w.Client), "third")
	if got := w.claims(third); len(got) != 1 || got[0] != "lllllll2" {
		t.Errorf("it claimed %v, want the cluster of the host that is serviced no more", got)
	}
}

func TestAHostThatIsSilentForAMinuteMakesNoClustersUntilItAnswers(t *testing.T) {
	w := newWorld(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	options := w.hosts().Options
	options.Clock = now
	r := hostcluster.New(options)
	look := func(after time.Duration) {
		t.Helper()
		now.SetTime(now.Now().Add(after))
		if result := w.pass(r, "flaky"); result.RequeueAfter <= 0 || result.RequeueAfter > 15*time.Second {
			t.Fatalf("it is looked at again in %s, want at most 15 s", result.RequeueAfter)
		}
	}
	members := func() (n int) {
		t.Helper()
		var all v1alpha1.VirtualClusterList
		if err := w.Client.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		return len(all.Items)
	}
	w.hostIn("eu", "flaky", v1alpha1.PoolSpec{Size: 0, MaxClusters: 10, MaxStarting: 2})
	look(0)
	w.hears("flaky", metav1.ConditionTrue)

	w.away.set("flaky", true)
	look(15 * time.Second)
	look(44 * time.Second)
	w.hears("flaky", metav1.ConditionTrue) // Its last answer is 59 seconds old.
	look(2 * time.Second)
	w.hears("flaky", metav1.ConditionFalse)

	host := w.hostNamed("flaky")
	host.Spec.Pool.Size = 1
	if err := w.Client.Update(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	look(15 * time.Second)
	if got := members(); got != 0 {
		t.Errorf("it makes %d clusters while it does not answer", got)
	}
	w.away.set("flaky", false)
	look(15 * time.Second)
	w.hears("flaky", metav1.ConditionTrue)
	if got := members(); got != 1 {
		t.Errorf("it makes %d clusters once it answers, want 1", got)
	}
	w.cordon("flaky", true)
	host = w.hostNamed("flaky")
	host.Spec.Pool.Size = 3
	if err := w.Client.Update(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	look(time.Second)
	if got := members(); got != 1 {
		t.Errorf("there are %d clusters, want the one from before the host was cordoned", got)
	}
}

func TestAHostTellsWhatRoomItsNodesHave(t *testing.T) {
	w := newWorld(t)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "roomy"}}
	w.create(node)
	t.Cleanup(func() {
		if err := w.Client.Delete(context.WithoutCancel(t.Context()), node); err != nil {
			t.Error(err)
		}
	})
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("40Gi")}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if err := w.Client.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	node.Spec.Taints = nil // Nobody else is here to say that the node is ready.
	if err := w.Client.Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("mmmmmmm1")
	w.pass(w.hosts(), "local")
	// Pods that other tests left on the API server count as well.
	empty := w.hostNamed("local").Status
	if empty.CapacityOCUs < 30 || empty.CapacityOCUs > 40 {
		t.Errorf("a node of 40 GiB has room for %d OCUs", empty.CapacityOCUs)
	}
	pod := harmless("vc-mmmmmmm1", "web")
	pod.Labels = map[string]string{"vcluster.loft.sh/managed-by": "mmmmmmm1"}
	pod.Spec.NodeName = "roomy"
	memory := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("3Gi")}
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: memory, Limits: memory}
	w.create(pod)
	w.pass(w.hosts(), "local")
	if got := w.hostNamed("local").Status; got.CapacityOCUs != empty.CapacityOCUs || got.FreeOCUs != empty.FreeOCUs-3 {
		t.Errorf("%d of %d OCUs are free with a process of 3, before %d of %d", got.FreeOCUs, got.CapacityOCUs, empty.FreeOCUs, empty.CapacityOCUs)
	}
}

// chosen lets a tenant write down its choice, and loses the claim.
func (w *world) chosen(name string) {
	w.t.Helper()
	lost := interceptor.NewClient(w.watching(), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			if _, is := object.(*v1alpha1.VirtualCluster); is {
				return errors.New("the connection broke")
			}
			return c.Update(ctx, object, opts...)
		},
	})
	if _, err := w.tenants(lost).Reconcile(w.t.Context(), request(name)); err == nil {
		w.t.Fatal("the claim was not lost")
	}
}

func TestAChosenClusterIsGivenUpWhenItsHostGoesAwayAndALateClaimFails(t *testing.T) {
	for name, leave := range map[string]func(w *world, id string){
		"silent": func(w *world, _ string) {
			w.away.set("near", true)
			w.pass(w.hosts(), "near")
		},
		"cordoned": func(w *world, _ string) { w.cordon("near", true) },
		"unready": func(w *world, id string) {
			vc := w.cluster(id)
			vc.Status.Phase = v1alpha1.VirtualClusterPending
			if err := w.Client.Status().Update(w.t.Context(), vc); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far, choosy := "n"+name[:6]+"1", "n"+name[:6]+"2", "choosy-"+name
			w := newWorld(t)
			w.plan()
			w.hostIn("eu", "near", v1alpha1.PoolSpec{MaxClusters: 10})
			w.pass(w.hosts(), "near")
			w.availableOn("near", near)
			made := w.tenantIn("eu", choosy)
			w.chosen(choosy)
			late := w.cluster(near) // What the lost claim had seen.

			leave(w, near)
			w.pass(w.tenants(w.Client), choosy)
			if got := w.claims(made); len(got) != 0 {
				t.Fatalf("it claimed %v, on a host that takes nobody", got)
			}
			w.hostIn("eu", "far", v1alpha1.PoolSpec{MaxClusters: 10})
			w.pass(w.hosts(), "far")
			w.availableOn("far", far)
			w.pass(w.tenants(w.Client), choosy)
			if got := w.claims(made); len(got) != 1 || got[0] != far {
				t.Fatalf("it claimed %v, want the other host's", got)
			}
			late.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: made.Name, UID: made.UID}
			if err := w.Client.Update(t.Context(), late); err == nil {
				t.Error("the lost claim came through later: the tenant has two clusters")
			}
		})
	}
}

func TestAClaimThatCameThroughAfterAllIsKeptThoughItsHostWentAway(t *testing.T) {
	w := newWorld(t)
	w.plan()
	for _, name := range []string{"near", "far"} {
		w.hostIn("eu", name, v1alpha1.PoolSpec{MaxClusters: 10})
		w.pass(w.hosts(), name)
	}
	w.availableOn("near", "ooooooo1")
	made := w.tenantIn("eu", "keeper")
	w.chosen("keeper")
	claimed := w.cluster("ooooooo1")
	claimed.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: made.Name, UID: made.UID}
	if err := w.Client.Update(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}
	w.availableOn("far", "ooooooo2")
	w.cordon("near", true)
	w.pass(w.tenants(w.Client), "keeper")
	if got := w.claims(made); len(got) != 1 || got[0] != "ooooooo1" {
		t.Errorf("it has %v, want the one it claimed alone", got)
	}
}

func TestTenantsThatRaceForHostsThatComeAndGoGetOneClusterEach(t *testing.T) {
	w := newWorld(t)
	w.plan()
	hosts := []string{"race-a", "race-b", "race-c"}
	for _, name := range hosts {
		w.hostIn("eu", name, v1alpha1.PoolSpec{Size: 2, MaxClusters: 8, MaxStarting: 4})
	}
	w.start()
	const count = 12
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("racer-%d", i)}, Spec: v1alpha1.TenantSpec{Plan: "small", Region: "eu"}}
			if err := w.Client.Create(t.Context(), made); err != nil {
				t.Error(err)
			}
		})
	}
	w.until("a few have a cluster", func(context.Context) bool { return len(w.bound()) > 2 })
	w.cordon("race-a", true)
	all.Wait()
	w.until("every tenant has a cluster", func(context.Context) bool { return len(w.bound()) == count })
	w.cordon("race-a", false)
	w.until("every tenant knows its cluster", func(ctx context.Context) bool {
		for id, name := range w.bound() {
			made := &v1alpha1.Tenant{}
			if err := w.Client.Get(ctx, client.ObjectKey{Name: name}, made); err != nil || made.Status.VirtualCluster != id {
				return false
			}
		}
		return true
	})
}
