package vcluster

import (
	"log/slog"
	"testing"

	releasecommon "helm.sh/helm/v4/pkg/release/common"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
)

var class = tenancy.HostClass{CPUOvercommit: 10}

// onServer is an Installer on a real API server, and the platform's namespace there.
func onServer(t *testing.T, ids ...string) (*kubetest.Env, *Installer, string) {
	t.Helper()
	env := kubetest.Start(t)
	system := env.Namespace(t)
	for _, id := range ids {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:   v1alpha1.HostNamespace(id),
			Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}
		if err := env.Client.Create(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
	}
	installer, err := New(Config{
		ChartPath: packedChart(t), Namespace: system, Images: DefaultImages(), REST: env.Config,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return env, installer, system
}

// controlPlane is the StatefulSet of a virtual cluster, nil if there is none.
func controlPlane(t *testing.T, env *kubetest.Env, id string) *appsv1.StatefulSet {
	t.Helper()
	set := &appsv1.StatefulSet{}
	err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.HostNamespace(id), Name: id}, set)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return set
}

func TestInstallingTwiceInstallsOnce(t *testing.T) {
	env, installer, system := onServer(t, "aaaaaaaa")
	first, err := installer.Install(t.Context(), "aaaaaaaa", class)
	if err != nil {
		t.Fatal(err)
	}
	made := controlPlane(t, env, "aaaaaaaa")
	if made == nil {
		t.Fatal("there is no control plane")
	}
	again, err := installer.Install(t.Context(), "aaaaaaaa", tenancy.HostClass{CPUOvercommit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if again != first {
		t.Errorf("the second install says %s is installed, want %s", again, first)
	}
	if now := controlPlane(t, env, "aaaaaaaa"); now.ResourceVersion != made.ResourceVersion {
		t.Error("the second install changed the control plane")
	}
	for namespace, want := range map[string]int{system: 1, "vc-aaaaaaaa": 0} {
		var records corev1.SecretList
		if err := env.Client.List(t.Context(), &records, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm"}); err != nil {
			t.Fatal(err)
		}
		if len(records.Items) != want {
			t.Errorf("%d of Helm's records in %s, want %d", len(records.Items), namespace, want)
		}
	}
}

func TestAnInstallThatWasCutShortIsFinished(t *testing.T) {
	env, installer, _ := onServer(t, "bbbbbbbb")
	want, err := installer.Install(t.Context(), "bbbbbbbb", class)
	if err != nil {
		t.Fatal(err)
	}
	// As after a kill in the middle: the record is pending, some objects are missing.
	helm, err := installer.helm("bbbbbbbb")
	if err != nil {
		t.Fatal(err)
	}
	record, err := installer.record(helm, "bbbbbbbb")
	if err != nil {
		t.Fatal(err)
	}
	record.SetStatus(releasecommon.StatusPendingInstall, "cut short")
	if err := helm.Releases.Update(record); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Delete(t.Context(), controlPlane(t, env, "bbbbbbbb")); err != nil {
		t.Fatal(err)
	}

	got, err := installer.Install(t.Context(), "bbbbbbbb", class)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	if controlPlane(t, env, "bbbbbbbb") == nil {
		t.Error("there is no control plane")
	}
	if record, err := installer.record(helm, "bbbbbbbb"); err != nil || record.Info.Status != releasecommon.StatusDeployed {
		t.Errorf("the record is %+v (%v), want it deployed", record, err)
	}
}

func TestUninstallingLeavesNothingAndMayBeRepeated(t *testing.T) {
	env, installer, system := onServer(t, "cccccccc")
	if _, err := installer.Install(t.Context(), "cccccccc", class); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := installer.Uninstall(t.Context(), "cccccccc"); err != nil {
			t.Fatal(err)
		}
	}
	if controlPlane(t, env, "cccccccc") != nil {
		t.Error("the control plane is left")
	}
	var records corev1.SecretList
	if err := env.Client.List(t.Context(), &records, client.InNamespace(system), client.MatchingLabels{"owner": "helm"}); err != nil {
		t.Fatal(err)
	}
	if len(records.Items) != 0 {
		t.Errorf("%d of Helm's records are left", len(records.Items))
	}
	if err := installer.Uninstall(t.Context(), "dddddddd"); err != nil {
		t.Errorf("uninstalling what never was: %v", err)
	}
}
