package clusters

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/tenancy"
)

const id = "k3x9m2pq"

// secrets is the host cluster's border: one kubeconfig, and how often it was read.
type secrets struct {
	client.Reader
	token string
	reads int
}

func (s *secrets) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.reads++
	if s.token == "" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://localhost:8443"}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: s.token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	raw, err := clientcmd.Write(*config)
	into.(*corev1.Secret).Data = map[string][]byte{tenancy.KubeconfigKey: raw}
	return err
}

// apiServer takes one token and knows no namespace.
func apiServer(t *testing.T, token string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`))
	}))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, c *Cache) error {
	t.Helper()
	reached, err := c.Client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return reached.Get(t.Context(), client.ObjectKey{Name: "web"}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{}})
}

func TestAKubeconfigIsReadOnceUntilTheClusterRefusesIt(t *testing.T) {
	server := apiServer(t, "new")
	host := &secrets{token: "old"}
	c := New(host)
	c.address = func(string) string { return server.URL }

	if err := get(t, c); !apierrors.IsUnauthorized(err) {
		t.Fatalf("with the old token: %v", err)
	}
	host.token = "new"
	for range 3 {
		if err := get(t, c); !apierrors.IsNotFound(err) {
			t.Fatalf("with the new token: %v", err)
		}
	}
	if host.reads != 2 {
		t.Errorf("the kubeconfig was read %d times, want 2", host.reads)
	}
}

func TestAClusterIsDialledByItsServiceWhateverItsKubeconfigSays(t *testing.T) {
	config, err := New(&secrets{token: "t"}).Config(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://k3x9m2pq.vc-k3x9m2pq.svc:443"; config.Host != want {
		t.Errorf("host %s, want %s", config.Host, want)
	}
}

func TestAClusterWithoutAKubeconfigHasNoAccess(t *testing.T) {
	if _, err := New(&secrets{}).Config(t.Context(), id); !errors.Is(err, tenancy.ErrNoAccess) {
		t.Errorf("error %v, want ErrNoAccess", err)
	}
}
