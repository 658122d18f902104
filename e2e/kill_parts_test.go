package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// comesBack is how long a part that was killed may take to run again and to do its work:
// each time it ends, the node waits twice as long before it starts it anew.
const comesBack = 15 * time.Minute

// part is one that is killed.
type part struct {
	name string
	find func() []int
	// serving says that the apps answer while the part is away.
	serving bool
}

// running waits until the part runs, and gives its processes.
func (p part) running(t *testing.T) []int {
	t.Helper()
	return p.runningWithout(t, nil)
}

// runningWithout waits until the part runs in other processes than those given.
func (p part) runningWithout(t *testing.T, killed []int) []int {
	t.Helper()
	var pids []int
	eventually(t, comesBack, "the "+p.name+" running", func() (bool, string) {
		pids = p.find()
		old := slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(killed, pid) })
		return len(pids) > 0 && !old, fmt.Sprintf("processes %v", pids)
	})
	return pids
}

// kill ends the part's processes, without a warning, and gives their ids.
func (p part) kill(t *testing.T) []int {
	t.Helper()
	pids := p.running(t)
	for _, pid := range pids {
		// One that is of a tenant who leaves may have ended by itself.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("killing %d of the %s: %v", pid, p.name, err)
		}
	}
	return pids
}

// partsToKill are all that may be killed while a tenant is worked on. Its control plane may
// not be there yet: then that of another tenant is the victim.
func partsToKill(t *testing.T, tenant string) []part {
	t.Helper()
	ofNode := func(name string) part {
		return part{name, func() []int { return nodeProcesses(t, name) }, true}
	}
	inPods := func(name, program string, serving bool) part {
		return part{name, func() []int { return processes(program, "") }, serving}
	}
	controlPlane := part{"control plane", func() []int {
		if id := claimOf(t, tenant); id != "" {
			if own := processes("/vcluster", "HOSTNAME="+id+"-0"); len(own) > 0 {
				return own
			}
		}
		all := processes("/vcluster", "")
		return all[:min(1, len(all))]
	}, true}
	return []part{
		ofNode("kubelet"), ofNode("containerd"), ofNode("kube-apiserver"), ofNode("kine"),
		inPods("CoreDNS", "/coredns", true), inPods("edge", "/berth-router", false),
		inPods("controller", "/berth-controller", true), inPods("portal", "/berth-portal", true),
		controlPlane,
	}
}

// claimOf is the id of the cluster that a tenant has, empty while it has none or nobody can
// be asked.
func claimOf(t *testing.T, tenant string) string {
	t.Helper()
	var all berthv1.VirtualClusterList
	if err := berth.host.List(t.Context(), &all); err != nil {
		return ""
	}
	for _, c := range all.Items {
		if c.Spec.ClaimRef != nil && c.Spec.ClaimRef.Name == tenant {
			return c.Name
		}
	}
	return ""
}

// nodeProcesses finds the processes of one of the node's own parts: the children of its
// first process. Those of the same name in pods have other parents.
func nodeProcesses(t *testing.T, name string) []int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(berth.home, instanceName, "run", "supervisor.json"))
	if err != nil {
		t.Fatal(err)
	}
	var running struct{ NodePID int }
	if err := json.Unmarshal(data, &running); err != nil || running.NodePID <= 1 {
		t.Fatalf("no node in %s (%v)", data, err)
	}
	parent := fmt.Appendf(nil, "\nPPid:\t%d\n", running.NodePID)
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range entries {
		command, err := os.ReadFile(entry + "/cmdline")
		program, _, _ := bytes.Cut(command, []byte{0})
		if err != nil || filepath.Base(string(program)) != name {
			continue
		}
		if status, err := os.ReadFile(entry + "/status"); err == nil && bytes.Contains(status, parent) {
			pid, _ := strconv.Atoi(filepath.Base(entry))
			found = append(found, pid)
		}
	}
	return found
}
