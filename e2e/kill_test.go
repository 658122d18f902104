package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestKills: the controller, the edge and the tenant's control plane are killed while a
// release rolls out, at moments spread over the time of a rollout, and once before there is
// a release. Everything converges, no release is lost, nothing is left over, and the app
// answers throughout when the part that was killed is not the edge.
func TestKills(t *testing.T) {
	berth.tenant(t, "kills", "small")
	// The time in which a part waits to be started again is not the release's fault.
	berth.apply(t, "kills", "deployTimeoutSeconds: 1800\n"+helloApp)
	cluster := clusterOf(t, "kills")
	release := 2
	load := startLoad(t, berth.url("hello.kills", "/"), 50)
	rollout := undisturbed(t, release)
	load.end(t)
	for _, part := range []part{
		{"controller", func() []int { return processes("/berth-controller", "") }, true},
		{"control plane", func() []int { return processes("/vcluster", "HOSTNAME="+cluster+"-0") }, true},
		{"edge", func() []int { return processes("/berth-router", "") }, false},
	} {
		t.Run(part.name, func(t *testing.T) {
			inFlight := 0
			for n := -1; n < *kills; n++ {
				release++
				if deployAndKill(t, part, release, n, rollout) == berthv1.ReleaseRollingOut {
					inFlight++
				}
			}
			if inFlight == 0 {
				t.Error("no kill came while a release rolled out")
			}
		})
	}
	want := map[string]berthv1.ReleasePhase{}
	for n := range release {
		want[fmt.Sprintf("hello-v%d", n+1)] = berthv1.ReleaseSuperseded
	}
	want[fmt.Sprintf("hello-v%d", release)] = berthv1.ReleaseLive
	eventually(t, 5*time.Minute, "every deploy a release, only the last one live", func() (bool, string) {
		diff := cmp.Diff(want, releasePhases(t, "kills"))
		return diff == "", diff
	})
	eventually(t, 5*time.Minute, "one process of the last release and nothing else", func() (bool, string) {
		return onlyProcess(t, cluster, fmt.Sprintf("v%d", release))
	})
	noOrphansInside(t, release)
	nothingOrphaned(t)
}

// versionOf is the version of the test app that a release of TestKills puts in: another
// than that of the release before.
func versionOf(release int) string { return strconv.Itoa(2 + release%2) }

// undisturbed measures a rollout that nobody disturbs.
func undisturbed(t *testing.T, release int) time.Duration {
	t.Helper()
	deployed := deployUntilDone(t, versionOf(release))
	rolling(t, release)
	start := time.Now()
	waitPhase(t, release, berthv1.ReleaseLive)
	took := time.Since(start)
	liveAtEdge(t, release, deployed)
	t.Logf("a rollout that nobody disturbs takes %s", took.Round(10*time.Millisecond))
	return took
}

// deployAndKill starts a deploy, kills a part, waits until all is well, and returns the
// release's phase at the kill. Round -1 kills as soon as the command runs; the others when
// the release rolls out, from its beginning to nearly the end of the time that takes.
func deployAndKill(t *testing.T, part part, release, round int, rollout time.Duration) berthv1.ReleasePhase {
	t.Helper()
	if part.serving {
		load := startLoad(t, berth.url("hello.kills", "/"), 50)
		defer load.end(t)
	}
	deployed := deployUntilDone(t, versionOf(release))
	moment := "the start of the command"
	if round >= 0 {
		share := 95 * round / max(1, *kills-1)
		moment = fmt.Sprintf("%d %% of the rollout", share)
		rolling(t, release)
		time.Sleep(rollout * time.Duration(share) / 100) // the moment is what is tried
	}
	part.running(t)
	phase, err := phaseOf(t, release)
	if err != nil {
		t.Errorf("the phase at the kill: %v", err)
	}
	part.kill(t)
	start := time.Now()
	liveAtEdge(t, release, deployed)
	part.running(t)
	t.Logf("v%d, killed at %s, in phase %q: live and at the edge %s later", release, moment, phase, time.Since(start).Round(10*time.Millisecond))
	return phase
}

// deployUntilDone runs a deploy in the background. A command that loses its connection
// half-way says so and is typed again, as a person would: a release that was made already
// is not made twice.
func deployUntilDone(t *testing.T, version string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	late := time.Now().Add(comesBack)
	ctx := t.Context()
	go func() {
		for {
			out, err := berth.command("deploy", "web="+testImage(version), "-t", "kills", "-a", "hello").CombinedOutput()
			if err == nil || ctx.Err() != nil || time.Now().After(late) {
				done <- err
				return
			}
			fmt.Fprintf(os.Stderr, "the deploy is typed again: %v: %s\n", err, out)
			time.Sleep(time.Second) // as a person would, while what was killed starts again
		}
	}()
	return done
}

// phaseOf is the phase of a release of TestKills, empty while there is none.
func phaseOf(t *testing.T, release int) (berthv1.ReleasePhase, error) {
	t.Helper()
	var got berthv1.Release
	key := client.ObjectKey{Namespace: berthv1.ManagementNamespace("kills"), Name: fmt.Sprintf("hello-v%d", release)}
	err := client.IgnoreNotFound(berth.host.Get(t.Context(), key, &got))
	return got.Status.Phase, err
}

// waitPhase waits until a release is in one of the phases.
func waitPhase(t *testing.T, release int, phases ...berthv1.ReleasePhase) {
	t.Helper()
	eventually(t, comesBack, fmt.Sprintf("v%d in phase %q", release, phases), func() (bool, string) {
		phase, err := phaseOf(t, release)
		return slices.Contains(phases, phase), fmt.Sprintf("phase %q (%v)", phase, err)
	})
}

// rolling waits until a release is rolling out, or has done so already.
func rolling(t *testing.T, release int) {
	t.Helper()
	waitPhase(t, release, berthv1.ReleaseRollingOut, berthv1.ReleaseLive)
}

// liveAtEdge waits until a release is live, its command has ended well and its version
// answers.
func liveAtEdge(t *testing.T, release int, deployed <-chan error) {
	t.Helper()
	waitPhase(t, release, berthv1.ReleaseLive)
	if err := <-deployed; err != nil {
		t.Errorf("the deploy of v%d: %v", release, err)
	}
	eventually(t, comesBack, "the new version at the edge", func() (bool, string) {
		response, err := berth.http.Get(berth.url("hello.kills", "/version"))
		if err != nil {
			return false, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == 200 && string(body) == versionOf(release), fmt.Sprintf("%s: %q", response.Status, body)
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

// noOrphansInside waits until the tenant's cluster holds of the app what its last release
// needs and what is kept for its predecessors, and nothing else.
func noOrphansInside(t *testing.T, release int) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "kubeconfig")
	berth.berth(t, "kubeconfig", "-t", "kills", "--file", config)
	want := []string{"ConfigMap kube-root-ca.crt", "Deployment web", "Pod", "ReplicaSet", "Service web"}
	// A release's environment is kept until there are three newer ones.
	for n := release - 2; n <= release; n++ {
		want = append(want, fmt.Sprintf("Secret hello-v%d-env", n))
	}
	slices.Sort(want)
	eventually(t, 5*time.Minute, "nothing of the app but what it needs", func() (bool, string) {
		out, err := berth.kubectl(config, "get", "deployments,replicasets,pods,services,secrets,configmaps", "-n", "hello", "-o", "json")
		var list struct {
			Items []struct {
				Kind     string
				Metadata metav1.ObjectMeta
				Spec     struct{ Replicas *int32 }
			}
		}
		if err != nil || json.Unmarshal([]byte(out), &list) != nil {
			return false, out
		}
		var got []string
		for _, item := range list.Items {
			switch {
			case item.Kind == "ReplicaSet" && item.Spec.Replicas != nil && *item.Spec.Replicas == 0: // history, to go back to
			case item.Kind == "ReplicaSet", item.Kind == "Pod": // their names are random
				got = append(got, item.Kind)
			default:
				got = append(got, item.Kind+" "+item.Metadata.Name)
			}
		}
		slices.Sort(got)
		diff := cmp.Diff(want, got)
		return diff == "", diff
	})
}

// noOrphansOnHost waits until every namespace of a virtual cluster and every record of
// Helm's on the host belongs to a VirtualCluster, the record of Berth's own chart aside.
func noOrphansOnHost(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Minute, "a VirtualCluster for everything of one", func() (bool, string) {
		var namespaces corev1.NamespaceList
		var records corev1.SecretList
		var clusters berthv1.VirtualClusterList
		if err := errors.Join(
			berth.host.List(t.Context(), &namespaces), berth.host.List(t.Context(), &clusters),
			berth.host.List(t.Context(), &records, client.MatchingLabels{"owner": "helm"}),
		); err != nil {
			return false, err.Error()
		}
		known := map[string]bool{"berth": true}
		for _, cluster := range clusters.Items {
			known[cluster.Name] = true
		}
		var orphans []string
		for _, namespace := range namespaces.Items {
			if id, is := strings.CutPrefix(namespace.Name, berthv1.HostNamespace("")); is && !known[id] {
				orphans = append(orphans, "namespace "+namespace.Name)
			}
		}
		for _, record := range records.Items {
			if !known[record.Labels["name"]] {
				orphans = append(orphans, "record "+record.Name)
			}
		}
		return len(orphans) == 0 && len(records.Items) > 1, fmt.Sprintf("%d records; without a VirtualCluster: %v", len(records.Items), orphans)
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
