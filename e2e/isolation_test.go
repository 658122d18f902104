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
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// neighbour is a tenant with an app, as the isolation scenario needs it from both sides.
type neighbour struct {
	name, cluster, kubeconfig string
	// podIP and serviceIP are the app's real addresses on the host.
	podIP, serviceIP string
}

// TestIsolation: a tenant's admin is admin inside and reaches nothing outside. Every denial
// has an allowed twin and a real listener behind it.
func TestIsolation(t *testing.T) {
	a, b := newNeighbour(t, "iso-a"), newNeighbour(t, "iso-b")
	node := berth.nodePID(t)

	t.Run("admin inside", func(t *testing.T) {
		out, err := berth.kubectl(a.kubeconfig, "auth", "can-i", "*", "*", "--all-namespaces")
		if err != nil || strings.TrimSpace(out) != "yes" {
			t.Errorf("can-i: %s (%v)", out, err)
		}
		if out, err := berth.kubectl(a.kubeconfig, "create", "namespace", "mine"); err != nil {
			t.Errorf("creating a namespace: %s", out)
		}
		if out, _ := berth.kubectl(a.kubeconfig, "get", "namespaces", "-o", "name"); strings.Contains(out, "berth-system\n") == strings.Contains(out, "vc-") {
			t.Errorf("a tenant sees the host's namespaces, or not its own: %s", out)
		}
	})

	t.Run("one tenant's token is nobody at another's API", func(t *testing.T) {
		token := tenantToken(t, a.name)
		for cluster, want := range map[string]int{a.cluster: 200, b.cluster: 401} {
			if got := apiStatus(t, cluster, token); got != want {
				t.Errorf("the token of %s at %s answers %d, want %d", a.name, cluster, got, want)
			}
		}
	})

	dns := berth.clusterIP(t, "kube-system", "kube-dns")
	metadata := metadataListener(t, node)
	foreignAPI := berth.clusterIP(t, "vc-"+b.cluster, b.cluster) + ":443"
	portal := berth.clusterIP(t, "berth-system", "berth-portal") + ":8080"
	for _, c := range []struct {
		what, network, denied, allowed string
		// twin is who the allowed address is dialled by: the tenant, or the node, whose
		// success proves that something listens at the denied address.
		twin string
	}{
		{"another tenant's pod", "tcp", b.podIP + ":8080", a.podIP + ":8080", "tenant"},
		{"another tenant's pod is really there", "tcp", "", b.podIP + ":8080", "node"},
		{"another tenant's service", "tcp", b.serviceIP + ":8080", a.serviceIP + ":8080", "tenant"},
		{"another tenant's service is really there", "tcp", "", b.serviceIP + ":8080", "node"},
		{"another tenant's API server", "tcp", foreignAPI, foreignAPI, "node"},
		{"its own API server", "tcp", "", "kubernetes.default.svc:443", "tenant"},
		{"the host's API server", "tcp", "10.96.0.1:443", "10.96.0.1:443", "node"},
		{"the host's API server on the node", "tcp", "10.88.0.1:6443", "10.88.0.1:6443", "node"},
		{"the kubelet", "tcp", "10.88.0.1:10250", "10.88.0.1:10250", "node"},
		{"the registry", "tcp", "10.88.0.1:5000", "10.88.0.1:5000", "node"},
		{"the host's DNS", "tcp", dns + ":53", dns + ":53", "node"},
		{"the metadata address", "tcp", metadata, metadata, "node"},
		{"the portal", "tcp", portal, portal, "node"},
		{"its own service by its name", "tcp", "", "web.hello.svc:8080", "tenant"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.denied != "" {
				before := berth.dropped(t, node)
				if got := a.dial(t, c.network, c.denied); got != "timeout" {
					t.Errorf("dialling %s from %s: %s, want a dropped packet", c.denied, a.name, got)
				}
				if after := berth.dropped(t, node); after <= before {
					t.Errorf("no packet was counted as dropped: %d before, %d after", before, after)
				}
			}
			dial := a.dial
			if c.twin == "node" {
				dial = func(t *testing.T, network, address string) string {
					t.Helper()
					return berth.dialFromNode(t, node, network, address)
				}
			}
			if got := dial(t, c.network, c.allowed); got != "connected" {
				t.Errorf("the allowed twin: dialling %s by the %s: %s", c.allowed, c.twin, got)
			}
		})
	}

	t.Run("names of others do not resolve", func(t *testing.T) {
		for name, want := range map[string]bool{
			"web.hello.svc.cluster.local":                                                 true,
			fmt.Sprintf("%s.vc-%s.svc.cluster.local", b.cluster, b.cluster):               false,
			fmt.Sprintf("web-x-hello-x-%s.vc-%s.svc.cluster.local", b.cluster, b.cluster): false,
			"berth-portal.berth-system.svc.cluster.local":                                 false,
		} {
			got := a.inside(t, "resolve", name)
			if found := !strings.HasPrefix(got, "not found"); found != want {
				t.Errorf("%s resolves to %q inside %s", name, got, a.name)
			}
		}
	})

	t.Run("a pod that wants the node is refused", func(t *testing.T) { refusedPods(t, a) })
}

// newNeighbour makes a tenant with the hello app and looks up its addresses on the host.
func newNeighbour(t *testing.T, name string) *neighbour {
	t.Helper()
	berth.tenant(t, name, "small")
	berth.apply(t, name, helloApp)
	n := &neighbour{name: name, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	berth.berth(t, "kubeconfig", "-t", name, "--file", n.kubeconfig)
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: name}, &tenant); err != nil {
		t.Fatal(err)
	}
	n.cluster = tenant.Status.VirtualCluster
	namespace := client.InNamespace(berthv1.HostNamespace(n.cluster))
	var services corev1.ServiceList
	if err := berth.host.List(t.Context(), &services, namespace); err != nil {
		t.Fatal(err)
	}
	for _, service := range services.Items {
		if service.Annotations["vcluster.loft.sh/object-name"] != "web" {
			continue
		}
		n.serviceIP = service.Spec.ClusterIP
		var slices discoveryv1.EndpointSliceList
		if err := berth.host.List(t.Context(), &slices, namespace, client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
			t.Fatal(err)
		}
		n.podIP = slices.Items[0].Endpoints[0].Addresses[0]
	}
	if n.podIP == "" || n.serviceIP == "" {
		t.Fatalf("tenant %s has no addresses on the host: %+v", name, n)
	}
	return n
}

// inside runs the test app's probe in the tenant's running process.
func (n *neighbour) inside(t *testing.T, args ...string) string {
	t.Helper()
	out, err := berth.kubectl(n.kubeconfig, append([]string{"exec", "-n", "hello", "deploy/web", "--", "/testapp"}, args...)...)
	if err != nil {
		t.Fatalf("exec inside %s: %v: %s", n.name, err, out)
	}
	return strings.TrimSpace(out)
}

func (n *neighbour) dial(t *testing.T, network, address string) string {
	t.Helper()
	return n.inside(t, "dial", network, address)
}

func tenantToken(t *testing.T, tenant string) string {
	t.Helper()
	var credential struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(berth.berth(t, "kubeconfig:token", "-t", tenant)), &credential); err != nil {
		t.Fatal(err)
	}
	return credential.Status.Token
}

// apiStatus asks a tenant's API server through the edge with a token.
func apiStatus(t *testing.T, cluster, token string) int {
	t.Helper()
	request, err := newRequest(t, berth.url(cluster+".k8s", "/api/v1/namespaces"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := berth.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
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

func (s *stand) dialFromNode(t *testing.T, node int, network, address string) string {
	t.Helper()
	out, err := onNode(node, filepath.Join(filepath.Dir(s.cli), "testapp"), "dial", network, address).CombinedOutput()
	if err != nil {
		t.Fatalf("dialling from the node: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// dropped counts the packets that network policies dropped so far.
func (s *stand) dropped(t *testing.T, node int) int {
	t.Helper()
	out, err := onNode(node, "nft", "--json", "list", "counters", "table", "inet", "berth-netpol").Output()
	if err != nil {
		t.Fatalf("reading counters: %v", err)
	}
	var listing struct {
		Nftables []struct {
			Counter *struct{ Packets int }
		}
	}
	if err := json.Unmarshal(out, &listing); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, item := range listing.Nftables {
		if item.Counter != nil {
			total += item.Counter.Packets
		}
	}
	return total
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
	if out, err := onNode(node, "ip", "address", "replace", "169.254.169.254/32", "dev", "node0").CombinedOutput(); err != nil {
		t.Fatalf("adding the metadata address: %v: %s", err, out)
	}
	listener := onNode(node, filepath.Join(filepath.Dir(berth.cli), "testapp"), "serve")
	listener.Env = append(os.Environ(), "PORT=8099")
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Process.Kill()
		_ = listener.Wait()
		_ = onNode(node, "ip", "address", "del", "169.254.169.254/32", "dev", "node0").Run()
	})
	eventually(t, 5*time.Second, "a listener at the metadata address", func() (bool, string) {
		got := berth.dialFromNode(t, node, "tcp", "169.254.169.254:8099")
		return got == "connected", got
	})
	return "169.254.169.254:8099"
}

// refusedPods asks for what would open the node, and for its harmless twin.
func refusedPods(t *testing.T, n *neighbour) {
	t.Helper()
	const container = `"containers":[{"name":"c","image":"registry.berth.internal/test/app:1","securityContext":{"allowPrivilegeEscalation":false,"runAsNonRoot":true,"runAsUser":10001,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}%s}}]`
	for name, spec := range map[string]string{
		"harmless":     fmt.Sprintf(container, ""),
		"privileged":   strings.ReplaceAll(fmt.Sprintf(container, `,"privileged":true`), `"allowPrivilegeEscalation":false`, `"allowPrivilegeEscalation":true`),
		"host-network": `"hostNetwork":true,` + fmt.Sprintf(container, ""),
		"host-pid":     `"hostPID":true,` + fmt.Sprintf(container, ""),
		"host-path":    `"volumes":[{"name":"v","hostPath":{"path":"/"}}],` + fmt.Sprintf(container, ""),
	} {
		pod := filepath.Join(t.TempDir(), "pod.json")
		text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":"default"},"spec":{%s}}`, name, spec)
		if err := os.WriteFile(pod, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := berth.kubectl(n.kubeconfig, "apply", "-f", pod)
		if name == "harmless" {
			if err != nil {
				t.Errorf("the harmless twin is refused: %s", out)
				continue
			}
			eventually(t, time.Minute, "the harmless twin running", func() (bool, string) {
				phase, _ := berth.kubectl(n.kubeconfig, "get", "pod", "-n", "default", name, "-o", "jsonpath={.status.phase}")
				return phase == "Running", phase
			})
			continue
		}
		// The tenant's own API server may take it: then it must never run on the host.
		if err == nil {
			eventually(t, 20*time.Second, "an event that refuses "+name, func() (bool, string) {
				out, _ := berth.kubectl(n.kubeconfig, "get", "events", "-n", "default", "--field-selector", "involvedObject.name="+name)
				return strings.Contains(out, "violates PodSecurity") || strings.Contains(out, "forbidden"), out
			})
			phase, _ := berth.kubectl(n.kubeconfig, "get", "pod", "-n", "default", name, "-o", "jsonpath={.status.phase}")
			if phase == "Running" {
				t.Errorf("%s runs", name)
			}
		} else if !strings.Contains(out, "violates PodSecurity") && !strings.Contains(out, "forbidden") {
			t.Errorf("%s is refused for another reason: %s", name, out)
		}
	}
}
