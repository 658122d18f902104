package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const systemNamespace = "berth-system"

// TestSecondInstance: two instances side by side, each with an app under load, Berth in the
// second by way of its kubeconfig's context. There the chart is upgraded, which no request
// notices, refuses to be uninstalled while there is a tenant, and then leaves nothing.
func TestSecondInstance(t *testing.T) {
	const name = secondName
	bare := instanceUp(t, name, "--bare")
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	before := inventory(t, bare.Kubeconfig)
	install := []string{"up", "--context", "berth-" + name, "--pool", "1"}
	berth.berth(t, install...)
	second := berth.another(t, bare)
	second.berth(t, "tenants:create", "two", "--plan", "small")
	second.apply(t, "two", helloApp)
	berth.tenant(t, "beside", "small")
	berth.apply(t, "beside", helloApp)

	beside := startLoad(t, berth.url("hello.beside", "/"), 5)
	upgradeUnderLoad(t, second, install)

	_, said, code := berth.try(t, "down", "--context", "berth-"+name)
	if code == 0 || !strings.Contains(said, "tenants:delete two") {
		t.Fatalf("uninstalling from under a tenant ends with %d: %s", code, said)
	}
	if code, body := second.get(t, second.url("hello.two", "/")); code != 200 {
		t.Errorf("after a refused uninstallation the app answers %d: %s", code, body)
	}
	second.berth(t, "tenants:delete", "two", "--confirm", "two")
	installed := inventory(t, bare.Kubeconfig)
	berth.berth(t, "down", "--context", "berth-"+name)
	beside.end(t)
	uninstalled(t, bare.Kubeconfig, before, installed)
}

// upgradeUnderLoad upgrades the chart with other values, for which both deployments start
// new pods, while an app of the instance answers.
func upgradeUnderLoad(t *testing.T, s *stand, install []string) {
	t.Helper()
	token, revision := operatorToken(t, s), revisionOf(t, s)
	values := filepath.Join(t.TempDir(), "values.yaml")
	const text = "router: {replicas: 2}\ncontroller: {resources: {requests: {memory: 144Mi}}}\n"
	if err := os.WriteFile(values, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, s.url("hello.two", "/"), 10)
	berth.berth(t, append(slices.Clone(install), "--values", values)...)
	load.end(t)
	if now := revisionOf(t, s); now <= revision {
		t.Errorf("the release is at revision %d after the upgrade, it was at %d", now, revision)
	}
	if now := operatorToken(t, s); now != token {
		t.Error("the upgrade changed the operator's token")
	}
	if d := deployment(t, s, "berth-router"); d.Status.AvailableReplicas != 2 {
		t.Errorf("%d edges are available, the values say 2", d.Status.AvailableReplicas)
	}
	for _, container := range deployment(t, s, "berth").Spec.Template.Spec.Containers {
		if memory := container.Resources.Requests.Memory().String(); container.Name == "controller" && memory != "144Mi" {
			t.Errorf("the controller requests %s of memory, the values say 144Mi", memory)
		}
	}
	if out := s.berth(t, "plans"); !strings.Contains(out, "small") {
		t.Errorf("the API after the upgrade: %s", out)
	}
}

func deployment(t *testing.T, s *stand, name string) *appsv1.Deployment {
	t.Helper()
	var d appsv1.Deployment
	if err := s.host.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: name}, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

func operatorToken(t *testing.T, s *stand) string {
	t.Helper()
	var secret corev1.Secret
	if err := s.host.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "berth-operator-token"}, &secret); err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["token"])
}

// revisionOf reads the revision of the Helm release that is installed from Helm's records.
func revisionOf(t *testing.T, s *stand) int {
	t.Helper()
	var records corev1.SecretList
	deployed := client.MatchingLabels{"owner": "helm", "name": "berth", "status": "deployed"}
	if err := s.host.List(t.Context(), &records, client.InNamespace(systemNamespace), deployed); err != nil {
		t.Fatal(err)
	}
	if len(records.Items) != 1 {
		t.Fatalf("%d records of a deployed release", len(records.Items))
	}
	revision, err := strconv.Atoi(records.Items[0].Labels["version"])
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// stays tells what an uninstallation is meant to leave: the kinds, the names of tenants, which
// are theirs for ever, and the lease by which controllers took turns. The namespace is not
// the chart's, nor is what Kubernetes puts into every one.
func stays(object string) bool {
	return strings.HasPrefix(object, "CustomResourceDefinition.") && strings.HasSuffix(object, ".berth.dev") ||
		slices.Contains([]string{
			"APIService.apiregistration.k8s.io /v1alpha1.berth.dev",
			"ConfigMap berth-system/tenant-name-two",
			"Lease.coordination.k8s.io berth-system/berth-controller",
			"ConfigMap berth-system/kube-root-ca.crt",
			"ServiceAccount berth-system/default",
		}, object)
}

// uninstalled waits until a cluster holds what it held before Berth was installed, and what
// is meant to stay.
func uninstalled(t *testing.T, kubeconfig string, before, installed map[string]bool) {
	t.Helper()
	for _, of := range []string{
		"Deployment.apps berth-system/berth", "Secret berth-system/berth-operator-token",
		"ClusterRole.rbac.authorization.k8s.io /berth-controller", "HostCluster.berth.dev /local",
	} {
		if !installed[of] {
			t.Errorf("%s is not seen while Berth is installed", of)
		}
	}
	eventually(t, 3*time.Minute, "nothing of Berth", func() (bool, string) {
		var left []string
		for _, object := range slices.Sorted(maps.Keys(inventory(t, kubeconfig))) {
			if !before[object] && !stays(object) {
				left = append(left, object)
			}
		}
		return len(left) == 0, strings.Join(left, ", ")
	})
}

// inventory names every object of a cluster that belongs to no namespace or to Berth's. What
// the API server keeps for itself, and events, are left out.
func inventory(t *testing.T, kubeconfig string) map[string]bool {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 100, 200
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	asking, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := asking.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, list := range kinds {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			noise := resource.Kind == "Event" || resource.Kind == "ComponentStatus" || version.Group == "flowcontrol.apiserver.k8s.io"
			if noise || !slices.Contains(resource.Verbs, "list") {
				continue
			}
			objects := &unstructured.UnstructuredList{}
			objects.SetGroupVersionKind(version.WithKind(resource.Kind + "List"))
			var in []client.ListOption
			if resource.Namespaced {
				in = append(in, client.InNamespace(systemNamespace))
			}
			if err := c.List(t.Context(), objects, in...); err != nil {
				t.Fatalf("listing %s: %v", resource.Name, err)
			}
			kind := schema.GroupKind{Group: version.Group, Kind: resource.Kind}
			for _, object := range objects.Items {
				found[fmt.Sprintf("%s %s/%s", kind, object.GetNamespace(), object.GetName())] = true
			}
		}
	}
	return found
}
