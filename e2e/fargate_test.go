package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

const (
	fargateScheduler = "fargate-scheduler"
	startDelay       = 5 * time.Second
	patchAfter       = time.Minute
)

// fargateUnsupported is what a tenant makes by hand that Fargate does not run: a pod with a
// volume made on demand and a DaemonSet.
const fargateUnsupported = `apiVersion: v1
kind: Namespace
metadata: {name: mine}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files, namespace: mine}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: claimant, namespace: mine, labels: {app: claimant}}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: app
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  volumes: [{name: data, persistentVolumeClaim: {claimName: files}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere, namespace: mine}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: registry.berth.internal/test/app:1
        command: [/testapp, serve]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

// tenantGroup lets the edge, which is in the cluster's own group, into the pods that have it,
// and no pod of another group.
const tenantGroup = `[{"id": "sg-tenant", "ingress": [
  {"protocol": "tcp", "fromPort": 8080, "toPort": 8080, "groups": ["sg-cluster"]}]}]`

// resident is a tenant of the instance that behaves like Fargate.
type resident struct {
	name, cluster, kubeconfig string
}

// TestFargate: Berth on a cluster whose pods of tenants behave as on Fargate. The app comes up
// and answers; what Fargate does not run says so to its tenant; network policies do nothing
// there and security groups do; it answers from another pod when a patch has ended one.
func TestFargate(t *testing.T) {
	up := instanceUp(t, secondName, "--fargate", "--fargate-start-delay", startDelay.String(), "--pool", "0")
	t.Cleanup(func() { berth.berth(t, "down", "--name", secondName, "--delete") })
	s := berth.another(t, up)
	a, b := s.resident(t, "far-a"), s.resident(t, "far-b")

	t.Run("tenants' pods are of the pool, their control planes are not", func(t *testing.T) { s.pooled(t, a) })
	t.Run("what Fargate does not run says so", func(t *testing.T) { s.unsupported(t, a) })
	target := s.app(t, b).Status.PodIP + ":8080"
	t.Run("network policies do nothing", func(t *testing.T) {
		if got := s.inside(t, a, "dial", "tcp", target); got != "connected" {
			t.Errorf("%s dials a pod of %s: %q, want it connected", a.name, b.name, got)
		}
	})
	t.Run("security groups do", func(t *testing.T) { s.grouped(t, a, b, filepath.Dir(up.CLIConfig)) })
	t.Run("patches evict what is old enough", func(t *testing.T) { patched(t, a) })
}

func (s *stand) resident(t *testing.T, name string) resident {
	t.Helper()
	s.berth(t, "tenants:create", name, "--plan", "small")
	s.apply(t, name, helloApp)
	r := resident{name: name, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	s.berth(t, "kubeconfig", "-t", name, "--file", r.kubeconfig)
	var tenant berthv1.Tenant
	if err := s.host.Get(t.Context(), client.ObjectKey{Name: name}, &tenant); err != nil {
		t.Fatal(err)
	}
	r.cluster = tenant.Status.VirtualCluster
	return r
}

// inside runs the test app's probe in the app of a tenant.
func (s *stand) inside(t *testing.T, r resident, args ...string) string {
	t.Helper()
	out, err := s.kubectl(r.kubeconfig, append([]string{"exec", "-n", "hello", "deploy/web", "--", "/testapp"}, args...)...)
	if err != nil {
		t.Fatalf("exec inside %s: %v: %s", r.name, err, out)
	}
	return strings.TrimSpace(out)
}

func (s *stand) hostPods(t *testing.T, r resident) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := s.host.List(t.Context(), &pods, client.InNamespace(berthv1.HostNamespace(r.cluster))); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// app is the newest pod of a tenant's app on the host.
func (s *stand) app(t *testing.T, r resident) *corev1.Pod {
	t.Helper()
	var newest *corev1.Pod
	for _, pod := range s.hostPods(t, r) {
		if pod.Annotations[objectNamespace] == "hello" && (newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			newest = &pod
		}
	}
	if newest == nil {
		t.Fatalf("%s has no pod of its app on the host", r.name)
	}
	return newest
}

func (s *stand) pooled(t *testing.T, r resident) {
	t.Helper()
	inPool, outside := 0, 0
	for _, pod := range s.hostPods(t, r) {
		if pod.Annotations[objectName] == "" {
			outside++
			if pod.Spec.SchedulerName == fargateScheduler || pod.Annotations["CapacityProvisioned"] != "" {
				t.Errorf("%s, of the platform, is in the pool", pod.Name)
			}
			continue
		}
		inPool++
		if pod.Spec.SchedulerName != fargateScheduler || pod.Labels["eks.amazonaws.com/fargate-profile"] == "" {
			t.Errorf("%s is not in the pool: scheduler %q, labels %v", pod.Name, pod.Spec.SchedulerName, pod.Labels)
		}
		for _, condition := range pod.Status.Conditions {
			if wait := condition.LastTransitionTime.Sub(pod.CreationTimestamp.Time); condition.Type == corev1.PodScheduled && wait < startDelay {
				t.Errorf("%s got its machine after %s, want %s at least", pod.Name, wait, startDelay)
			}
		}
	}
	if inPool == 0 || outside == 0 {
		t.Errorf("%d pods of the tenant and %d of the platform", inPool, outside)
	}
	// One OCU is 100m CPU and 1 GiB, and there is no size of 1.25 GB.
	if got := s.app(t, r).Annotations["CapacityProvisioned"]; got != "0.25vCPU 2GB" {
		t.Errorf("the app has a machine of %q", got)
	}
}

func (s *stand) unsupported(t *testing.T, r resident) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "unsupported.yaml")
	if err := os.WriteFile(file, []byte(fargateUnsupported), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.kubectl(r.kubeconfig, "apply", "-f", file); err != nil {
		t.Fatalf("applying: %s", out)
	}
	for selector, want := range map[string]string{"app=claimant": "PVC files-", "app=everywhere": "DaemonSets are not supported"} {
		eventually(t, time.Minute, "a pod with "+selector+" says "+want, func() (bool, string) {
			out, err := s.kubectl(r.kubeconfig, "get", "pods", "-n", "mine", "-l", selector, "-o", "jsonpath={.items[*].status.conditions[*].message}")
			return err == nil && strings.Contains(out, "Pod not supported on Fargate") && strings.Contains(out, want), out
		})
	}
	if out, err := s.kubectl(r.kubeconfig, "delete", "namespace", "mine", "--wait=false"); err != nil {
		t.Errorf("deleting: %s", out)
	}
}

// grouped gives both tenants' apps a group: the edge gets in, the neighbour does not.
func (s *stand) grouped(t *testing.T, a, b resident, instanceDir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(instanceDir, "security-groups.json"), []byte(tenantGroup), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []resident{a, b} {
		policy := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "vpcresources.k8s.aws/v1beta1", "kind": "SecurityGroupPolicy",
			"metadata": map[string]any{"name": "tenant", "namespace": berthv1.HostNamespace(r.cluster)},
			"spec":     map[string]any{"podSelector": map[string]any{}, "securityGroups": map[string]any{"groupIds": []any{"sg-tenant"}}},
		}}
		if err := s.host.Create(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		if got := s.app(t, r).Annotations["fargate.amazonaws.com/pod-sg"]; got != "" {
			t.Errorf("a pod that was there before its policy has the groups %q", got)
		}
		for _, args := range [][]string{{"restart", "deploy/web"}, {"status", "deploy/web", "--timeout=2m"}} {
			if out, err := s.kubectl(r.kubeconfig, append([]string{"rollout", "-n", "hello"}, args...)...); err != nil {
				t.Fatalf("rollout %s: %s", args[0], out)
			}
		}
		if got := s.app(t, r).Annotations["fargate.amazonaws.com/pod-sg"]; got != "sg-tenant" {
			t.Fatalf("the new pod of %s has the groups %q", r.name, got)
		}
	}
	target := s.app(t, b).Status.PodIP + ":8080"
	eventually(t, time.Minute, "the group is in force", func() (bool, string) {
		got := s.inside(t, a, "dial", "tcp", target)
		return got != "connected", got
	})
	for _, r := range []resident{a, b} {
		eventually(t, time.Minute, "the edge gets into "+r.name, func() (bool, string) { return s.answer(s.url("hello."+r.name, "/")) })
	}
}

// patched starts the instance anew with patches. A pod of the pool is evicted at the age for
// that, and the app answers from the next. A control plane, which is not in the pool, stays.
func patched(t *testing.T, r resident) {
	t.Helper()
	s := berth.another(t, instanceUp(t, secondName, "--fargate", "--fargate-start-delay", startDelay.String(),
		"--fargate-patch-after", patchAfter.String(), "--pool", "0"))
	address := s.url("hello."+r.name, "/")
	controlPlane := s.controlPlane(t, r).UID
	var evicted corev1.Pod
	eventually(t, 10*time.Minute, "a pod of the app evicted", func() (bool, string) {
		seen := "its pods:"
		for _, pod := range s.hostPods(t, r) {
			if pod.Annotations[objectNamespace] != "hello" {
				continue
			}
			at, why := endedBy(&pod)
			if why == "EvictionByEvictionAPI" {
				evicted = pod
				t.Logf("%s is evicted at an age of %s", pod.Name, at.Sub(pod.CreationTimestamp.Time))
				if age := at.Sub(pod.CreationTimestamp.Time); age < patchAfter {
					t.Errorf("%s is evicted at an age of %s, want %s at least", pod.Name, age, patchAfter)
				}
				return true, ""
			}
			seen += fmt.Sprintf(" %s, %s old, ready: %t, ended by %q;", pod.Name, time.Since(pod.CreationTimestamp.Time).Round(time.Second), ready(&pod), why)
		}
		return false, seen
	})
	eventually(t, 5*time.Minute, "the app answers from the next pod", func() (bool, string) {
		served, body := s.answer(address)
		next := slices.ContainsFunc(s.hostPods(t, r), func(p corev1.Pod) bool {
			return p.Annotations[objectNamespace] == "hello" && p.UID != evicted.UID && ready(&p)
		})
		return served && next, fmt.Sprintf("another pod is ready: %t; %s", next, body)
	})
	now := s.controlPlane(t, r)
	if _, why := endedBy(now); now.UID != controlPlane || why != "" {
		t.Errorf("the control plane's pod was %s and is %s, ended by %q", controlPlane, now.UID, why)
	}
}

// endedBy is who ends a pod that did nothing wrong, and when that began.
func endedBy(pod *corev1.Pod) (at time.Time, why string) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return condition.LastTransitionTime.Time, condition.Reason
		}
	}
	return time.Time{}, ""
}

func (s *stand) controlPlane(t *testing.T, r resident) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := s.host.Get(t.Context(), client.ObjectKey{Namespace: berthv1.HostNamespace(r.cluster), Name: r.cluster + "-0"}, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}
