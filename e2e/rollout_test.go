package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// TestRolloutUnderLoad: new images and scaling 1 → 4 → 2 lose none of 200 requests a
// second.
func TestRolloutUnderLoad(t *testing.T) {
	berth.tenant(t, "rollout", "small")
	berth.apply(t, "rollout", helloApp)
	rollout{tenant: "rollout", app: "hello", name: "web", ocus: 1, plan: 20}.run(t, hello("rollout"))
}

// TestRolloutAtFullPlan does the same on a plan of eight OCUs with processes of two: four
// of them use all of it, and the rollout's extra process must find room in the quota. The
// plan is that small because the machine's memory, never overcommitted, must hold five.
func TestRolloutAtFullPlan(t *testing.T) {
	plan := &berthv1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "eight"}, Spec: berthv1.PlanSpec{OCUs: 8, Storage: resource.MustParse("1Gi"), MaxPods: 50}}
	if err := berth.host.Create(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = berth.host.Delete(cleanupContext(t), plan) })
	berth.tenant(t, "fullplan", plan.Name)
	berth.apply(t, "fullplan", helloApp)
	rollout{tenant: "fullplan", app: "hello", name: "web", ocus: 2, plan: plan.Spec.OCUs}.run(t, hello("fullplan"))
}

// rollout is a component that is released and scaled under load. Each of its processes has
// ocus OCUs of the plan's; others are what the tenant uses besides.
type rollout struct {
	tenant, app, name string
	ocus, others      int
	plan              int32
}

// target is how a component is loaded, and how a version of it is told.
type target struct {
	image   func(version string) string
	version func(t *testing.T) string
	load    func(t *testing.T) *load
}

// hello is the hello app of a tenant.
func hello(tenant string) target {
	return target{
		image: testImage,
		version: func(t *testing.T) string {
			t.Helper()
			_, body := berth.get(t, berth.url("hello."+tenant, "/version"))
			return body
		},
		load: func(t *testing.T) *load {
			t.Helper()
			return startLoad(t, berth.url("hello."+tenant, "/"), 200)
		},
	}
}

// run releases three images and scales 1 → 4 → 2 meanwhile.
func (r rollout) run(t *testing.T, what target) {
	t.Helper()
	in := []string{"-t", r.tenant, "-a", r.app}
	deploy := func(version string) {
		t.Helper()
		berth.berth(t, append([]string{"deploy", r.name + "=" + what.image(version)}, in...)...)
		eventually(t, time.Minute, "version "+version+" at the edge", func() (bool, string) {
			got := what.version(t)
			return got == version, got
		})
	}
	scale := func(count int) string {
		t.Helper()
		said := berth.berth(t, append([]string{"ps:scale", fmt.Sprintf("%s=%d:%d", r.name, count, r.ocus)}, in...)...)
		eventually(t, 5*time.Minute, fmt.Sprintf("%d processes of %d OCUs", count, r.ocus), func() (bool, string) {
			return processesUp(t, r.name, count, r.ocus, in...)
		})
		return said
	}
	scale(1)
	load := what.load(t)
	time.Sleep(2 * time.Second) // slow requests are under way when the first process goes
	deploy("2")
	said := scale(4)
	if want := fmt.Sprintf("uses %d of the %d OCUs", 4*r.ocus+r.others, r.plan); !strings.Contains(said, want) {
		t.Errorf("scaling to 4 does not say that the tenant %s:\n%s", want, said)
	}
	deploy("1")
	scale(2)
	deploy("2")
	time.Sleep(2 * time.Second) // what begins now meets the last processes that stop
	load.end(t)
}

// processesUp tells whether so many processes of a component and a size are up, by what `berth ps` says,
// and none is about to be. Those that are stopping do not count.
func processesUp(t *testing.T, name string, count, ocus int, in ...string) (bool, string) {
	t.Helper()
	out := berth.berth(t, append([]string{"ps", "--json"}, in...)...)
	var processes []apiclient.Process
	if err := json.Unmarshal([]byte(out), &processes); err != nil {
		t.Fatalf("berth ps --json: %v\n%s", err, out)
	}
	up, others := 0, 0
	var seen []string
	for _, process := range processes {
		switch {
		case process.State == "stopping", process.Component != name:
		case process.State == "up" && process.Ready && int(process.OCUs) == ocus:
			up++
		default:
			others++
		}
		seen = append(seen, fmt.Sprintf("%s %s, %d OCUs", process.Name, process.State, process.OCUs))
	}
	return up == count && others == 0, strings.Join(seen, "; ")
}

// pairApp is an app of two components, of which either can be made to fail.
const pairApp = `app: pair
deployTimeoutSeconds: 60
components:
  web:
    image: %WEB%
    command: [%WEBCOMMAND%]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
  worker:
    image: %WORKER%
    command: [%WORKERCOMMAND%]
    ports:
      http: {port: 8080}
    health: {path: /healthz}
`

// component is a version of the test app and the command it is started with.
type component struct{ version, command string }

func pairOf(web, worker component) string {
	return strings.NewReplacer("%WEB%", testImage(web.version), "%WEBCOMMAND%", web.command,
		"%WORKER%", testImage(worker.version), "%WORKERCOMMAND%", worker.command).Replace(pairApp)
}

// jargon is what an explanation must not say: whoever never met Kubernetes does not know it.
var jargon = regexp.MustCompile(`(?i)\b(pods?|containers?|containerd|namespaces?|nodes?|clusters?|vclusters?|kubernetes|k8s|kubelet|kubectl|` +
	`deployments?|replicas?|replicasets?|probes?|liveness|readiness|endpoints?|reconcil\w*|controllers?|rollout|sandbox|runc|oci)\b` +
	`|backoff|errimage|oomkilled|containercreating|runcontainererror|starterror|unschedulable`)

// TestFailedRelease: a release that never becomes healthy leaves the old one serving on all
// components, and the command says why in plain words. The components of the first release
// have different images: each must come back to its own.
func TestFailedRelease(t *testing.T) {
	berth.tenant(t, "failing", "small")
	const serve, exit = "/testapp, serve", "/testapp, exit, '3'"
	berth.apply(t, "failing", pairOf(component{"1", serve}, component{"3", serve}))
	phases := map[string]berthv1.ReleasePhase{"pair-v1": berthv1.ReleaseLive}
	// A component that is healthy answers before it is known that another one is not, and
	// goes back with it; so that case is last, when the others have had only version 1.
	for n, c := range []struct {
		name, text string
		says       []string
		answers    []string
	}{
		{"a process that exits", pairOf(component{"2", exit}, component{"2", serve}), []string{"failed. web: ", "exit code 3", "SHOP_KEY is not set"}, []string{"1"}},
		{"a process that is never healthy", pairOf(component{"unhealthy", serve}, component{"2", serve}), []string{"failed. web: ", "GET /healthz on port 8080"}, []string{"1"}},
		{"a process that exits beside a healthy one", pairOf(component{"2", serve}, component{"2", exit}), []string{"failed. worker: ", "exit code 3", "SHOP_KEY is not set"}, []string{"1", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := startLoad(t, berth.url("pair.failing", "/version"), 50, c.answers...)
			out, errOut, code := berth.tryApply(t, "failing", c.text)
			explains(t, out+errOut, code, c.says...)
			eventually(t, 5*time.Minute, "all components on version 1 again", func() (bool, string) {
				_, body := berth.get(t, berth.url("pair.failing", "/version"))
				ok, seen := everyProcessRuns(t, "failing", "pair")
				return ok && body == "1", fmt.Sprintf("version %s answers; %s", body, seen)
			})
			load.end(t)
			phases[fmt.Sprintf("pair-v%d", n+2)] = berthv1.ReleaseFailed
			if diff := cmp.Diff(phases, releasePhases(t, "failing")); diff != "" {
				t.Errorf("the releases (-want +got):\n%s", diff)
			}
		})
	}
}

// explains checks what a deploying command says of a release that failed.
func explains(t *testing.T, said string, code int, words ...string) {
	t.Helper()
	if code == 0 {
		t.Errorf("a failed release exits with 0: %s", said)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("the explanation lacks %q:\n%s", word, said)
		}
	}
	if found := jargon.FindAllString(said, -1); found != nil {
		t.Errorf("the explanation says %q:\n%s", found, said)
	}
}

// releasePhases are a tenant's releases, by name.
func releasePhases(t *testing.T, tenant string) map[string]berthv1.ReleasePhase {
	t.Helper()
	var releases berthv1.ReleaseList
	if err := berth.host.List(t.Context(), &releases, client.InNamespace(berthv1.ManagementNamespace(tenant))); err != nil {
		t.Fatal(err)
	}
	phases := map[string]berthv1.ReleasePhase{}
	for _, release := range releases.Items {
		phases[release.Name] = release.Status.Phase
	}
	return phases
}

// everyProcessRuns tells whether each component of an app has exactly one process, ready
// and of the component's image in the app's first release, as the host sees them. Those
// that are being deleted do not count.
func everyProcessRuns(t *testing.T, tenant, app string) (bool, string) {
	t.Helper()
	var release berthv1.Release
	if err := berth.host.Get(t.Context(), client.ObjectKey{Namespace: berthv1.ManagementNamespace(tenant), Name: app + "-v1"}, &release); err != nil {
		t.Fatal(err)
	}
	var pods corev1.PodList
	namespace := client.InNamespace(berthv1.HostNamespace(clusterOf(t, tenant)))
	if err := berth.host.List(t.Context(), &pods, namespace, client.MatchingLabels{berthv1.LabelApp: app}); err != nil {
		t.Fatal(err)
	}
	var want, got, seen []string
	for _, component := range release.Spec.Template.Components {
		want = append(want, component.Name+" "+component.Image)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		name, image, ending := pod.Labels[berthv1.LabelComponent], pod.Spec.Containers[0].Image, pod.DeletionTimestamp != nil
		seen = append(seen, fmt.Sprintf("%s %s, ready: %t, being deleted: %t", name, image, ready(pod), ending))
		switch {
		case ending:
		case ready(pod):
			got = append(got, name+" "+image)
		default:
			got = append(got, name+" is not ready")
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	return slices.Equal(want, got), strings.Join(seen, "; ")
}

// clusterOf is the virtual cluster that serves a tenant.
func clusterOf(t *testing.T, tenant string) string {
	t.Helper()
	var owner berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: tenant}, &owner); err != nil {
		t.Fatal(err)
	}
	return owner.Status.VirtualCluster
}
