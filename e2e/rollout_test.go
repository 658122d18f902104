package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestRolloutUnderLoad: new images and scaling 1 → 4 → 2 lose none of 200 requests a
// second.
func TestRolloutUnderLoad(t *testing.T) {
	berth.tenant(t, "rollout", "small")
	berth.apply(t, "rollout", helloApp)
	rollout(t, "rollout", 1, 20)
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
	rollout(t, "fullplan", 2, plan.Spec.OCUs)
}

// rollout releases and scales the hello app of a tenant under load; every process has
// ocus OCUs of the plan's.
func rollout(t *testing.T, tenant string, ocus int, plan int32) {
	t.Helper()
	in := []string{"-t", tenant, "-a", "hello"}
	deploy := func(version string) {
		t.Helper()
		berth.berth(t, append([]string{"deploy", "web=" + testImage(version)}, in...)...)
		eventually(t, 10*time.Second, "version "+version+" at the edge", func() (bool, string) {
			_, body := berth.get(t, berth.url("hello."+tenant, "/version"))
			return body == version, body
		})
	}
	scale := func(count int) string {
		t.Helper()
		said := berth.berth(t, append([]string{"ps:scale", fmt.Sprintf("web=%d:%d", count, ocus)}, in...)...)
		eventually(t, 2*time.Minute, fmt.Sprintf("%d processes", count), func() (bool, string) {
			out := berth.berth(t, append([]string{"ps"}, in...)...)
			return strings.Count(out, "web.") == count, out
		})
		return said
	}
	scale(1)
	load := startLoad(t, berth.url("hello."+tenant, "/"), 200)
	time.Sleep(2 * time.Second)
	deploy("2")
	said := scale(4)
	if want := fmt.Sprintf("uses %d of the %d OCUs", 4*ocus, plan); !strings.Contains(said, want) {
		t.Errorf("scaling to 4 does not say that the tenant %s:\n%s", want, said)
	}
	deploy("3")
	scale(2)
	deploy("1")
	time.Sleep(2 * time.Second)
	load.end(t)
}

// TestFailedRelease: a release that never becomes healthy leaves the old one serving on all
// components, and the command says why in plain words.
func TestFailedRelease(t *testing.T) {
	berth.tenant(t, "failing", "small")
	const two = `app: pair
deployTimeoutSeconds: 40
components:
  web:
    image: %WEB%
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
  worker:
    image: %WORKER%
    command: [%COMMAND%]
    ports:
      http: {port: 8080}
    health: {path: /healthz}
`
	file := func(web, worker, command string) string {
		return strings.NewReplacer("%WEB%", testImage(web), "%WORKER%", testImage(worker), "%COMMAND%", command).Replace(two)
	}
	berth.apply(t, "failing", file("1", "1", "/testapp, serve"))
	load := startLoad(t, berth.url("pair.failing", "/version"), 50)
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"a process that exits", file("2", "2", "/testapp, exit, '3'"), []string{"worker", "3", "SHOP_KEY is not set"}},
		{"a process that is never healthy", file("2", "unhealthy", "/testapp, serve"), []string{"worker", "health"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errOut, code := berth.tryApply(t, "failing", c.text)
			if code == 0 {
				t.Errorf("a failed release exits with 0: %s", out)
			}
			for _, word := range c.says {
				if !strings.Contains(out+errOut, word) {
					t.Errorf("the explanation lacks %q:\n%s%s", word, out, errOut)
				}
			}
			for _, word := range []string{"CrashLoopBackOff", "pod", "vCluster"} {
				if strings.Contains(out+errOut, word) {
					t.Errorf("the explanation says %q:\n%s%s", word, out, errOut)
				}
			}
			eventually(t, time.Minute, "all components on version 1 again", func() (bool, string) {
				_, body := berth.get(t, berth.url("pair.failing", "/version"))
				return body == "1" && everyProcessRuns(t, "failing", "pair"), "version " + body + " answers"
			})
		})
	}
	load.end(t)
}

// everyProcessRuns tells whether all processes of an app run the image of its first release,
// as the host sees them.
func everyProcessRuns(t *testing.T, tenant, app string) bool {
	t.Helper()
	var owner berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: tenant}, &owner); err != nil {
		t.Fatal(err)
	}
	var release berthv1.Release
	if err := berth.host.Get(t.Context(), client.ObjectKey{Namespace: berthv1.ManagementNamespace(tenant), Name: app + "-v1"}, &release); err != nil {
		t.Fatal(err)
	}
	var pods corev1.PodList
	if err := berth.host.List(t.Context(), &pods, client.InNamespace(berthv1.HostNamespace(owner.Status.VirtualCluster)), client.MatchingLabels{berthv1.LabelApp: app}); err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil && pod.Spec.Containers[0].Image != release.Spec.Template.Components[0].Image {
			return false
		}
	}
	return len(pods.Items) > 0
}
