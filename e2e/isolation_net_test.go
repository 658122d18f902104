package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// dialWindow and resolveWindow are how long the test app waits for an answer.
	dialWindow, resolveWindow = 2 * time.Second, 5 * time.Second
	// twinsWithin is how long an allowed twin may take to succeed.
	twinsWithin = time.Minute
)

// droppedPackets dials what a tenant must not reach.
func droppedPackets(t *testing.T, tap *tap, a, b *neighbour) {
	t.Helper()
	dns := berth.clusterIP(t, "kube-system", "kube-dns") + ":53"
	metadata := metadataListener(t, tap.node)
	foreignAPI := berth.clusterIP(t, "vc-"+b.cluster, b.cluster) + ":443"
	portal := berth.clusterIP(t, "berth-system", "berth-portal") + ":8080"
	for _, c := range []struct {
		what, denied, allowed string
		// twin is who the allowed address is dialled by: the tenant, or the node, whose
		// success proves that something listens at the denied address.
		twin string
	}{
		{"another tenant's pod", b.podIP + ":8080", b.podIP + ":8080", "node"},
		{"its own other pod", "", a.dnsIP + ":1053", "tenant"},
		{"another tenant's service", b.serviceIP + ":8080", b.serviceIP + ":8080", "node"},
		{"its own service", "", a.serviceIP + ":8080", "tenant"},
		{"its own service by its name", "", "web.hello.svc:8080", "tenant"},
		{"another tenant's DNS", b.dnsIP + ":1053", b.dnsIP + ":1053", "node"},
		{"another tenant's API server", foreignAPI, foreignAPI, "node"},
		{"its own API server", "", "kubernetes.default.svc:443", "tenant"},
		{"the host's API server", "10.96.0.1:443", "10.96.0.1:443", "node"},
		{"the host's API server on the node", "10.88.0.1:6443", "10.88.0.1:6443", "node"},
		{"the kubelet", "10.88.0.1:10250", "10.88.0.1:10250", "node"},
		{"the registry", "10.88.0.1:5000", "10.88.0.1:5000", "node"},
		{"the host's DNS", dns, dns, "node"},
		{"the metadata address", metadata, metadata, "node"},
		{"the portal", portal, portal, "node"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.denied != "" {
				tap.drops(t, dialWindow, func() string { return a.inside(t, "dial", "tcp", c.denied) })
			}
			before := tap.read(t)
			eventually(t, twinsWithin, "the allowed twin: the "+c.twin+" connects to "+c.allowed, func() (bool, string) {
				got := ""
				if c.twin == "node" {
					got = berth.fromNode(t, tap.node, "dial", "tcp", c.allowed)
				} else {
					got = a.inside(t, "dial", "tcp", c.allowed)
				}
				return got == "connected", got
			})
			if after := tap.read(t); c.twin == "tenant" && after.passed == before.passed {
				t.Errorf("no packet of the tenant was seen to pass: %+v before, %+v after", before, after)
			}
		})
	}
}

// unknownNames asks inside a tenant for names that the host's DNS knows.
func unknownNames(t *testing.T, tap *tap, a, b *neighbour) {
	t.Helper()
	dns := berth.clusterIP(t, "kube-system", "kube-dns") + ":53"
	portal := "berth-portal.berth-system.svc.cluster.local."
	for what, name := range map[string]string{
		"another tenant's API server": fmt.Sprintf("%s.vc-%s.svc.cluster.local.", b.cluster, b.cluster),
		"another tenant's service":    fmt.Sprintf("%s.vc-%s.svc.cluster.local.", b.serviceName, b.cluster),
		"its own service on the host": fmt.Sprintf("%s.vc-%s.svc.cluster.local.", a.serviceName, a.cluster),
		"the portal":                  portal,
	} {
		t.Run(what, func(t *testing.T) {
			eventually(t, twinsWithin, "the host's DNS knows "+name, func() (bool, string) {
				got := berth.fromNode(t, tap.node, "resolve", name, dns)
				return isAddress(got), got
			})
			// Only an answer counts: that the name does not exist.
			eventually(t, twinsWithin, "the tenant's DNS denies "+name, func() (bool, string) {
				got := a.inside(t, "resolve", name)
				if isAddress(got) {
					t.Fatalf("%s is %s inside %s", name, got, a.name)
				}
				return got == "not found", got
			})
		})
	}
	t.Run("its own service", func(t *testing.T) {
		eventually(t, twinsWithin, "an address", func() (bool, string) {
			got := a.inside(t, "resolve", "web.hello.svc.cluster.local.")
			return isAddress(got), got
		})
	})
	// The twin by the node is above: the same question with the same answerer.
	t.Run("the host's DNS gets no question", func(t *testing.T) {
		tap.drops(t, resolveWindow, func() string { return a.inside(t, "resolve", portal, dns) })
	})
}

// isAddress: the test app says addresses, or in words why there is none.
func isAddress(said string) bool {
	return said != "" && strings.Trim(said, "0123456789abcdef.: ") == ""
}

// nodePID is the process id of the node's first process.
func (s *stand) nodePID(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.home, instanceName, "run", "supervisor.json"))
	if err != nil {
		t.Fatal(err)
	}
	var running struct{ NodePID int }
	if err := json.Unmarshal(data, &running); err != nil {
		t.Fatal(err)
	}
	return running.NodePID
}

// onNode runs a command in the node's network namespace.
func onNode(pid int, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(pid), "--net", "--"}, args...)...)
}

// fromNode runs the test app's probe in the node's network namespace.
func (s *stand) fromNode(t *testing.T, node int, args ...string) string {
	t.Helper()
	out, err := onNode(node, append([]string{filepath.Join(s.source, "bin", "testapp")}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s from the node: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *stand) clusterIP(t *testing.T, namespace, name string) string {
	t.Helper()
	var service corev1.Service
	if err := s.host.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &service); err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// metadataListener puts a listener where clouds serve credentials, as the node's own.
func metadataListener(t *testing.T, node int) string {
	t.Helper()
	const address = "169.254.169.254:8099"
	if out, err := onNode(node, "ip", "address", "replace", "169.254.169.254/32", "dev", "node0").CombinedOutput(); err != nil {
		t.Fatalf("adding the metadata address: %v: %s", err, out)
	}
	listener := onNode(node, filepath.Join(berth.source, "bin", "testapp"), "listen", address)
	// It ends with this pipe, so also when the scenario is killed.
	hold, err := listener.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hold.Close()
		_ = listener.Wait()
		_ = onNode(node, "ip", "address", "del", "169.254.169.254/32", "dev", "node0").Run()
	})
	eventually(t, twinsWithin, "a listener at the metadata address", func() (bool, string) {
		got := berth.fromNode(t, node, "dial", "tcp", address)
		return got == "connected", got
	})
	return address
}
