package localcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoots are the folders that hold a control group of the instance's name: one for
// each hierarchy of version 1, or the one of version 2.
func cgroupRoots() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{cgroupMount}, nil
	}
	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, entry := range entries {
		// A link such as cpuacct -> cpu,cpuacct names a hierarchy a second time.
		if entry.IsDir() && entry.Name() != "unified" {
			roots = append(roots, filepath.Join(cgroupMount, entry.Name()))
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("%s has no hierarchies: mount the control groups", cgroupMount)
	}
	return roots, nil
}

// prepareCgroups makes the control group below which the kubelet keeps its pods'.
func (i *Instance) prepareCgroups() error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		group := filepath.Join(root, i.cgroup())
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		switch filepath.Base(root) {
		case "cpuset":
			err = copyParents(group, "cpuset.cpus", "cpuset.mems")
		case "cgroup":
			err = enableControllers(root, group)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyParents sets what a new cpuset group lacks: it accepts no process before.
func copyParents(group string, names ...string) error {
	for _, name := range names {
		value, err := os.ReadFile(filepath.Join(filepath.Dir(group), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, name), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers hands the controllers of version 2 down to the instance's group.
func enableControllers(root, group string) error {
	available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(available)) {
		for _, dir := range []string{root, group} {
			// A controller the machine keeps for itself stays away; the kubelet names it if it needs it.
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		}
	}
	return nil
}

// removeCgroups removes the instance's control groups, deepest first. The processes in
// them have ended or are about to; what hangs on is killed.
func (i *Instance) removeCgroups(deadline time.Time) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	var failed []error
	// On a machine with both versions runc makes groups in the unified hierarchy too.
	for _, root := range append(roots, filepath.Join(cgroupMount, "unified")) {
		failed = append(failed, removeGroup(filepath.Join(root, i.cgroup()), deadline))
	}
	return errors.Join(failed...)
}

func removeGroup(group string, deadline time.Time) error {
	var groups []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n := len(groups) - 1; n >= 0; n-- {
		if err := emptyAndRemove(groups[n], deadline); err != nil {
			return err
		}
	}
	return nil
}

func emptyAndRemove(group string, deadline time.Time) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Rmdir(group)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("removing control group %s: %w", group, err)
		}
		killAll(group)
		<-again.C
	}
}

// killAll kills the processes in a control group; whether it worked, removing it tells.
func killAll(group string) {
	processes, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return
	}
	for id := range strings.FieldsSeq(string(processes)) {
		// 0 stands for a process that cannot be seen from here, and to kill it would be us.
		if pid, err := strconv.Atoi(id); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
