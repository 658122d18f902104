package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stopLimit is how long the processes of an instance may need to end: more than the
// half minute that `berth down` gives them.
const stopLimit = 45 * time.Second

// TestInterruptedUp: Ctrl-C and kill -9 of `berth up`, from nothing and right after each of
// its steps but the last, "Berth itself", after which it is done. Nothing runs on, and the
// next command, `up` or `down`, works and removes what is left.
func TestInterruptedUp(t *testing.T) {
	const name = interruptedName
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		for _, c := range []struct {
			step string
			args []string
			// upAgain lets an `up` follow before the `down`.
			upAgain bool
		}{
			{"Kubernetes' parts", []string{"--bare"}, false},
			{"Berth", []string{"--bare"}, false},
			{"Images", []string{"--bare"}, false},
			{"Kubernetes", []string{"--bare"}, false},
			{"Images into the node", []string{"--bare"}, signal == syscall.SIGKILL},
			// The last step of a bare `up` is the one before the chart.
			{"DNS and storage", []string{"--pool", "1"}, false},
			{"Berth's chart", []string{"--pool", "1"}, false},
		} {
			t.Run(fmt.Sprintf("%s after %s", signal, c.step), func(t *testing.T) {
				before := devicesOf(t, name)
				interruptUp(t, signal, c.step, append([]string{"up", "--name", name}, c.args...)...)
				nothingLeft(t, name, before)
				if c.upAgain {
					canBeUsed(t, instanceUp(t, name, "--bare"))
				}
				berth.berth(t, "down", "--name", name, "--delete")
				nothingLeft(t, name, before)
				if groups := controlGroups(name); len(groups) > 0 {
					t.Errorf("control groups left: %v", groups)
				}
				if _, err := os.Stat(filepath.Join(berth.home, name)); !os.IsNotExist(err) {
					t.Errorf("state left: %v", err)
				}
			})
		}
	}
}

// interruptUp starts `berth up`, sends it a signal as soon as it says that a step is done,
// and waits until it has ended of it.
func interruptUp(t *testing.T, signal syscall.Signal, step string, args ...string) {
	t.Helper()
	up := berth.command(args...)
	progress, err := up.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	done := false
	for lines := bufio.NewScanner(progress); !done && lines.Scan(); {
		said = append(said, lines.Text())
		done = strings.HasPrefix(lines.Text(), fmt.Sprintf("✓ %-22s ", step))
	}
	if !done {
		t.Fatalf("`up` ended before the step %q (%v):\n%s", step, up.Wait(), strings.Join(said, "\n"))
	}
	if err := up.Process.Signal(signal); err != nil {
		t.Errorf("sending the signal: %v", err)
	}
	err = up.Wait()
	killed := up.ProcessState.Sys().(syscall.WaitStatus).Signaled()
	switch {
	case err == nil:
		t.Errorf("`up` was not interrupted after the step %q: it exits with 0", step)
	case signal == syscall.SIGKILL && !killed:
		t.Errorf("`up` ended by itself before the kill: %v", err)
	}
}

// canBeUsed makes an object in an instance and reads it again.
func canBeUsed(t *testing.T, up upResult) {
	t.Helper()
	c := instanceClient(t, up.Kubeconfig)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "made", Namespace: "default"}}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatalf("the instance after an interrupted `up`: %v", err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Errorf("the instance after an interrupted `up`: %v", err)
	}
}

// nothingLeft waits until nothing of an instance runs and the machine's devices are as they
// were before.
func nothingLeft(t *testing.T, name string, before []string) {
	t.Helper()
	eventually(t, stopLimit, "nothing left running", func() (bool, string) {
		left := leftOf(name)
		return left == "", left
	})
	eventually(t, stopLimit, "loop devices, mounts and network namespaces as before", func() (bool, string) {
		diff := cmp.Diff(before, devicesOf(t, name))
		return diff == "", diff
	})
}

// devicesOf lists the loop devices and mounts that name an instance's folder, and the network
// namespaces of pods. Those have no instance in their names; every instance keeps its own
// where the machine does not see them.
func devicesOf(t *testing.T, name string) []string {
	t.Helper()
	folder := filepath.Join(berth.home, name) + "/"
	var found []string
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		// A device that goes away meanwhile has no file.
		if backing, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(backing), folder) {
			found = append(found, file+" "+strings.TrimSpace(string(backing)))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, folder) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	namespaces, err := filepath.Glob("/run/netns/cni-*")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, namespaces...)
}

// controlGroups lists the control groups of an instance, with either version of them.
func controlGroups(name string) []string {
	var groups []string
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(filepath.Join(root, controlGroup(name)))
		groups = append(groups, found...)
	}
	return groups
}

// leftOf lists what of an instance still runs: its own processes and those of its pods.
func leftOf(name string) string {
	var left []string
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		command, _ := os.ReadFile(entry + "/cmdline")
		if len(command) == 0 {
			continue // a kernel thread, or a process that has ended
		}
		if inInstance(entry, name) || startedBy(entry, string(command), name) {
			left = append(left, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return strings.Join(left, "; ")
}

// startedBy tells whether a process was started by an instance's commands: they hand its home
// down in the environment, and the process names the instance or a path below its folder.
// Whoever looks at that folder from outside lacks the first.
func startedBy(process, command, instance string) bool {
	environment, err := os.ReadFile(process + "/environ")
	if err != nil || !slices.Contains(strings.Split(string(environment), "\x00"), "BERTH_HOME="+berth.home) {
		return false
	}
	arguments := strings.Split(command, "\x00")
	ours := len(arguments) > 2 && strings.HasPrefix(arguments[1], "__berth-") && arguments[2] == instance
	return ours || strings.Contains(command, filepath.Join(berth.home, instance)+"/")
}

// TestKilledInstance: of a whole Berth with an app on it the supervisor and the node's first
// process are killed in turn. Nothing runs on, and after the next `up` the app answers again.
func TestKilledInstance(t *testing.T) {
	const name = killedName
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	whole := []string{"--pool", "1"}
	kept := berth.another(t, instanceUp(t, name, whole...))
	kept.berth(t, "tenants:create", "kept", "--plan", "small")
	kept.apply(t, "kept", strings.Replace(helloApp, "config:\n", "    volumes:\n      data: {path: /data, size: 1Gi}\nconfig:\n", 1))
	for n := range *kills {
		victim := killOneOf(t, name, n)
		eventually(t, stopLimit, "nothing runs on", func() (bool, string) { left := leftOf(name); return left == "", left })
		start := time.Now()
		kept.up = instanceUp(t, name, whole...) // its ports may be others
		up := time.Now()
		eventually(t, time.Minute, "the app and its configuration at the edge", func() (bool, string) {
			ok, body := kept.answer(kept.url("hello.kept", "/env?name=GREETING"))
			return ok && body == "ahoy", body
		})
		t.Logf("the %s killed: up again after %s, the app answers %s later", victim,
			up.Sub(start).Round(100*time.Millisecond), time.Since(up).Round(100*time.Millisecond))
	}
}

// killOneOf kills, in turn, the supervisor of an instance and the first process of its node.
func killOneOf(t *testing.T, name string, turn int) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(berth.home, name, "run", "supervisor.json"))
	if err != nil {
		t.Fatal(err)
	}
	var running struct{ SupervisorPID, NodePID int }
	if err := json.Unmarshal(data, &running); err != nil {
		t.Fatal(err)
	}
	victim, pid := "supervisor", running.SupervisorPID
	if turn%2 == 1 {
		victim, pid = "node's first process", running.NodePID
	}
	if pid <= 1 {
		t.Fatalf("no process to kill in %s", data)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return victim
}

func instanceUp(t *testing.T, name string, args ...string) upResult {
	t.Helper()
	var result upResult
	out := berth.berth(t, append([]string{"up", "--name", name, "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return result
}

func instanceClient(t *testing.T, kubeconfig string) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
