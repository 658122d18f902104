package parts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The nested modules that pin the parts, below the source tree. Each has a cache of its own,
// so that a change of one builds nothing of the other anew.
const (
	// ModuleDir pins all parts but those that say otherwise.
	ModuleDir = "hack/parts"
	// pebbleDir pins the certificate authority of tests.
	pebbleDir = "hack/pebble"
)

// Part is one binary.
type Part struct {
	// Name of the file it is built into.
	Name string
	// Dir is the module that pins it; empty means ModuleDir.
	Dir string
	// Package to build, as an import path or relative to the module.
	Package string
	// Module whose version in go.mod is the part's version.
	Module string
	// Links are further names of the binary, which chooses by name what it is.
	Links []string
	// Stamps are linker variables, "package.variable=text"; in the text %v stands
	// for the version, %major and %minor for the first two numbers of it.
	Stamps []string
	// Tags are build tags.
	Tags []string
	// CGO is true where the part needs C libraries.
	CGO bool
	// Named is true where the part is built only when it is asked for by name.
	Named bool
}

// Sets of parts by what they are needed for.
var (
	// ControlPlane is a Kubernetes API server with controllers, scheduler and storage.
	ControlPlane = []string{"kube-control-plane", "kine"}
	// Node is what turns a machine into a node, with DNS and a registry.
	Node = []string{
		"kube-node", "containerd", "containerd-shim-runc-v2", "ctr", "runc",
		"host-local", "loopback", "ptp", "coredns", "registry",
	}
	// Tenant is what a virtual cluster needs beyond ControlPlane and CoreDNS.
	Tenant = []string{"vcluster"}
	// Test is what only tests call.
	Test = slices.Concat([]string{"kubectl"}, Authority)
	// Authority is Let's Encrypt's test server and what it asks for names.
	Authority = []string{"pebble", "pebble-challtestsrv"}
	// Bench is what benchmarks compare with, vCluster's own command line and the Helm
	// it calls. Nobody who starts Berth waits for it.
	Bench = []string{"vclusterctl", "helm"}
)

// list is in the order in which parts are built, two at a time: the first takes as
// long as the next seven, which share little with it, and so nothing is compiled
// twice at once.
//
// vCluster gets no version stamp: without one it is a development build to itself,
// which never sends telemetry, whatever its configuration says.
var list = []Part{
	{
		Name: "kube-control-plane", Package: "./kube-control-plane", Module: "k8s.io/kubernetes",
		Links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}, Stamps: kubernetesStamps,
	},
	{
		Name: "kine", Package: "github.com/k3s-io/kine", Module: "github.com/k3s-io/kine",
		Stamps: []string{"github.com/k3s-io/kine/pkg/version.Version=%v"},
	},
	{
		Name: "runc", Package: "github.com/opencontainers/runc", Module: "github.com/opencontainers/runc",
		CGO: true, Tags: []string{"seccomp"},
	},
	plugin("ipam/host-local"), plugin("main/loopback"), plugin("main/ptp"),
	{
		Name: "registry", Package: "github.com/distribution/distribution/v3/cmd/registry",
		Module: "github.com/distribution/distribution/v3",
		Stamps: []string{"github.com/distribution/distribution/v3/version.version=%v"},
	},
	containerd("containerd"), containerd("containerd-shim-runc-v2"), containerd("ctr"),
	{Name: "coredns", Package: "github.com/coredns/coredns", Module: "github.com/coredns/coredns"},
	{
		Name: "kube-node", Package: "./kube-node", Module: "k8s.io/kubernetes",
		Links: []string{"kubelet", "kube-proxy"}, Stamps: kubernetesStamps,
	},
	{Name: "vcluster", Package: "github.com/loft-sh/vcluster/cmd/vcluster", Module: "github.com/loft-sh/vcluster"},
	{Name: "kubectl", Package: "k8s.io/kubernetes/cmd/kubectl", Module: "k8s.io/kubernetes", Stamps: kubernetesStamps},
	{Name: "vclusterctl", Package: "github.com/loft-sh/vcluster/cmd/vclusterctl", Module: "github.com/loft-sh/vcluster", Named: true},
	{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm", Module: "helm.sh/helm/v4", Named: true},
	pebble("pebble"), pebble("pebble-challtestsrv"),
}

// kubernetesStamps make a binary report its version; without them a node says
// v0.0.0-master and clients refuse to compare.
var kubernetesStamps = []string{
	"k8s.io/component-base/version.gitVersion=%v",
	"k8s.io/component-base/version.gitMajor=%major",
	"k8s.io/component-base/version.gitMinor=%minor",
	"k8s.io/client-go/pkg/version.gitVersion=%v",
	"k8s.io/client-go/pkg/version.gitMajor=%major",
	"k8s.io/client-go/pkg/version.gitMinor=%minor",
}

func containerd(name string) Part {
	return Part{
		Name:    name,
		Package: "github.com/containerd/containerd/v2/cmd/" + name,
		Module:  "github.com/containerd/containerd/v2",
		Stamps:  []string{"github.com/containerd/containerd/v2/version.Version=%v"},
	}
}

func pebble(name string) Part {
	const module = "github.com/letsencrypt/pebble/v2"
	return Part{Name: name, Dir: pebbleDir, Package: module + "/cmd/" + name, Module: module, Named: true}
}

func plugin(path string) Part {
	return Part{
		Name:    path[strings.LastIndex(path, "/")+1:],
		Package: "github.com/containernetworking/plugins/plugins/" + path,
		Module:  "github.com/containernetworking/plugins",
		Stamps:  []string{"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=%v"},
	}
}

// All gives the names of all parts, in the order they are built in.
func All() []string {
	names := make([]string, len(list))
	for i, part := range list {
		names[i] = part.Name
	}
	return names
}

// choose gives the parts of the given names in build order; none means all but those
// that have to be asked for.
func choose(names []string) ([]Part, error) {
	for _, name := range names {
		if !slices.Contains(All(), name) {
			return nil, fmt.Errorf("there is no part %q: choose from %s", name, strings.Join(All(), ", "))
		}
	}
	var chosen []Part
	for _, part := range list {
		if slices.Contains(names, part.Name) || len(names) == 0 && !part.Named {
			chosen = append(chosen, part)
		}
	}
	return chosen, nil
}

// dir is the module that pins the part.
func (p Part) dir() string { return cmp.Or(p.Dir, ModuleDir) }

// dirOf gives the module that pins all of some parts: what one Build makes is in one folder.
func dirOf(chosen []Part) (string, error) {
	dir := chosen[0].dir()
	for _, part := range chosen {
		if part.dir() != dir {
			return "", fmt.Errorf("%s and %s are of two modules: build them one after the other", chosen[0].Name, part.Name)
		}
	}
	return dir, nil
}

// buildArgs are the arguments of "go build" but for the output and the package.
func (p Part) buildArgs(version string) []string {
	flags := []string{"-s", "-w"}
	for _, stamp := range p.Stamps {
		flags = append(flags, "-X", fill(stamp, version))
	}
	args := []string{"-buildvcs=false", "-ldflags=" + strings.Join(flags, " ")}
	if len(p.Tags) > 0 {
		args = append(args, "-tags="+strings.Join(p.Tags, ","))
	}
	return args
}

// fill puts a version such as v1.36.3 into a stamp.
func fill(stamp, version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return strings.NewReplacer("%major", major, "%minor", minor, "%v", version).Replace(stamp)
}
