package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// kubeAPI is an API server with paths of objects that are really there.
type kubeAPI struct {
	what   string
	client *http.Client
	base   string
	paths  []string
}

// refusedCredentials presents whatever tenant a holds, or could hold if it took over what
// of it runs on the host, to b's API server and the host's. Nobody there knows its tokens
// (401), and the host's accounts of its cluster may do nothing outside it (403).
func refusedCredentials(t *testing.T, a, b *neighbour) {
	t.Helper()
	var (
		apiA, apiB   = a.api(t), b.api(t)
		hostA, hostB = a.hostAPI(t), b.hostAPI(t)
		hostAll      = hostA.with("the host's cluster", "/api/v1/nodes", "/api/v1/namespaces", "/api/v1/secrets", "/api/v1/pods", "/api/v1/services")
		member       = tenantToken(t, a.name)
		forged       = a.tokenInTheNameOf(t, "vc-"+b.cluster, "vc-"+b.cluster)
		controlPlane = a.hostToken(t, "vc-"+a.cluster)
		workload     = a.hostToken(t, "vc-workload-"+a.cluster)
	)
	for _, c := range []struct {
		who, token string
		at         kubeAPI
		want       int
	}{
		{"its admin", member, apiA, http.StatusOK},
		{"its admin", member, apiB, http.StatusUnauthorized},
		{"its admin", member, hostB, http.StatusUnauthorized},
		{"the other's admin", tenantToken(t, b.name), apiB, http.StatusOK},
		{"the other's admin", tenantToken(t, b.name), apiA, http.StatusUnauthorized},
		{"an account of its own with the name of the other's control plane", forged, apiB, http.StatusUnauthorized},
		{"an account of its own with the name of the other's control plane", forged, hostB, http.StatusUnauthorized},
		{"its control plane", controlPlane, hostA, http.StatusOK},
		{"its control plane", controlPlane, hostB, http.StatusForbidden},
		{"its control plane", controlPlane, hostAll, http.StatusForbidden},
		{"its control plane", controlPlane, apiB, http.StatusUnauthorized},
		{"the other's control plane", b.hostToken(t, "vc-"+b.cluster), hostB, http.StatusOK},
		{"its pods' account on the host", workload, hostA, http.StatusForbidden},
		{"its pods' account on the host", workload, hostB, http.StatusForbidden},
		{"its pods' account on the host", workload, hostAll, http.StatusForbidden},
		{"its pods' account on the host", workload, apiB, http.StatusUnauthorized},
	} {
		t.Run(c.who+" at "+c.at.what+" gets "+strconv.Itoa(c.want), func(t *testing.T) {
			for _, path := range c.at.paths {
				if c.want != http.StatusOK {
					if got, err := c.at.status(t, path, c.token); err != nil || got != c.want {
						t.Errorf("GET %s answers %d (%v), want %d", path, got, err, c.want)
					}
					continue
				}
				eventually(t, twinsWithin, "GET "+path+" answers 200", func() (bool, string) {
					got, err := c.at.status(t, path, c.token)
					if err != nil {
						return false, err.Error()
					}
					return got == http.StatusOK, strconv.Itoa(got)
				})
			}
		})
	}
}

// api is the tenant's API server through the edge, with the app's secrets, pods and
// services: the lists, and each by its name.
func (n *neighbour) api(t *testing.T) kubeAPI {
	t.Helper()
	api := kubeAPI{what: "the API of " + n.name, client: berth.http, base: strings.TrimSuffix(berth.url(n.cluster+".k8s", ""), "/")}
	for _, resource := range []string{"secrets", "pods", "services"} {
		list := "/api/v1/namespaces/hello/" + resource
		out, err := berth.kubectl(n.kubeconfig, "get", resource, "-n", "hello", "-o", `jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}`)
		names := strings.Fields(out)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s has no %s: %v: %s", n.name, resource, err, out)
		}
		api.paths = append(api.paths, list)
		for _, name := range names {
			api.paths = append(api.paths, list+"/"+name)
		}
	}
	return api
}

// hostAPI is the host's API server with what it has of the tenant's cluster, the Secret
// of its super-admin included. It is asked with a token alone, as a tenant would.
func (n *neighbour) hostAPI(t *testing.T) kubeAPI {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", berth.up.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	anonymous, err := rest.HTTPClientFor(rest.AnonymousClientConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(anonymous.CloseIdleConnections)
	at := "/api/v1/namespaces/" + berthv1.HostNamespace(n.cluster)
	return kubeAPI{client: anonymous, base: strings.TrimSuffix(config.Host, "/")}.with("the host's "+n.name,
		at+"/secrets", at+"/secrets/vc-"+n.cluster,
		at+"/pods", at+"/pods/"+n.cluster+"-0",
		at+"/services", at+"/services/"+n.cluster)
}

// with is the same API server with other objects.
func (k kubeAPI) with(what string, paths ...string) kubeAPI {
	k.what, k.paths = what, paths
	return k
}

func (k kubeAPI) status(t *testing.T, path, token string) (int, error) {
	t.Helper()
	request, err := newRequest(t, k.base+path)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := k.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func tenantToken(t *testing.T, tenant string) string {
	t.Helper()
	var credential struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(berth.berth(t, "kubeconfig:token", "-t", tenant)), &credential); err != nil {
		t.Fatal(err)
	}
	return credential.Status.Token
}

// tokenInTheNameOf makes an account in the tenant's own cluster, as its admin may, with
// the name of somebody else's on the host. Issuer and audience are the same there: only
// the key that signs tells the two apart.
func (n *neighbour) tokenInTheNameOf(t *testing.T, namespace, name string) string {
	t.Helper()
	token := ""
	for _, args := range [][]string{
		{"create", "namespace", namespace},
		{"create", "serviceaccount", name, "-n", namespace},
		{"create", "token", name, "-n", namespace},
	} {
		out, err := berth.kubectl(n.kubeconfig, args...)
		if err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
		token = strings.TrimSpace(out)
	}
	return token
}

// hostToken is a token of an account that the tenant's cluster has on the host.
func (n *neighbour) hostToken(t *testing.T, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: berthv1.HostNamespace(n.cluster), Name: name}}
	request := &authenticationv1.TokenRequest{}
	if err := berth.host.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// noHostTokens: neither the app's pods nor the tenant's DNS server get a token of the host.
// Its control plane does, and is out of the tenant's reach.
func noHostTokens(t *testing.T, n *neighbour) {
	t.Helper()
	var pods corev1.PodList
	if err := berth.host.List(t.Context(), &pods, client.InNamespace(berthv1.HostNamespace(n.cluster)), client.HasLabels{"vcluster.loft.sh/managed-by"}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) < 2 {
		t.Fatalf("%d pods of %s on the host, want the app's and its DNS server", len(pods.Items), n.name)
	}
	for _, pod := range pods.Items {
		if mount := pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
			t.Errorf("%s would get a token of the host", pod.Name)
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				if source.ServiceAccountToken != nil {
					t.Errorf("%s has a token of the host in its volume %s", pod.Name, volume.Name)
				}
			}
		}
	}
}
