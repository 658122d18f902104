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
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/images"
)

// pushOwn makes an image of the test app that no other scenario has, with a folder that may
// be written to, and gives its reference by digest.
func pushOwn(t *testing.T, version string) string {
	t.Helper()
	binary, err := images.Binary("/testapp", filepath.Join(berth.source, "bin", "testapp"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := images.Scratch(images.Config{Entrypoint: []string{"/testapp"}, Env: []string{"VERSION=" + version}}, binary, images.Dir("/tmp", 0o1777))
	if err != nil {
		t.Fatal(err)
	}
	if err := images.Push(t.Context(), berth.up.Registry, testImage(version), image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(testImage(""), ":")
	return name + "@" + digest.String()
}

// registryAway ends the instance's registry and keeps it from starting again until the
// function it gives is called.
func registryAway(t *testing.T) (back func()) {
	t.Helper()
	config := filepath.Join(berth.home, instanceName, "config", "registry.yaml")
	if err := os.Rename(config, config+".away"); err != nil {
		t.Fatal(err)
	}
	returned := false
	back = func() {
		if returned {
			return
		}
		returned = true
		if err := os.Rename(config+".away", config); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(back)
	registry := part{name: "registry", find: func() []int { return nodeProcesses(t, "registry") }}
	registry.kill(t)
	return back
}

// TestRegistryAway: a deploy says that the registry does not answer, and one that got past
// the check, since it names a digest, fails with the image in its reason. What runs goes on.
// When the registry is back, the first deploy works; the release that failed stays so.
func TestRegistryAway(t *testing.T) {
	berth.tenant(t, "noimages", "small")
	berth.apply(t, "noimages", "deployTimeoutSeconds: 60\n"+helloApp)
	answers(t, "hello.noimages", "/version", 200, "1")
	pushOwn(t, "unseen")
	image := pushOwn(t, "unseen-too")
	load := startLoad(t, berth.url("hello.noimages", "/"), 20)
	defer load.end(t)
	back := registryAway(t)
	in := []string{"-t", "noimages", "-a", "hello"}

	out, errOut, code := berth.try(t, append([]string{"deploy", "web=" + testImage("unseen")}, in...)...)
	if code == 0 || !strings.Contains(out+errOut, "registry.berth.internal") || !strings.Contains(out+errOut, "does not answer") {
		t.Errorf("exit code %d; said:\n%s%s", code, out, errOut)
	}
	app := &berthv1.App{}
	key := client.ObjectKey{Namespace: berthv1.ManagementNamespace("noimages"), Name: "hello"}
	if err := berth.host.Get(t.Context(), key, app); err != nil {
		t.Fatal(err)
	}
	before := app.DeepCopy()
	app.Spec.Template.Components[0].Image = image
	if err := berth.host.Patch(t.Context(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	release := &berthv1.Release{}
	eventually(t, 5*time.Minute, "the release failed", func() (bool, string) {
		err := berth.host.Get(t.Context(), client.ObjectKey{Namespace: key.Namespace, Name: "hello-v2"}, release)
		return err == nil && release.Status.Phase == berthv1.ReleaseFailed, fmt.Sprintf("phase %q (%v)", release.Status.Phase, err)
	})
	if failure := release.Status.Failure; failure == nil || failure.Reason != berthv1.ReasonImageNotFound || !strings.Contains(failure.Message, "registry.berth.internal/test/app") {
		t.Errorf("the failure: %+v", failure)
	}
	answers(t, "hello.noimages", "/version", 200, "1")

	back()
	eventually(t, 2*time.Minute, "the first deploy working", func() (bool, string) {
		out, errOut, code := berth.try(t, append([]string{"deploy", "web=" + testImage("unseen")}, in...)...)
		return code == 0, out + errOut
	})
	answers(t, "hello.noimages", "/version", 200, "unseen")
	if phases := releasePhases(t, "noimages"); phases["hello-v2"] != berthv1.ReleaseFailed {
		t.Errorf("the release that failed was taken up again: %v", phases)
	}
}

// TestDiskFull: a process that fills the disk is ended with a reason, which its tenant is told in
// plain words, and started anew; its neighbours do not notice.
func TestDiskFull(t *testing.T) {
	// The limit of a process is 2 GiB.
	const tooMuch = 2300
	berth.tenant(t, "greedy", "small")
	berth.tenant(t, "modest", "small")
	pushOwn(t, "filler")
	berth.apply(t, "greedy", strings.Replace(helloApp, testImage("1"), testImage("filler"), 1))
	berth.apply(t, "modest", helloApp)
	answers(t, "hello.greedy", "/version", 200, "filler")
	answers(t, "hello.modest", "/version", 200, "1")
	load := startLoad(t, berth.url("hello.modest", "/"), 20)
	defer load.end(t)

	if code, body := berth.get(t, berth.url("hello.greedy", fmt.Sprintf("/fill?mib=%d", tooMuch))); code != 200 || body != "<nil>" {
		t.Fatalf("filling the disk: %d %s", code, body)
	}
	host := client.InNamespace(berthv1.HostNamespace(clusterOf(t, "greedy")))
	eventually(t, 5*time.Minute, "the process ended with a reason, and another in its place", func() (bool, string) {
		var pods corev1.PodList
		if err := berth.host.List(t.Context(), &pods, host, client.MatchingLabels{berthv1.LabelApp: "hello"}); err != nil {
			return false, err.Error()
		}
		// A process that ends well when it is told to leaves a pod that only has completed: why it
		// was told stands in the events.
		var events corev1.EventList
		if err := berth.host.List(t.Context(), &events, host); err != nil {
			return false, err.Error()
		}
		evicted := slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "Evicted" && strings.Contains(e.Message, "storage")
		})
		serving := slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return ready(&pod) })
		return evicted && serving, fmt.Sprintf("evicted: %t, another serves: %t", evicted, serving)
	})
	answers(t, "hello.greedy", "/version", 200, "filler")
	eventually(t, 2*time.Minute, "apps:diagnose says that the disk was full", func() (bool, string) {
		said, errOut, code := berth.try(t, "apps:diagnose", "-t", "greedy", "-a", "hello")
		if found := jargon.FindAllString(said, -1); found != nil {
			t.Errorf("apps:diagnose says %q:\n%s", found, said)
		}
		return code != 0 && strings.Contains(said, "it wrote more to its own disk than the 2 GiB that it may"), fmt.Sprintf("exit code %d: %s%s", code, said, errOut)
	})
	everythingReady(t)
}
