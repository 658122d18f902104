package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// Annotations by which vCluster tells what an object on the host is to its tenant.
const (
	objectName      = "vcluster.loft.sh/object-name"
	objectNamespace = "vcluster.loft.sh/object-namespace"
)

// neighbour is a tenant with an app, as the isolation scenario needs it from both sides.
type neighbour struct {
	name, cluster, kubeconfig string
	// podIP, serviceIP and serviceName are the app's real ones on the host; dnsIP is
	// the tenant's other pod, its own DNS server.
	podIP, serviceIP, serviceName, dnsIP string
}

// TestIsolation: a tenant's admin is admin inside and reaches nothing outside. Every denial
// has an allowed twin and a real listener behind it. What is denied is tried once; the
// twin may take its time, since the machine may be slow.
func TestIsolation(t *testing.T) {
	a, b := newNeighbour(t, "iso-a"), newNeighbour(t, "iso-b")
	node := berth.nodePID(t)

	t.Run("admin inside", func(t *testing.T) { adminInside(t, a) })
	t.Run("what a tenant holds opens no other API", func(t *testing.T) { refusedCredentials(t, a, b) })
	t.Run("no pod holds a credential of the host", func(t *testing.T) { noHostTokens(t, a) })

	tap := newTap(t, node, a.podIP)
	t.Run("packets to others are dropped", func(t *testing.T) { droppedPackets(t, tap, a, b) })
	t.Run("names of others do not resolve", func(t *testing.T) { unknownNames(t, tap, a, b) })
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
	eventually(t, time.Minute, "the addresses of "+name+" on the host", func() (bool, string) {
		n.lookUp(t)
		return n.podIP != "" && n.serviceIP != "" && n.dnsIP != "", fmt.Sprintf("%+v", *n)
	})
	return n
}

// lookUp takes over the addresses that there are by now.
func (n *neighbour) lookUp(t *testing.T) {
	t.Helper()
	namespace := client.InNamespace(berthv1.HostNamespace(n.cluster))
	var services corev1.ServiceList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&services, &pods} {
		if err := berth.host.List(t.Context(), list, namespace); err != nil {
			t.Fatal(err)
		}
	}
	for _, service := range services.Items {
		if service.Annotations[objectName] != "web" || service.Annotations[objectNamespace] != "hello" {
			continue
		}
		n.serviceIP, n.serviceName = service.Spec.ClusterIP, service.Name
		var endpoints discoveryv1.EndpointSliceList
		if err := berth.host.List(t.Context(), &endpoints, namespace, client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
			t.Fatal(err)
		}
		for _, slice := range endpoints.Items {
			for _, endpoint := range slice.Endpoints {
				n.podIP = endpoint.Addresses[0]
			}
		}
	}
	for _, pod := range pods.Items {
		if pod.Annotations[objectNamespace] == "kube-system" && strings.HasPrefix(pod.Annotations[objectName], "coredns-") {
			n.dnsIP = pod.Status.PodIP
		}
	}
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

// adminInside: the tenant may do everything in its cluster, where it sees the namespaces
// it made, those of its app and those of every cluster, and no object that is the host's.
func adminInside(t *testing.T, n *neighbour) {
	t.Helper()
	if out, err := berth.kubectl(n.kubeconfig, "auth", "can-i", "*", "*", "--all-namespaces"); err != nil || strings.TrimSpace(out) != "yes" {
		t.Errorf("can-i: %s (%v)", out, err)
	}
	if out, err := berth.kubectl(n.kubeconfig, "create", "namespace", "mine"); err != nil {
		t.Errorf("creating a namespace: %s", out)
	}
	out, err := berth.kubectl(n.kubeconfig, "get", "namespaces", "-o", `jsonpath={range .items[*]}{.metadata.uid} {.metadata.name}{"\n"}{end}`)
	if err != nil {
		t.Fatalf("listing namespaces: %v: %s", err, out)
	}
	var seen []string
	for line := range strings.Lines(out) {
		seen = append(seen, strings.Fields(line)...)
	}
	for _, own := range []string{"mine", "hello", "default", "kube-system", "berth-system"} {
		if !slices.Contains(seen, own) {
			t.Errorf("a tenant does not see its own namespace %s: %s", own, out)
		}
	}
	// Some names are the same inside and on the host; a UID never is.
	var host corev1.NamespaceList
	if err := berth.host.List(t.Context(), &host); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range host.Items {
		hostsOwn := strings.HasPrefix(namespace.Name, "vc-") || strings.HasPrefix(namespace.Name, "tenant-")
		if slices.Contains(seen, string(namespace.UID)) || hostsOwn && slices.Contains(seen, namespace.Name) {
			t.Errorf("a tenant sees the host's namespace %s: %s", namespace.Name, out)
		}
	}
}

// refusedPods asks for what would open the node, and for its harmless twin.
func refusedPods(t *testing.T, n *neighbour) {
	t.Helper()
	const container = `"containers":[{"name":"c","image":"registry.berth.internal/test/app:1","securityContext":{"allowPrivilegeEscalation":false,"runAsNonRoot":true,"runAsUser":10001,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}%s}}]`
	harmless := fmt.Sprintf(container, "")
	if out, err := n.createPod(t, "harmless", harmless); err != nil {
		t.Errorf("the harmless twin is refused: %s", out)
	}
	eventually(t, 2*time.Minute, "the harmless twin running", func() (bool, string) {
		phase, _ := berth.kubectl(n.kubeconfig, "get", "pod", "-n", "default", "harmless", "-o", "jsonpath={.status.phase}")
		return phase == "Running", phase
	})
	for _, c := range []struct{ name, spec, because string }{
		{"privileged", strings.ReplaceAll(fmt.Sprintf(container, `,"privileged":true`), `"allowPrivilegeEscalation":false`, `"allowPrivilegeEscalation":true`), "privileged=true"},
		{"host-network", `"hostNetwork":true,` + harmless, "hostNetwork=true"},
		{"host-pid", `"hostPID":true,` + harmless, "hostPID=true"},
		{"host-path", `"volumes":[{"name":"v","hostPath":{"path":"/"}}],` + harmless, "hostPath"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused := func(text string) bool {
				return strings.Contains(text, "violates PodSecurity") && strings.Contains(text, c.because)
			}
			out, err := n.createPod(t, c.name, c.spec)
			if err != nil {
				if !refused(out) {
					t.Errorf("refused for another reason: %s", out)
				}
				return
			}
			// The tenant's own API server took it: then it must never reach the host.
			eventually(t, time.Minute, "an event that refuses it for "+c.because, func() (bool, string) {
				out, _ := berth.kubectl(n.kubeconfig, "get", "events", "-n", "default", "--field-selector", "involvedObject.name="+c.name)
				return refused(out), out
			})
			var pods corev1.PodList
			if err := berth.host.List(t.Context(), &pods, client.InNamespace(berthv1.HostNamespace(n.cluster))); err != nil {
				t.Fatal(err)
			}
			for _, pod := range pods.Items {
				if pod.Annotations[objectName] == c.name {
					t.Errorf("it is on the host as %s, %s", pod.Name, pod.Status.Phase)
				}
			}
		})
	}
}

// createPod makes a pod in the tenant's cluster and returns what kubectl says.
func (n *neighbour) createPod(t *testing.T, name, spec string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pod.json")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":"default"},"spec":{%s}}`, name, spec)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return berth.kubectl(n.kubeconfig, "apply", "-f", path)
}
