package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestKills: the controller, the edge and the tenant's control plane are killed while a
// release rolls out. Everything converges, no release is lost, nothing is left over, and the
// app answers throughout when the part that was killed is not the edge.
func TestKills(t *testing.T) {
	berth.tenant(t, "kills", "small")
	berth.apply(t, "kills", helloApp)
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "kills"}, &tenant); err != nil {
		t.Fatal(err)
	}
	release := 1
	for _, c := range []struct {
		part    string
		find    func() []int
		serving bool
	}{
		{"controller", func() []int { return processes("/berth-controller", "") }, true},
		{"control plane", func() []int { return processes("/vcluster", "HOSTNAME="+tenant.Status.VirtualCluster+"-0") }, true},
		{"edge", func() []int { return processes("/berth-router", "") }, false},
	} {
		t.Run(c.part, func(t *testing.T) {
			for n := range *kills {
				release++
				var load *load
				if c.serving {
					load = startLoad(t, berth.url("hello.kills", "/"), 50)
				}
				deployAndKill(t, release, time.Duration(n)*200*time.Millisecond, c.find)
				if load != nil {
					load.end(t)
				}
			}
		})
	}
	var releases berthv1.ReleaseList
	if err := berth.host.List(t.Context(), &releases, client.InNamespace(berthv1.ManagementNamespace("kills"))); err != nil {
		t.Fatal(err)
	}
	if len(releases.Items) != release {
		t.Errorf("%d deploys made %d releases", release, len(releases.Items))
	}
	eventually(t, 2*time.Minute, "one process of the last release and nothing else", func() (bool, string) {
		return onlyProcess(t, tenant.Status.VirtualCluster, fmt.Sprintf("v%d", release))
	})
}

// onlyProcess tells whether the host holds exactly one pod of the hello app, running, and of
// the release given; a pod that is being deleted counts as well.
func onlyProcess(t *testing.T, cluster, release string) (bool, string) {
	t.Helper()
	var pods corev1.PodList
	if err := berth.host.List(t.Context(), &pods, client.InNamespace(berthv1.HostNamespace(cluster)), client.MatchingLabels{berthv1.LabelApp: "hello"}); err != nil {
		return false, err.Error()
	}
	var seen []string
	for _, pod := range pods.Items {
		seen = append(seen, fmt.Sprintf("%s of %s: %s, being deleted: %t", pod.Name, pod.Labels[berthv1.LabelRelease], pod.Status.Phase, pod.DeletionTimestamp != nil))
	}
	ok := len(pods.Items) == 1 && pods.Items[0].DeletionTimestamp == nil &&
		pods.Items[0].Status.Phase == corev1.PodRunning && pods.Items[0].Labels[berthv1.LabelRelease] == release
	return ok, strings.Join(seen, "; ")
}

// deployAndKill starts a deploy, kills a part a moment later, and waits for the release.
func deployAndKill(t *testing.T, release int, after time.Duration, find func() []int) {
	t.Helper()
	version := strconv.Itoa(2 + release%2)
	image := testImage(version)
	deploy := berth.command("deploy", "web="+image, "-t", "kills", "-a", "hello")
	var out bytes.Buffer
	deploy.Stdout, deploy.Stderr = &out, &out
	if err := deploy.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	pids := find()
	if len(pids) == 0 {
		t.Fatal("the part to kill does not run")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("killing %d: %v", pid, err)
		}
	}
	// A command that loses its connection half-way says so and is typed again, as a person
	// would: a release that was made already is not made twice.
	if deploy.Wait() != nil {
		eventually(t, time.Minute, "the deploy typed again", func() (bool, string) {
			_, errOut, code := berth.try(t, "deploy", "web="+image, "-t", "kills", "-a", "hello")
			return code == 0, errOut
		})
	}
	eventually(t, 3*time.Minute, fmt.Sprintf("release v%d live", release), func() (bool, string) {
		var got berthv1.Release
		key := client.ObjectKey{Namespace: berthv1.ManagementNamespace("kills"), Name: fmt.Sprintf("hello-v%d", release)}
		if err := berth.host.Get(t.Context(), key, &got); err != nil {
			return false, err.Error() + "; the deploy said: " + out.String()
		}
		return got.Status.Phase == berthv1.ReleaseLive, string(got.Status.Phase)
	})
	eventually(t, time.Minute, "the new version at the edge", func() (bool, string) {
		response, err := berth.http.Get(berth.url("hello.kills", "/version"))
		if err != nil {
			return false, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == 200 && string(body) == version, fmt.Sprintf("%s: %q", response.Status, body)
	})
}

// processes finds the processes of a program in the pods of the scenarios' instance, by the
// program's path in its own filesystem and, if given, by a line of its environment. Another
// instance on the machine runs the same programs.
func processes(program, environment string) []int {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		command, err := os.ReadFile(entry + "/cmdline")
		if err != nil || !bytes.HasPrefix(command, append([]byte(program), 0)) || !inInstance(entry, instanceName) {
			continue
		}
		if environment != "" {
			lines, err := os.ReadFile(entry + "/environ")
			if err != nil || !strings.Contains("\x00"+string(lines), "\x00"+environment+"\x00") {
				continue
			}
		}
		pid, _ := strconv.Atoi(filepath.Base(entry))
		found = append(found, pid)
	}
	return found
}

// inInstance tells whether a process, named by its folder below /proc, is in the control
// groups of an instance's pods.
func inInstance(process, instance string) bool {
	groups, err := os.ReadFile(process + "/cgroup")
	return err == nil && strings.Contains(string(groups), "/"+controlGroup(instance)+"/")
}

// TestControlPlaneComesBack: the control plane's process is gone and started anew; the
// tenant's objects are all there.
func TestControlPlaneComesBack(t *testing.T) {
	berth.tenant(t, "comeback", "small")
	config := filepath.Join(t.TempDir(), "kubeconfig")
	berth.berth(t, "kubeconfig", "-t", "comeback", "--file", config)
	if out, err := berth.kubectl(config, "create", "configmap", "kept", "--from-literal=a=b"); err != nil {
		t.Fatalf("creating an object: %s", out)
	}
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "comeback"}, &tenant); err != nil {
		t.Fatal(err)
	}
	cluster := tenant.Status.VirtualCluster
	key := client.ObjectKey{Namespace: berthv1.HostNamespace(cluster), Name: cluster + "-0"}
	var before corev1.Pod
	if err := berth.host.Get(t.Context(), key, &before); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := berth.kubectl(berth.up.Kubeconfig, "delete", "pod", "-n", key.Namespace, key.Name, "--force", "--grace-period=0"); err != nil {
		t.Fatalf("deleting the control plane's pod: %s", out)
	}
	// An answer counts only when the old process cannot have given it.
	eventually(t, 2*time.Minute, "another pod of the control plane, ready", func() (bool, string) {
		var pod corev1.Pod
		if err := berth.host.Get(t.Context(), key, &pod); err != nil {
			return false, err.Error()
		}
		return pod.UID != before.UID && ready(&pod), fmt.Sprintf("pod %s, %s, ready: %t", pod.UID, pod.Status.Phase, ready(&pod))
	})
	eventually(t, time.Minute, "the tenant's object", func() (bool, string) {
		out, err := berth.kubectl(config, "get", "configmap", "kept", "-o", "jsonpath={.data.a}")
		return err == nil && out == "b", out
	})
	t.Logf("answering again after %s", time.Since(start).Round(100*time.Millisecond))
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// controlGroup is the name of an instance's control group: the scenarios' instances are
// not in the usual home, whose path is then part of the name.
func controlGroup(instance string) string {
	sum := sha256.Sum256([]byte(filepath.Join(berth.home, instance)))
	return "berth-" + instance + "-" + hex.EncodeToString(sum[:3])
}
