package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// tenantObjects is what a tenant makes by hand for TestControlPlaneComesBack.
const tenantObjects = `apiVersion: v1
kind: Namespace
metadata: {name: mine}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, namespace: mine}
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata: {name: kept, namespace: mine}
stringData: {a: b}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// TestControlPlaneComesBack: the control plane's process is gone and started anew; the
// tenant's objects are all there, the very same, and the tenant's app answers throughout.
func TestControlPlaneComesBack(t *testing.T) {
	berth.tenant(t, "comeback", "small")
	berth.apply(t, "comeback", helloApp)
	dir := t.TempDir()
	config, objects := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "objects.yaml")
	berth.berth(t, "kubeconfig", "-t", "comeback", "--file", config)
	if err := os.WriteFile(objects, []byte(tenantObjects), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := berth.kubectl(config, "apply", "-f", objects); err != nil {
		t.Fatalf("creating objects: %s", out)
	}
	had, err := tenantHas(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{"Namespace /mine", "ConfigMap mine/kept", "Secret mine/kept", "CustomResourceDefinition /things.example.com", "Deployment hello/web", "Service hello/web", "Secret hello/hello-v1-env"} {
		if had[object] == "" {
			t.Fatalf("there is no %s: %v", object, had)
		}
	}
	load := startLoad(t, berth.url("hello.comeback", "/"), 50)
	start := time.Now()
	replaceControlPlane(t, clusterOf(t, "comeback"))
	eventually(t, 5*time.Minute, "the tenant's objects", func() (bool, string) {
		has, err := tenantHas(config)
		if err != nil {
			return false, err.Error()
		}
		var lost []string
		for object, identity := range had {
			if has[object] != identity {
				lost = append(lost, fmt.Sprintf("%s was %q, is %q", object, identity, has[object]))
			}
		}
		slices.Sort(lost)
		return len(lost) == 0, strings.Join(lost, "; ")
	})
	t.Logf("answering again after %s, all %d objects there", time.Since(start).Round(100*time.Millisecond), len(had))
	load.end(t)
}

// replaceControlPlane deletes the pod of a control plane and waits for the next: an answer
// counts only when the old process cannot have given it.
func replaceControlPlane(t *testing.T, cluster string) {
	t.Helper()
	key := client.ObjectKey{Namespace: berthv1.HostNamespace(cluster), Name: cluster + "-0"}
	var before corev1.Pod
	if err := berth.host.Get(t.Context(), key, &before); err != nil {
		t.Fatal(err)
	}
	if out, err := berth.kubectl(berth.up.Kubeconfig, "delete", "pod", "-n", key.Namespace, key.Name, "--force", "--grace-period=0"); err != nil {
		t.Fatalf("deleting the control plane's pod: %s", out)
	}
	eventually(t, 5*time.Minute, "another pod of the control plane, ready", func() (bool, string) {
		var pod corev1.Pod
		if err := berth.host.Get(t.Context(), key, &pod); err != nil {
			return false, err.Error()
		}
		return pod.UID != before.UID && ready(&pod), fmt.Sprintf("pod %s, %s, ready: %t", pod.UID, pod.Status.Phase, ready(&pod))
	})
}

// tenantHas gives, for every object of several kinds in a tenant's cluster, its identity
// and, of what the tenant made, its data.
func tenantHas(config string) (map[string]string, error) {
	const kinds = "namespaces,configmaps,secrets,serviceaccounts,deployments,services,customresourcedefinitions"
	out, err := berth.kubectl(config, "get", kinds, "-A", "-o", "json")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var list struct {
		Items []struct {
			Kind     string
			Metadata metav1.ObjectMeta
			Data     map[string]string
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	has := map[string]string{}
	for _, item := range list.Items {
		identity := string(item.Metadata.UID)
		if item.Metadata.Namespace == "mine" || item.Metadata.Namespace == "hello" {
			identity += fmt.Sprint(" ", item.Data) // the other namespaces have owners that may change them
		}
		has[item.Kind+" "+item.Metadata.Namespace+"/"+item.Metadata.Name] = identity
	}
	return has, nil
}
