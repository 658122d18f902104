package kubetest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/parts"
)

// startTimeout bounds a start on a busy machine; building parts is not in it.
const startTimeout = 2 * time.Minute

// Env is a running API server with Berth's kinds.
type Env struct {
	// Config reaches the server as a cluster admin. Copy it before changing it.
	Config *rest.Config
	// Client knows Kubernetes' own kinds, Berth's and CustomResourceDefinition.
	Client client.Client
	// Scheme is what Client knows.
	Scheme *runtime.Scheme

	// dir is kept open: another process removes a folder whose lock is free.
	dir folder
}

// shared is the server of this test process, host the second one.
var (
	shared = sync.OnceValues(func() (*Env, error) { return start(true) })
	host   = sync.OnceValues(func() (*Env, error) { return start(false) })
)

// Start gives the server of this test process, which the first call starts. It
// ends with the process.
func Start(tb testing.TB) *Env {
	tb.Helper()
	return started(tb, shared)
}

// Host gives a second server, for what works on two clusters. It has none of Berth's kinds,
// as a host whose management cluster is another one.
func Host(tb testing.TB) *Env {
	tb.Helper()
	return started(tb, host)
}

func started(tb testing.TB, once func() (*Env, error)) *Env {
	tb.Helper()
	env, err := once()
	if err != nil {
		tb.Fatalf("starting an API server (its binaries are built by make parts): %v", err)
	}
	return env
}

// Namespace makes a namespace for one test and gives its name. It is deleted with
// the test, but stays Terminating.
func (e *Env) Namespace(tb testing.TB) string {
	tb.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := e.Client.Create(tb.Context(), namespace); err != nil {
		tb.Fatalf("making a namespace: %v", err)
	}
	tb.Cleanup(func() {
		if err := e.Client.Delete(context.WithoutCancel(tb.Context()), namespace); err != nil {
			tb.Errorf("deleting namespace %s: %v", namespace.Name, err)
		}
	})
	return namespace.Name
}

func start(kinds bool) (*Env, error) {
	ctx := context.Background()
	binaries, err := parts.Build(ctx, parts.Options{Names: parts.ControlPlane, Progress: parts.Print(os.Stderr)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	config, err := startServer(ctx, binaries, dir.path)
	if err != nil {
		return nil, err
	}
	env, err := connect(ctx, config, kinds)
	if err != nil {
		return nil, err
	}
	env.dir = dir
	return env, nil
}

// connect makes the client and installs Berth's kinds, if they are wanted.
func connect(ctx context.Context, config *rest.Config, kinds bool) (*Env, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	if kinds {
		if err := installKinds(ctx, c); err != nil {
			return nil, fmt.Errorf("installing Berth's kinds: %w", err)
		}
		// The first client's mapper may have looked at the server before the kinds
		// were served.
		if c, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
			return nil, err
		}
	}
	return &Env{Config: config, Client: c, Scheme: scheme}, nil
}
