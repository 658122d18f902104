package clusters

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/boundedhttp"
	"github.com/berth-dev/berth/tenancy"
)

// A tenant's API server serves this process alone while a release is applied, so it is
// not held back as a shared one would be.
const (
	qps   = 50
	burst = 100
)

// Cache implements tenancy.Clusters.
type Cache struct {
	host    client.Reader
	address func(id string) string

	mu      sync.Mutex
	entries map[string]*entry
}

var _ tenancy.Clusters = (*Cache)(nil)

// entry is what is known of one cluster.
type entry struct {
	config *rest.Config
	client client.Client
}

// New makes an empty cache. host reads Secrets of the host cluster and must not itself
// cache them.
func New(host client.Reader) *Cache {
	return &Cache{
		host:    host,
		address: func(id string) string { return "https://" + tenancy.Endpoint(id) },
		entries: map[string]*entry{},
	}
}

// Config implements tenancy.Clusters.
func (c *Cache) Config(ctx context.Context, id string) (*rest.Config, error) {
	found, err := c.entry(ctx, id)
	if err != nil {
		return nil, err
	}
	return found.config, nil
}

// Client implements tenancy.Clusters.
func (c *Cache) Client(ctx context.Context, id string) (client.Client, error) {
	found, err := c.entry(ctx, id)
	if err != nil {
		return nil, err
	}
	return found.client, nil
}

// Forget implements tenancy.Clusters.
func (c *Cache) Forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
}

func (c *Cache) entry(ctx context.Context, id string) (*entry, error) {
	c.mu.Lock()
	found := c.entries[id]
	c.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// Two callers may both read the kubeconfig; the entries are alike and the last one
	// stays.
	made, err := c.read(ctx, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[id] = made
	return made, nil
}

// forget drops one entry, unless a newer one took its place.
func (c *Cache) forget(id string, old *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[id] == old {
		delete(c.entries, id)
	}
}

func (c *Cache) read(ctx context.Context, id string) (*entry, error) {
	var secret corev1.Secret
	key := types.NamespacedName{Namespace: v1alpha1.HostNamespace(id), Name: tenancy.KubeconfigSecret(id)}
	err := c.host.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) {
		return nil, tenancy.ErrNoAccess
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", id, err)
	}
	if len(secret.Data[tenancy.KubeconfigKey]) == 0 {
		return nil, tenancy.ErrNoAccess
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data[tenancy.KubeconfigKey])
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", id, err)
	}
	made := &entry{config: config}
	config.Host = c.address(id)
	config.QPS, config.Burst = qps, burst
	config.UserAgent = "berth-controller"
	boundedhttp.Apply(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			// The control plane is gone, or its certificates were made anew: look again.
			if err != nil || response.StatusCode == http.StatusUnauthorized {
				c.forget(id, made)
			}
			return response, err
		})
	})
	made.client, err = client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", id, err)
	}
	return made, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// scheme holds the built-in kinds: all that Berth puts into a tenant's cluster.
var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		panic(err) // Only a kind registered twice can fail here.
	}
	return s
}()
