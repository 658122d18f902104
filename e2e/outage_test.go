package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

const (
	// apiAway is how long the API server is away: leases have run out, and whoever asked has
	// given up more than once.
	apiAway = 90 * time.Second
	// partAway is how long another part is: ten seconds less than it takes the node to end one
	// that does not answer and to start it anew.
	partAway = 45 * time.Second
	// underLoad is how long requests are sent to an edge while the API server is away, at least.
	underLoad = 20 * time.Second
)

// TestOutage: the API server, the controller and a tenant's control plane do not answer for
// long. They are stopped, not ended, so that nobody starts them anew and whoever asks waits.
// Apps answer throughout, also by way of an edge that started meanwhile; afterwards all is well
// again by itself and a deploy works.
func TestOutage(t *testing.T) {
	for _, tenant := range []string{"outage", "calm"} {
		berth.tenant(t, tenant, "small")
		// The time in which a part is away is not the release's fault.
		berth.apply(t, tenant, "deployTimeoutSeconds: 1800\n"+helloApp)
		answers(t, "hello."+tenant, "/version", 200, "1")
	}
	everythingReady(t)
	t.Run("the API server", apiServerAway)
	t.Run("the controller", controllerAway)
	t.Run("a tenant's control plane", controlPlaneAway)
	nothingLost(t)
}

// apiServerAway kills the edge while the API server is away. No request fails before that, and
// none from the moment in which the next edge answers.
func apiServerAway(t *testing.T) {
	apiServer := part{name: "API server", find: func() []int { return nodeProcesses(t, "kube-apiserver") }}
	edge := part{name: "edge", find: func() []int { return processes("/berth-router", "") }}
	metrics := edgeMetrics(t) // nobody can be asked for it later
	address := berth.url("hello.outage", "/")

	load := startLoad(t, address, 20)
	goOn := apiServer.stop(t)
	since := time.Now()
	time.Sleep(underLoad) // requests are answered meanwhile
	t.Log("of the edge that was there before:")
	load.end(t)

	killed := edge.kill(t)
	start := time.Now()
	edge.runningWithout(t, killed)
	eventually(t, 3*time.Minute, "the next edge serves", func() (bool, string) { return berth.answer(address) })
	t.Logf("the next edge serves %s after the kill", time.Since(start).Round(10*time.Millisecond))
	isStale(t, metrics, true)
	load = startLoad(t, address, 20)
	time.Sleep(max(underLoad, apiAway-time.Since(since))) // requests are answered meanwhile
	t.Log("of the edge that serves what the last one knew:")
	load.end(t)

	load = startLoad(t, address, 20)
	goOn()
	t.Logf("the API server goes on after %s", time.Since(since).Round(time.Second))
	// The edge asks again by and by: until then it knows nothing of a process that goes.
	isStale(t, metrics, false)
	wellAgain(t)
	t.Log("from when the API server goes on, until all is ready:")
	load.end(t)
}

// controllerAway types a deploy that waits for the controller.
func controllerAway(t *testing.T) {
	load := startLoad(t, berth.url("hello.outage", "/"), 20)
	controller := part{name: "controller", find: func() []int { return processes("/berth-controller", "") }}
	before := releasePhases(t, "outage")
	goOn := controller.stop(t)
	deployed(t, "outage", func() {
		time.Sleep(partAway) // requests are answered meanwhile
		if now := releasePhases(t, "outage"); len(now) != len(before) {
			t.Errorf("there are releases %v without the controller, want no more than %v", now, before)
		}
		goOn()
	})
	everythingReady(t)
	load.end(t)
}

// controlPlaneAway stops all of a tenant's control plane. Its app answers, and nobody else
// notices: another tenant deploys meanwhile.
func controlPlaneAway(t *testing.T) {
	own, calm := clusterOf(t, "outage"), clusterOf(t, "calm")
	load := startLoad(t, berth.url("hello.outage", "/"), 20)
	beside := startLoad(t, berth.url("hello.calm", "/"), 20)
	others := startsOf(t, calm+"-0")
	goOn := controlPlaneOf(own).stop(t)
	since := time.Now()
	deployed(t, "calm", func() {})
	time.Sleep(partAway - time.Since(since)) // nothing, if the deploy took as long
	for name, object := range map[string]client.Object{"calm": &berthv1.Tenant{}, calm: &berthv1.VirtualCluster{}} {
		if ok, why := isReady(t, name, object); !ok {
			t.Errorf("%T %s of another tenant is not ready: %s", object, name, why)
		}
	}
	_, why := isReady(t, own, &berthv1.VirtualCluster{})
	t.Logf("the cluster without its control plane says: %s", why)
	goOn()
	if diff := cmp.Diff(others, startsOf(t, calm+"-0")); diff != "" {
		t.Errorf("others were started anew (- before, + after):\n%s", diff)
	}
	wellAgain(t)
	load.end(t)
	beside.end(t)
}

// controlPlaneOf is all that runs of a cluster's control plane.
func controlPlaneOf(cluster string) part {
	return part{name: "control plane of " + cluster, find: func() []int {
		var all []int
		for _, program := range []string{"/vcluster", "/binaries/kube-apiserver", "/binaries/kube-controller-manager", "/binaries/kine"} {
			all = append(all, processes(program, "HOSTNAME="+cluster+"-0")...)
		}
		return all
	}}
}

// stop halts the part's processes and gives the function with which they go on, which fails
// the scenario if anything else than them did the part's work meanwhile. They go on at the
// end of the scenario in any case.
func (p part) stop(t *testing.T) (goOn func()) {
	t.Helper()
	pids := p.running(t)
	resume := sync.OnceFunc(func() {
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Errorf("letting %d of the %s go on: %v", pid, p.name, err)
			}
		}
	})
	t.Cleanup(resume)
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatalf("stopping %d of the %s: %v", pid, p.name, err)
		}
	}
	return func() {
		t.Helper()
		goesOn := func(pid int) bool { return !isHalted(pid) }
		if now := p.find(); !slices.Equal(now, pids) || slices.ContainsFunc(now, goesOn) {
			t.Errorf("the %s was not away all the time: processes %v were stopped, there are %v", p.name, pids, now)
		}
		resume()
	}
}

// isHalted tells whether a process is stopped by a signal.
func isHalted(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := bytes.Cut(stat, []byte(") ")) // the program's name is in brackets
	return err == nil && bytes.HasPrefix(state, []byte("T"))
}

// deployed puts another version into a tenant's hello app, lets something happen meanwhile
// and waits until it is live at the edge. A command that fails half-way is typed again.
func deployed(t *testing.T, tenant string, meanwhile func()) {
	t.Helper()
	release := len(releasePhases(t, tenant)) + 1
	version := versionOf(release)
	operation{
		name: fmt.Sprintf("v%d of %s", release, tenant),
		args: []string{"deploy", "web=" + testImage(version), "-t", tenant, "-a", "hello"},
		done: func(t *testing.T) (bool, string) {
			t.Helper()
			if ok, why := liveRelease(t, tenant, release); !ok {
				return false, why
			}
			ok, body := berth.answer(berth.url("hello."+tenant, "/version"))
			return ok && body == version, body
		},
	}.run(t, meanwhile)
}

// wellAgain wants a deploy to work and everything to be ready, without help.
func wellAgain(t *testing.T) {
	t.Helper()
	start := time.Now()
	everythingReady(t)
	// That all is ready may be a word from before: a deploy needs every part.
	deployed(t, "outage", func() {})
	everythingReady(t)
	poolWhole(t)
	t.Logf("a deploy has worked and all is ready after %s", time.Since(start).Round(10*time.Millisecond))
}

// edgeMetrics is where the edge tells its metrics, inside.
func edgeMetrics(t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	labels := client.MatchingLabels{"app.kubernetes.io/name": "berth", "app.kubernetes.io/component": "router"}
	if err := berth.host.List(t.Context(), &pods, client.InNamespace(systemNamespace), labels); err != nil {
		t.Fatal(err)
	}
	edges := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || p.Status.PodIP == "" })
	if len(edges) != 1 {
		t.Fatalf("there are %d edges, want one", len(edges))
	}
	return "http://" + edges[0].Status.PodIP + ":9090/metrics"
}

// isStale waits until the edge says whether it serves what an earlier one knew.
func isStale(t *testing.T, metrics string, stale bool) {
	t.Helper()
	want := "\nberth_router_table_stale 0\n"
	if stale {
		want = "\nberth_router_table_stale 1\n"
	}
	eventually(t, 3*time.Minute, "the edge says"+want, func() (bool, string) {
		out, err := onNode(berth.nodePID(t), "curl", "--silent", "--show-error", "--fail", "--max-time", "5", metrics).CombinedOutput()
		_, said, _ := strings.Cut(string(out), "\nberth_router_table_stale ")
		return err == nil && strings.Contains(string(out), want), fmt.Sprintf("%.20q (%v)", said, err)
	})
}

// startsOf tells how often each process of the platform and of a control plane was started, by
// its pod and that pod's UID.
func startsOf(t *testing.T, controlPlane string) map[string]int32 {
	t.Helper()
	var pods corev1.PodList
	if err := berth.host.List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	starts := map[string]int32{}
	for _, pod := range pods.Items {
		if pod.Name != controlPlane && !slices.Contains(platformNamespaces, pod.Namespace) {
			continue
		}
		for _, container := range pod.Status.ContainerStatuses {
			starts[fmt.Sprintf("%s/%s %s, %s", pod.Namespace, pod.Name, container.Name, pod.UID)] = container.RestartCount
		}
	}
	return starts
}
