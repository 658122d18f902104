package localcluster

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/images"
)

func testInstance(t *testing.T) *Instance {
	t.Helper()
	// Shorter than t.TempDir, which the names of tests are part of.
	home, err := os.MkdirTemp("", "berth") //nolint:usetesting // its path would be too long for an instance
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	t.Setenv("BERTH_HOME", home)
	instance, err := Open("test")
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

func TestInstanceNamesAreChecked(t *testing.T) {
	for name, want := range map[string]bool{
		"berth": true, "a": true, "second-1": true, "twenty-characters-ok": true,
		"": false, "1st": false, "Up": false, "a/b": false, "..": false, "a-": false, "twenty-one-characters": false,
	} {
		_, err := Open(name)
		if (err == nil) != want {
			t.Errorf("Open(%q): %v, want ok %v", name, err, want)
		}
		if err != nil && errs.CodeOf(err) != errs.Invalid {
			t.Errorf("Open(%q) gives code %s", name, errs.CodeOf(err))
		}
	}
}

func TestOneCommandAtATime(t *testing.T) {
	instance := testInstance(t)
	release, err := instance.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := instance.lock(); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("a second lock gives %v", err)
	}
	release()
	again, err := instance.lock()
	if err != nil {
		t.Fatalf("the lock is not given back: %v", err)
	}
	again()
}

func TestPortsStayAndDoNotClash(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	first, err := choosePorts("second", Ports{HTTPS: 28443})
	if err != nil {
		t.Fatal(err)
	}
	if first.HTTPS != 28443 {
		t.Errorf("a port that was chosen before changed to %d", first.HTTPS)
	}
	seen := map[int]bool{taken.Addr().(*net.TCPAddr).Port: true}
	for _, port := range []int{first.HTTPS, first.HTTP, first.TCP, first.API, first.Registry} {
		if port == 0 || seen[port] {
			t.Errorf("port %d of %+v is taken or missing", port, first)
		}
		seen[port] = true
	}
}

func TestCertificatesAreMadeOnceAndChain(t *testing.T) {
	instance := testInstance(t)
	if err := instance.ensurePKI(6443); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(instance.path("pki", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read("ca.crt"))
	before := read("apiserver.crt")
	server, _, err := readPair(instance.path("pki", "apiserver.crt"), instance.path("pki", "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{nodeIP, "127.0.0.1", kubernetesServiceIP, "kubernetes.default.svc"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("the API server's certificate for %s: %v", name, err)
		}
	}
	if err := instance.ensurePKI(6443); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, read("apiserver.crt")) {
		t.Error("a certificate that is good was made again")
	}
	config, err := clientcmd.BuildConfigFromFlags("", instance.Kubeconfig())
	if err != nil || config.Host != "https://127.0.0.1:6443" {
		t.Errorf("the administrator's kubeconfig: %v, %+v", err, config)
	}
	if info, err := os.Stat(instance.path("pki", "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", err, info)
	}
}

func TestACertificateWithAnotherKeyIsMadeAnew(t *testing.T) {
	instance := testInstance(t)
	if err := instance.ensurePKI(6443); err != nil {
		t.Fatal(err)
	}
	// A kill between the two writes of a renewal leaves this.
	other, err := os.ReadFile(instance.path("pki", "scheduler.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(instance.path("pki", "kubelet.key"), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readPair(instance.path("pki", "kubelet.crt"), instance.path("pki", "kubelet.key")); err == nil {
		t.Error("a key that is another certificate's is taken")
	}
	if err := instance.ensurePKI(6443); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readPair(instance.path("pki", "kubelet.crt"), instance.path("pki", "kubelet.key")); err != nil {
		t.Error(err)
	}
}

func TestAHomeThatTheNodeHidesIsRefused(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/var/log", link); err != nil {
		t.Fatal(err)
	}
	for home, want := range map[string]bool{
		"/var/lib/berth": true, "/var/lib/kubelets": true, "/runs": true,
		"/run/berth": false, "/run": false, "/var/log/../log/berth": false, "/var/lib/kubelet": false, "/var/lib/cni/x": false, link: false,
	} {
		if got := !isHidden(home); got != want {
			t.Errorf("%s can hold instances: %t, want %t", home, got, want)
		}
	}
	t.Setenv("BERTH_HOME", "/run/berth")
	if _, err := Open("test"); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestOldImagesAreThoseThatNobodyUses(t *testing.T) {
	set := images.Set{"berth.dev/berth-router:222222222222": nil, "berth.dev/kubernetes:v1.36.3": nil}
	have := map[string]string{
		"berth.dev/berth-router:222222222222": "sha256:222222222222b",
		"berth.dev/berth-router:111111111111": "sha256:111111111111b",
		"sha256:aaaa":                         "sha256:111111111111b",
		"berth.dev/berth-router:000000000000": "sha256:000000000000b",
		"sha256:bbbb":                         "sha256:000000000000b",
		"berth.dev/kubernetes:v1.36.3":        "sha256:333333333333b",
		"berth.dev/kubernetes:v1.36.2":        "sha256:444444444444b",
		"registry.berth.internal/acme/api:1":  "sha256:555555555555b",
		"sha256:cccc":                         "sha256:555555555555b",
	}
	// The container of the oldest knows its image by the name for its configuration.
	got := oldImages(have, []string{"sha256:bbbb", "gone:1"}, set)
	if diff := cmp.Diff([]string{"berth.dev/berth-router:111111111111", "sha256:aaaa"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigHasNoHoles(t *testing.T) {
	instance := testInstance(t)
	if err := instance.writeConfig("/parts", false); err != nil {
		t.Fatal(err)
	}
	for _, to := range configFiles {
		data, err := os.ReadFile(instance.path(to))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("{{")) || bytes.Contains(data, []byte("<no value>")) {
			t.Errorf("%s is not filled in:\n%s", to, data)
		}
	}
}

func TestRestartDelayGrowsWhileAPartKeepsEnding(t *testing.T) {
	var delays []time.Duration
	var delay time.Duration
	for range 8 {
		delay = restartDelay(time.Second, delay)
		delays = append(delays, delay)
	}
	ms := time.Millisecond
	want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}
	if diff := cmp.Diff(want, delays); diff != "" {
		t.Error(diff)
	}
	if got := restartDelay(time.Minute, delay); got != 100*ms {
		t.Errorf("after a long run the delay is %s", got)
	}
}

func TestAnInstanceIsAliveAsLongAsAnInheritedLockIsOpen(t *testing.T) {
	instance := testInstance(t)
	if err := os.MkdirAll(instance.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if instance.alive() {
		t.Error("an instance that never ran is alive")
	}
	lock, err := instance.takeAlive()
	if err != nil {
		t.Fatal(err)
	}
	// A process that has the lock from us keeps it when we are gone.
	child := exec.Command("sleep", "60")
	child.ExtraFiles = []*os.File{lock}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	if !instance.alive() || instance.Running() == nil {
		t.Error("the instance is not alive while its process runs")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if instance.alive() || instance.Running() != nil {
		t.Error("the instance is alive although its process was killed")
	}
	again, err := instance.takeAlive()
	if err != nil {
		t.Fatalf("the lock is not given back: %v", err)
	}
	again.Close()
}

func TestATakenPortIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if _, err := choosePorts(DefaultName, Ports{HTTPS: port}); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("the default instance takes port %d all the same: %v", port, err)
	}
	got, err := choosePorts("second", Ports{HTTPS: port})
	if err != nil || got.HTTPS == port {
		t.Errorf("another instance keeps the taken port: %v, %v", got, err)
	}
}

func TestProgressPrintsEachStepOnce(t *testing.T) {
	var out bytes.Buffer
	progress := NewProgress(&out)
	first, second := progress.Start("first"), progress.Start("second")
	second.Detail("half")
	if err := errors.Join(second.End(errors.New("broken"))); err == nil {
		t.Error("End swallows the error")
	}
	if err := first.End(nil); err != nil {
		t.Error(err)
	}
	progress.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "✗ second") || !strings.HasPrefix(lines[1], "✓ first") {
		t.Errorf("printed:\n%s", out.String())
	}
	if got := len(progress.Took()); got != 2 {
		t.Errorf("%d steps were timed", got)
	}
}

func TestValuesAreMerged(t *testing.T) {
	base := map[string]any{"a": map[string]any{"b": 1, "c": 2}, "d": 3}
	over := map[string]any{"a": map[string]any{"c": 4}, "d": map[string]any{"e": 5}}
	want := map[string]any{"a": map[string]any{"b": 1, "c": 4}, "d": map[string]any{"e": 5}}
	if diff := cmp.Diff(want, merge(base, over)); diff != "" {
		t.Error(diff)
	}
}

func TestRemovingAGroupThatIsGoneIsFine(t *testing.T) {
	if err := removeGroup(filepath.Join(t.TempDir(), "never", "there"), time.Now()); err != nil {
		t.Error(err)
	}
}
