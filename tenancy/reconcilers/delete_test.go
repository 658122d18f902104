package reconcilers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// settle runs the reconcilers and the collector of namespaces a few times.
func (w *world) settle(name string, ids ...string) {
	w.t.Helper()
	for range 4 {
		w.pass(w.tenants(w.Client), name)
		for _, id := range ids {
			w.pass(w.virtualClusters(), id)
		}
		if err := w.collect(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// wantNothingLeft wants a tenant and its cluster gone, but for its name.
func (w *world) wantNothingLeft(name string, ids ...string) {
	w.t.Helper()
	for _, object := range []client.Object{
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ManagementNamespace(name)}},
	} {
		if w.exists(object) {
			w.t.Errorf("%T %s is left: %+v", object, object.GetName(), object)
		}
	}
	for _, id := range ids {
		if w.exists(&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: id}}) ||
			w.exists(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.HostNamespace(id)}}) {
			w.t.Errorf("virtual cluster %s is left", id)
		}
	}
}

func TestATenantIsDeletedWithoutATraceAtEachStage(t *testing.T) {
	for name, test := range map[string]struct {
		// prepare brings the tenant to the stage; ids are the clusters that must go.
		prepare func(w *world, name string)
		ids     []string
	}{
		"before anything was done": {func(*world, string) {}, nil},
		"while it waits for a plan": {func(w *world, name string) {
			w.pass(w.tenants(w.Client), name)
		}, nil},
		"while it waits for a cluster": {func(w *world, name string) {
			w.plan()
			w.pass(w.tenants(w.Client), name)
			w.condition(name, v1alpha1.ConditionClusterBound, metav1.ConditionFalse, v1alpha1.ReasonQueued)
		}, nil},
		"between the claim and the status": {func(w *world, name string) {
			w.plan()
			w.available("fffffff1")
			_, _ = w.tenants(cut(w.watching(), "killed")).Reconcile(w.t.Context(), request(name))
		}, []string{"fffffff1"}},
		"when it is ready": {func(w *world, name string) {
			w.plan()
			w.available("fffffff2")
			w.pass(w.tenants(w.Client), name)
			w.condition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		}, []string{"fffffff2"}},
		"while its cluster is down": {func(w *world, name string) {
			w.plan()
			w.available("fffffff3")
			w.pass(w.tenants(w.Client), name)
			if err := w.installer.Uninstall(w.t.Context(), "fffffff3"); err != nil {
				w.t.Fatal(err)
			}
			w.pass(w.virtualClusters(), "fffffff3")
		}, []string{"fffffff3"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.host(v1alpha1.PoolSpec{MaxClusters: 10})
			slug := "leaver-" + string('a'+rune(len(name)%26)) + string('a'+rune(len(test.ids)))
			made := w.tenant(slug)
			test.prepare(w, slug)
			w.delete(made)
			w.settle(slug, test.ids...)
			w.wantNothingLeft(slug, test.ids...)
			if left := w.installer.left(); len(left) > 0 {
				t.Errorf("control planes of %v are still installed", left)
			}
		})
	}
}

func TestAppsGoBeforeTheClusterTheyRunOn(t *testing.T) {
	const held = "test.berth.dev/held"
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("ggggggg1")
	made := w.tenant("orderly")
	w.pass(w.tenants(w.Client), "orderly")
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-orderly", Name: "web", Finalizers: []string{held}}}
	w.create(app)
	w.delete(made)
	w.settle("orderly", "ggggggg1")

	if !w.exists(app) || app.DeletionTimestamp == nil {
		t.Fatal("the app is not being deleted")
	}
	if w.cluster("ggggggg1").DeletionTimestamp != nil {
		t.Fatal("the cluster is deleted under its app")
	}
	w.condition("orderly", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting)

	app.Finalizers = nil
	if err := w.Client.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	w.settle("orderly", "ggggggg1")
	w.wantNothingLeft("orderly", "ggggggg1")
}

func TestDomainsGoBeforeTheAppsTheyLeadTo(t *testing.T) {
	const held = "test.berth.dev/held"
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("ggggggg2")
	made := w.tenant("domained")
	w.pass(w.tenants(w.Client), "domained")
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-domained", Name: "web"}}
	domain := &v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tenant-domained", Name: "host.example.com", Finalizers: []string{held}},
		Spec:       v1alpha1.DomainSpec{Host: "example.com", App: "web"},
	}
	w.create(app)
	w.create(domain)
	w.delete(made)
	w.settle("domained", "ggggggg2")
	if !w.exists(domain) || domain.DeletionTimestamp == nil {
		t.Fatal("the domain is not being deleted")
	}
	if !w.exists(app) || app.DeletionTimestamp != nil {
		t.Error("the app did not wait for its domain")
	}

	domain.Finalizers = nil
	if err := w.Client.Update(t.Context(), domain); err != nil {
		t.Fatal(err)
	}
	w.settle("domained", "ggggggg2")
	w.settle("domained", "ggggggg2")
	w.wantNothingLeft("domained", "ggggggg2")
}

func TestATenantsNameIsNeverUsedAgain(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("hhhhhhh1", "hhhhhhh2")
	first := w.tenant("unique")
	w.pass(w.tenants(w.Client), "unique")
	taken := w.named("unique").Status.VirtualCluster
	w.delete(first)
	w.settle("unique", taken)
	w.wantNothingLeft("unique", taken)

	second := w.tenant("unique")
	w.pass(w.tenants(w.Client), "unique")
	w.condition("unique", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNameTaken)
	if got := w.claims(second); len(got) != 0 {
		t.Errorf("it claimed %v", got)
	}
	w.delete(second)
	w.settle("unique")
	w.wantNothingLeft("unique")
	if !w.exists(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.system, Name: tenancy.ReservationName("unique")}}) {
		t.Error("the reservation is gone")
	}
}

func TestANamespaceOfSomebodyElseIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tenant-squatted"}}
	w.create(foreign)
	made := w.tenant("squatted")
	w.pass(w.tenants(w.Client), "squatted")
	w.condition("squatted", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNameTaken)
	w.delete(made)
	w.settle("squatted")
	if w.exists(made) {
		t.Error("the tenant is left")
	}
	if !w.exists(foreign) || foreign.DeletionTimestamp != nil {
		t.Error("somebody else's namespace was deleted")
	}
}

func TestAVirtualClusterIsClosedBeforeItsControlPlaneIsInstalled(t *testing.T) {
	w := newWorld(t)
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.installer.fails = 1
	w.create(&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "iiiiiii1"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "local"}})
	if _, err := w.virtualClusters().Reconcile(t.Context(), request("iiiiiii1")); err == nil {
		t.Fatal("the install did not fail")
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "vc-iiiiiii1"}}
	if !w.exists(namespace) || namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Fatalf("the namespace does not enforce pod security: %v", namespace.Labels)
	}
	var policies networkingv1.NetworkPolicyList
	if err := w.Client.List(t.Context(), &policies, client.InNamespace("vc-iiiiiii1")); err != nil || len(policies.Items) != 3 {
		t.Fatalf("%d network policies, want 3 (%v)", len(policies.Items), err)
	}
	w.pass(w.virtualClusters(), "iiiiiii1")
	got := w.cluster("iiiiiii1").Status
	if got.Phase != v1alpha1.VirtualClusterAvailable || got.Version == "" || got.ValuesHash != "current" || got.ReadyAt == nil {
		t.Errorf("status %+v", got)
	}
}

func TestAVirtualClusterIsNotGoneBeforeItsVolumesAre(t *testing.T) {
	w := newWorld(t)
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("jjjjjjj1")
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "data-jjjjjjj1", Finalizers: []string{"test.berth.dev/held"}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/data"},
			},
			ClaimRef:                      &corev1.ObjectReference{Namespace: "vc-jjjjjjj1", Name: "data-jjjjjjj1-0"},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		},
	}
	w.create(volume)
	w.delete(w.cluster("jjjjjjj1"))
	for range 3 {
		w.pass(w.virtualClusters(), "jjjjjjj1")
		if err := w.collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.cluster("jjjjjjj1").Status.Phase; got != v1alpha1.VirtualClusterReleased {
		t.Errorf("phase %s, want Released", got)
	}
	if !w.exists(volume) || volume.DeletionTimestamp == nil {
		t.Fatal("a volume that its class keeps was not deleted")
	}
	volume.Finalizers = nil
	if err := w.Client.Update(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	w.pass(w.virtualClusters(), "jjjjjjj1")
	if w.exists(&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "jjjjjjj1"}}) {
		t.Error("the virtual cluster is left")
	}
}

func TestAHostIsNotLetGoWhileTenantsAreOnIt(t *testing.T) {
	w := newWorld(t)
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.pass(w.hosts(), "local")
	w.available("kkkkkkk1", "kkkkkkk2")
	bound := w.cluster("kkkkkkk1")
	bound.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "shop", UID: "1"}
	if err := w.Client.Update(t.Context(), bound); err != nil {
		t.Fatal(err)
	}
	host := &v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "local"}}
	w.delete(host)
	w.pass(w.hosts(), "local")
	if w.cluster("kkkkkkk2").DeletionTimestamp == nil {
		t.Error("an idle member was kept")
	}
	if w.cluster("kkkkkkk1").DeletionTimestamp != nil {
		t.Error("a tenant's cluster was deleted")
	}
	if !w.exists(host) {
		t.Error("the host was let go")
	}
}

func TestAPodWithADayOfGraceDoesNotOutliveItsTenant(t *testing.T) {
	w := newWorld(t)
	w.plan()
	w.host(v1alpha1.PoolSpec{MaxClusters: 10})
	w.available("jjjjjjj1")
	made := w.tenant("lingering")
	w.pass(w.tenants(w.Client), "lingering")
	day := int64(86400)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "vc-jjjjjjj1", Name: "slow"},
		Spec: corev1.PodSpec{
			NodeName: "n", TerminationGracePeriodSeconds: &day,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "c", Image: "i", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}
	w.create(pod)
	w.delete(pod)
	w.delete(made)
	w.pass(w.tenants(w.Client), "lingering")
	if !w.exists(pod) || pod.DeletionGracePeriodSeconds == nil || *pod.DeletionGracePeriodSeconds != 30 {
		t.Errorf("the pod's grace is %v, want 30 seconds", pod.DeletionGracePeriodSeconds)
	}
	w.settle("lingering", "jjjjjjj1")
	w.wantNothingLeft("lingering", "jjjjjjj1")
}
