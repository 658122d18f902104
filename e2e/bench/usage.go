package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// The groups of processes.
const (
	groupBerth  = "Berth"
	groupTenant = "one tenant"
	groupNode   = "the embedded Kubernetes"
)

// process is what /proc says about one process.
type process struct {
	pid, parent int
	start       string
	name        string
	cgroup      string
	ticks       int64
	rss, pss    int64
}

// measureUsage looks at every process of an instance with one tenant that has no app,
// while nothing happens.
func (b *bench) measureUsage(ctx context.Context) error {
	if err := b.setPool(ctx, 0); err != nil {
		return err
	}
	name := b.uniqueName()
	if _, err := output(b.berth(ctx, "tenants:create", name, "--plan", "small")); err != nil {
		return err
	}
	var tenant berthv1.Tenant
	if err := b.host.Get(ctx, client.ObjectKey{Name: name}, &tenant); err != nil {
		return err
	}
	namespace := berthv1.HostNamespace(tenant.Status.VirtualCluster)
	b.say("usage: waiting a minute for things to settle")
	if err := pause(ctx, time.Minute); err != nil {
		return err
	}
	if err := b.alone(ctx, namespace); err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	b.say("usage: looking for %s", b.idle)
	before, err := b.processes()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, b.idle); err != nil {
		return err
	}
	after, err := b.processes()
	if err != nil {
		return err
	}
	pods, err := b.podNamespaces(ctx)
	if err != nil {
		return err
	}
	for _, r := range b.sum(before, after, time.Since(began), pods, namespace) {
		b.record(r)
	}
	_, err = output(b.berth(ctx, "tenants:delete", name, "--confirm", name))
	return err
}

// alone waits until one tenant's virtual cluster is the only one on the host: what is left
// of others would be counted.
func (b *bench) alone(ctx context.Context, namespace string) error {
	return until(ctx, time.Second, patience, namespace+" is the only virtual cluster", func() (bool, error) {
		var namespaces corev1.NamespaceList
		if err := b.host.List(ctx, &namespaces); err != nil {
			return false, err
		}
		for i := range namespaces.Items {
			name := namespaces.Items[i].Name
			if strings.HasPrefix(name, berthv1.HostNamespace("")) && name != namespace {
				return false, errors.New(name + " is there too")
			}
		}
		return true, nil
	})
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// podNamespaces gives the namespace of every pod by its UID.
func (b *bench) podNamespaces(ctx context.Context) (map[string]string, error) {
	var pods corev1.PodList
	if err := b.host.List(ctx, &pods, &client.ListOptions{Raw: listFromCache}); err != nil {
		return nil, err
	}
	namespaces := map[string]string{}
	for _, pod := range pods.Items {
		namespaces[string(pod.UID)] = pod.Namespace
	}
	return namespaces, nil
}

// sum adds up processes by group and name.
func (b *bench) sum(before, after map[int]process, took time.Duration, pods map[string]string, tenant string) []Record {
	var records []Record
	for pid, now := range after {
		group, part := b.groupOf(now, podOf(now, after), pods, tenant)
		at := slices.IndexFunc(records, func(r Record) bool { return r.Case == group && r.Part == part })
		if at < 0 {
			records = append(records, Record{Measure: "usage", Case: group, Part: part})
			at = len(records) - 1
		}
		r := &records[at]
		r.Processes++
		r.RSSKiB += now.rss
		r.PSSKiB += now.pss
		if then, ok := before[pid]; ok && then.start == now.start {
			// A tick is a hundredth of a second for every program on Linux.
			r.MilliCPU += float64(now.ticks-then.ticks) * 10 / took.Seconds()
		}
	}
	groups := []string{groupBerth, groupTenant, groupNode}
	slices.SortFunc(records, func(x, y Record) int {
		if x.Case != y.Case {
			return slices.Index(groups, x.Case) - slices.Index(groups, y.Case)
		}
		return int(y.PSSKiB - x.PSSKiB)
	})
	return records
}

var podUID = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})`)

// podOf gives the UID of the pod that a process belongs to, by its cgroup; empty for none. A
// shim is the node's, but there for one pod: that of its children.
func podOf(p process, all map[int]process) string {
	if found := podUID.FindStringSubmatch(p.cgroup); found != nil {
		return strings.ReplaceAll(found[1], "_", "-")
	}
	if !strings.HasPrefix(p.name, "containerd-shim") {
		return ""
	}
	for _, child := range all {
		if child.parent == p.pid && podUID.MatchString(child.cgroup) {
			return podOf(child, all)
		}
	}
	return ""
}

// groupOf says whose a process is.
func (b *bench) groupOf(p process, pod string, pods map[string]string, tenant string) (group, part string) {
	if pod != "" {
		switch namespace := pods[pod]; namespace {
		case tenant:
			return groupTenant, p.name
		case "berth-system":
			return groupBerth, p.name
		default:
			return groupNode, p.name + " in " + namespace
		}
	}
	if p.name == "berth" || p.name == "exe" {
		return groupNode, b.berthRole(p)
	}
	return groupNode, p.name
}

// berthRole names the processes that the command line itself runs.
func (b *bench) berthRole(p process) string {
	if p.pid == b.supervisorPID {
		return "berth supervisor"
	}
	if p.pid == b.nodePID {
		return "berth node"
	}
	return "berth node-agent"
}

// processes are the instance's: the supervisor and everything below it.
func (b *bench) processes() (map[int]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]process{}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, err := readProcess(pid); err == nil {
				all[pid] = p
			}
		}
	}
	ours := map[int]process{}
	for pid, p := range all {
		for at := pid; at > 1; at = all[at].parent {
			if at == b.supervisorPID {
				ours[pid] = p
				break
			}
		}
	}
	if len(ours) < 2 {
		return nil, errors.New("the instance has no processes")
	}
	return ours, nil
}

// readProcess reads one process. Source of the fields: proc(5).
func readProcess(pid int) (process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, err
	}
	end := strings.LastIndex(string(stat), ") ")
	fields := strings.Fields(string(stat)[end+1:])
	if end < 0 || len(fields) < 20 {
		return process{}, fmt.Errorf("process %d has ended", pid)
	}
	p := process{pid: pid, start: fields[19], name: programName(dir)}
	cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return process{}, err
	}
	p.cgroup = string(cgroup)
	p.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return p, err
		}
		p.ticks += ticks
	}
	p.rss, p.pss, err = memory(filepath.Join(dir, "smaps_rollup"))
	return p, err
}

// programName is the file name of what was started, in full where the kernel would cut it.
func programName(dir string) string {
	arguments, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	program, _, _ := strings.Cut(string(arguments), "\x00")
	return filepath.Base(program)
}

func memory(path string) (rss, pss int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "Rss:":
			rss, err = strconv.ParseInt(fields[1], 10, 64)
		case "Pss:":
			pss, err = strconv.ParseInt(fields[1], 10, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return rss, pss, scanner.Err()
}
