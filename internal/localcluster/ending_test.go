package localcluster

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestOwnProcessesAreNotStartedByHand(t *testing.T) {
	instance := testInstance(t)
	kept := instance.path("run", "kept")
	if err := writeFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"berth", supervisorCommand, "test", "/parts"},
		{"berth", supervisorCommand, "No Name", "/parts"},
		{"berth", nodeCommand, "test", "/parts"},
		{"berth", agentCommand, "test"},
	} {
		if code, handled := Main(t.Context(), args); code == 0 || !handled {
			t.Errorf("%q gives code %d, handled %t", args, code, handled)
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("run-time files were removed: %v", err)
	}
	for _, args := range [][]string{{"berth", "up"}, {"berth", "run", "No Name", "x"}} {
		if _, handled := Main(t.Context(), args); handled {
			t.Errorf("%q was taken for a process of ours", args)
		}
	}
}

func TestAProcessIsKnownByItsBirthUntilItHasEnded(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if born(pid) == "" {
		t.Errorf("a running process was born at %q", born(pid))
	}
	instance := testInstance(t)
	if err := writeJSON(instance.path("run", "supervisor.json"), Running{NodePID: pid, NodeBorn: born(pid)}); err != nil {
		t.Fatal(err)
	}
	if err := instance.awaitNodeEnd(time.Now()); err == nil {
		t.Error("a node that runs is not waited for")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// It stays a zombie: nobody has asked how it ended.
	if err := instance.awaitNodeEnd(time.Now().Add(stopTimeout)); err != nil {
		t.Error(err)
	}
	_ = child.Wait()
	if err := writeJSON(instance.path("run", "supervisor.json"), Running{NodePID: os.Getpid(), NodeBorn: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := instance.awaitNodeEnd(time.Now()); err != nil {
		t.Errorf("another process with the node's id is waited for: %v", err)
	}
}

func TestRemovingAGroupKillsWhatIsLeftInIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("control groups need root")
	}
	roots, err := cgroupRoots()
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(roots[len(roots)-1], fmt.Sprintf("berth-test-%d", os.Getpid()))
	inner := filepath.Join(group, "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	if filepath.Base(roots[len(roots)-1]) == "cpuset" {
		if err := copyParents(group, "cpuset.cpus", "cpuset.mems"); err != nil {
			t.Fatal(err)
		}
		if err := copyParents(inner, "cpuset.cpus", "cpuset.mems"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), fmt.Append(nil, child.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	if err := removeGroup(group, time.Now().Add(stopTimeout)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the process ended by itself")
	}
	if _, err := os.Stat(group); !os.IsNotExist(err) {
		t.Errorf("the group is there: %v", err)
	}
}

func TestALogThatGrewTooLargeIsMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part.log")
	part, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	log := slog.New(slog.NewTextHandler(part, nil))
	check := func(name string, empty bool) {
		t.Helper()
		info, err := os.Stat(name)
		if err != nil || (info.Size() == 0) != empty {
			t.Errorf("%s is empty: want %t, got %v, %v", name, empty, info, err)
		}
	}
	log.Info("one")
	if err := rotateLog(path, 1000); err != nil {
		t.Fatal(err)
	}
	check(path, false)
	if err := rotateLog(path, 10); err != nil {
		t.Fatal(err)
	}
	check(path, true)
	check(path+".1", false)
	log.Info("two")
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Size() > 100 {
		t.Errorf("the part does not go on at the file's end: %v, %v", info, err)
	}
}

func TestOurOwnLogsAreRotatedToo(t *testing.T) {
	instance := testInstance(t)
	for _, name := range []string{"supervisor", "node", "part"} {
		if err := writeFile(instance.logPath(name), []byte("two words"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newProcesses(instance, []component{{name: "part"}}, "", nil).rotateLogs(3)
	for _, name := range []string{"supervisor", "node", "part"} {
		now, err := os.ReadFile(instance.logPath(name))
		if err != nil || len(now) != 0 {
			t.Errorf("the log of %s: %q, %v", name, now, err)
		}
		if old, err := os.ReadFile(instance.logPath(name) + ".1"); err != nil || string(old) != "two words" {
			t.Errorf("the old log of %s: %q, %v", name, old, err)
		}
	}
}
