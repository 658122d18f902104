package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
	"github.com/berth-dev/berth/tenancy"
)

// peer is vCluster's own command line with the chart of its module.
type peer struct {
	*bench
	chart string
	// equal and plain are files of values.
	equal, plain string
}

// newPeer prepares what `vcluster create` is given.
func (b *bench) newPeer(ctx context.Context) (*peer, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/loft-sh/vcluster")
	list.Dir, list.Env = filepath.Join(b.source, parts.ModuleDir), append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	module, err := output(list)
	if err != nil {
		return nil, err
	}
	p := &peer{
		bench: b, chart: filepath.Join(b.scratch, "chart"),
		equal: filepath.Join(b.scratch, "equal.yaml"), plain: filepath.Join(b.scratch, "plain.yaml"),
	}
	if err := os.RemoveAll(p.chart); err != nil {
		return nil, err
	}
	if err := images.UnpackChart(filepath.Join(strings.TrimSpace(string(module)), "chart"), p.chart); err != nil {
		return nil, err
	}
	hosts, err := b.hostClusters(ctx)
	if err != nil {
		return nil, err
	}
	overcommit := hosts[0].Spec.CPUOvercommit
	for file, values := range map[string]map[string]any{p.equal: peerValues(true, overcommit), p.plain: peerValues(false, overcommit)} {
		text, err := yaml.Marshal(values)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// peerValues are the chart's defaults but for our images, a volume and, where limits are
// Berth's, the resources that Berth gives: the chart allows its init container a tenth of
// a core, in which copying its binaries takes longer than all the rest. The overcommit is
// the HostCluster's.
func peerValues(limits bool, overcommit int32) map[string]any {
	type dict = map[string]any
	image := func(ref string) dict {
		registry, rest, _ := strings.Cut(ref, "/")
		repository, tag, _ := strings.Cut(rest, ":")
		return dict{"registry": registry, "repository": repository, "tag": tag}
	}
	distro := dict{"enabled": true, "image": image(images.Kubernetes)}
	dns := dict{"image": images.CoreDNS}
	// The embedded node does not count ephemeral storage.
	control := dict{"limits": dict{"ephemeral-storage": nil}, "requests": dict{"ephemeral-storage": nil}}
	if limits {
		cpu, memory := fmt.Sprintf("%dm", tenancy.ControlPlaneCPULimitMilli), fmt.Sprint(tenancy.ControlPlaneMemoryLimit)
		distro["resources"] = dict{"limits": dict{"cpu": cpu, "memory": "512Mi"}, "requests": dict{"cpu": "10m", "memory": "64Mi"}}
		control["limits"] = dict{"cpu": cpu, "memory": memory, "ephemeral-storage": nil}
		control["requests"] = dict{"cpu": fmt.Sprintf("%dm", tenancy.ControlPlaneCPURequestMilli(overcommit)), "memory": fmt.Sprint(tenancy.ControlPlaneMemoryRequest), "ephemeral-storage": nil}
		dns["resources"] = dict{
			"limits":   dict{"cpu": fmt.Sprintf("%dm", tenancy.DNSCPULimitMilli), "memory": fmt.Sprint(tenancy.DNSMemoryLimit)},
			"requests": dict{"cpu": fmt.Sprintf("%dm", tenancy.DNSCPURequestMilli), "memory": fmt.Sprint(tenancy.DNSMemoryRequest)},
		}
	}
	return dict{
		"controlPlane": dict{
			"distro":  dict{"k8s": distro},
			"coredns": dict{"deployment": dns},
			"statefulSet": dict{
				"image":       image(images.VCluster),
				"resources":   control,
				"persistence": dict{"volumeClaim": dict{"enabled": true, "retentionPolicy": "Delete"}},
			},
		},
		"telemetry": dict{"enabled": false},
	}
}

// with gives the function that makes a virtual cluster with a file of values.
func (p *peer) with(values string) func(context.Context, string, *probe) error {
	return func(ctx context.Context, name string, probe *probe) error { return p.make(ctx, name, values, probe) }
}

// make makes a virtual cluster, notes when it is ready, and deletes it.
func (p *peer) make(ctx context.Context, name, values string, probe *probe) error {
	probe.name, probe.namespace = name, name
	done := make(chan error, 1)
	go func() {
		_, err := output(p.vcluster(ctx, "create", name, "--namespace", name, "--driver", "helm", "--connect=false", "--add=false",
			"--local-chart-dir", p.chart, "--values", values))
		done <- err
	}()
	err := until(ctx, tick, patience, "the virtual cluster is ready", func() (bool, error) {
		if err := finished(done, probe); err != nil {
			return true, err
		}
		ready, err := probe.look(ctx)
		return ready && probe.has("command"), err
	})
	if err != nil {
		return err
	}
	if _, err := output(p.vcluster(ctx, "delete", name, "--namespace", name, "--driver", "helm", "--wait=false")); err != nil {
		return err
	}
	return p.removeNamespace(ctx, p.host, name)
}

// vcluster is a call of vCluster's command line on the host cluster.
func (p *peer) vcluster(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.parts, "vclusterctl"), args...)
	command.Dir = p.scratch
	command.Env = append(os.Environ(), "KUBECONFIG="+p.up.Kubeconfig, "HOME="+p.scratch, "PATH="+p.parts+":"+os.Getenv("PATH"),
		"VCLUSTER_SKIP_VERSION_CHECK=true")
	return command
}

// removeNamespace deletes a namespace and waits until it is gone.
func (b *bench) removeNamespace(ctx context.Context, c client.Client, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return err
	}
	return until(ctx, tick, patience, "namespace "+name+" is gone", func() (bool, error) {
		err := c.Get(ctx, client.ObjectKey{Name: name}, namespace)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}
