package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestInterruptedUp: Ctrl-C and kill -9 of `berth up`, from nothing and right after each of
// its steps, leave nothing running, and the next command removes what is left.
func TestInterruptedUp(t *testing.T) {
	const name = "e2e-int"
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		for _, c := range []struct {
			step string
			args []string
		}{
			{"Kubernetes", []string{"--bare"}},
			{"Images into the node", []string{"--bare"}},
			// The last step of a bare `up` is the one before the chart.
			{"DNS and storage", []string{"--pool", "1"}},
			{"Berth's chart", []string{"--pool", "1"}},
		} {
			t.Run(fmt.Sprintf("%s after %s", signal, c.step), func(t *testing.T) {
				interruptUp(t, signal, c.step, append([]string{"up", "--name", name}, c.args...)...)
				eventually(t, 15*time.Second, "nothing left running", func() (bool, string) {
					left := leftOf(name)
					return left == "", left
				})
				berth.berth(t, "down", "--name", name, "--delete")
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
		text := strings.ReplaceAll(string(command), "\x00", " ")
		if strings.Contains(text, "/"+name+"/") || strings.Contains(text, "__berth-") && strings.Contains(text, " "+name+" ") || inInstance(entry, name) {
			left = append(left, text)
		}
	}
	return strings.Join(left, "; ")
}

// TestKilledInstance: the supervisor is killed; nothing runs on, and the next `up` brings
// back what was there.
func TestKilledInstance(t *testing.T) {
	const name = "e2e-kill"
	up := instanceUp(t, name, "--bare")
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	c := instanceClient(t, up.Kubeconfig)
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: "default"}}
	if err := c.Create(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	for range *kills {
		data, err := os.ReadFile(filepath.Join(berth.home, name, "run", "supervisor.json"))
		if err != nil {
			t.Fatal(err)
		}
		var running struct{ SupervisorPID int }
		if err := json.Unmarshal(data, &running); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(running.SupervisorPID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "nothing runs on", func() (bool, string) { left := leftOf(name); return left == "", left })
		start := time.Now()
		instanceUp(t, name, "--bare")
		t.Logf("up again after %s", time.Since(start).Round(100*time.Millisecond))
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(kept), kept); err != nil {
			t.Errorf("what was there before the kill: %v", err)
		}
	}
}

// TestSecondInstance: two instances side by side, Berth in the second by way of its
// kubeconfig's context; the chart is upgraded and uninstalled there.
func TestSecondInstance(t *testing.T) {
	const name = "e2e-two"
	up := instanceUp(t, name, "--bare")
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	install := []string{"up", "--context", "berth-" + name, "--pool", "0"}
	berth.berth(t, install...)
	c := instanceClient(t, up.Kubeconfig)
	var first corev1.Secret
	token := client.ObjectKey{Namespace: "berth-system", Name: "berth-operator-token"}
	if err := c.Get(t.Context(), token, &first); err != nil {
		t.Fatal(err)
	}
	berth.berth(t, install...) // an upgrade
	var second corev1.Secret
	if err := c.Get(t.Context(), token, &second); err != nil || string(first.Data["token"]) != string(second.Data["token"]) {
		t.Errorf("an upgrade changes the operator's token (%v)", err)
	}
	command := berth.command("plans")
	command.Env = append(command.Env, "BERTH_CONFIG="+up.CLIConfig)
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "small") {
		t.Errorf("the second instance's API: %v: %s", err, out)
	}
	berth.berth(t, "down", "--context", "berth-"+name)
	var deployments corev1.PodList
	eventually(t, time.Minute, "nothing of the chart", func() (bool, string) {
		if err := c.List(t.Context(), &deployments, client.InNamespace("berth-system")); err != nil {
			return false, err.Error()
		}
		return len(deployments.Items) == 0, fmt.Sprintf("%d pods", len(deployments.Items))
	})
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
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
