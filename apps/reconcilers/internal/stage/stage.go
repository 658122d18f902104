package stage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/app"
	"github.com/berth-dev/berth/apps/reconcilers/release"
	"github.com/berth-dev/berth/internal/kubetest"
)

// The stage's fixed settings.
const (
	Domain   = "berth.localhost"
	EdgePort = 8443
	PlanOCUs = 10
	Output   = "the last words"
)

// Stage is a tenant with everything around it.
type Stage struct {
	tb        testing.TB
	Env       *kubetest.Env
	Client    client.Client
	Tenant    string
	Namespace string
	ID        string
	// App is the name of the stage's own app.
	App      string
	Clock    *testclock.FakePassiveClock
	Clusters *Clusters

	Apps     *app.Reconciler
	Releases *release.Reconciler
}

// Clusters reaches the one API server there is, unless it is away.
type Clusters struct {
	config *rest.Config
	client client.Client
	Away   atomic.Bool
	Asked  atomic.Int64
}

// Client gives a client, or fails as a network does.
func (c *Clusters) Client(context.Context, string) (client.Client, error) {
	c.Asked.Add(1)
	if c.Away.Load() {
		return nil, errors.New("dial tcp: connection refused")
	}
	return c.client, nil
}

// Use makes another client the one that is given out.
func (c *Clusters) Use(other client.Client) { c.client = other }

// Config gives a configuration.
func (c *Clusters) Config(context.Context, string) (*rest.Config, error) { return c.config, nil }

// Forget does nothing: nothing is kept.
func (c *Clusters) Forget(string) {}

// New sets a stage up. The names come from the test's, so that tests do not meet.
func New(tb testing.TB) *Stage {
	tb.Helper()
	env := kubetest.Start(tb)
	digest := sha256.Sum256([]byte(tb.Name()))
	unique := hex.EncodeToString(digest[:])
	s := &Stage{
		tb: tb, Env: env, Client: env.Client,
		Tenant: "t" + unique[:7], ID: "v" + unique[:7], App: "a" + unique[:7],
		Clock: testclock.NewFakePassiveClock(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)),
	}
	s.Namespace = v1alpha1.ManagementNamespace(s.Tenant)
	s.Clusters = &Clusters{config: env.Config, client: env.Client}
	s.objects(unique[:7])
	s.Start(env.Client)
	return s
}

// Start makes both reconcilers, as a controller does that was just started, with a
// client that may fail on purpose.
func (s *Stage) Start(c client.Client) {
	s.Apps = app.New(app.Options{
		Client: c, Reader: c, Clusters: s.Clusters, Clock: s.Clock, Domain: Domain, EdgePort: EdgePort,
	})
	s.Releases = release.New(release.Options{
		Client: c, Reader: c, Clusters: s.Clusters, Clock: s.Clock,
		Tail: func(_ context.Context, _, _, _, container string, _ bool) (string, error) {
			return Output + " of " + container, nil
		},
	})
}

// objects are the tenant, its plan, its cluster and the namespaces.
func (s *Stage) objects(unique string) {
	s.tb.Helper()
	plan := &v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "p" + unique}, Spec: v1alpha1.PlanSpec{OCUs: PlanOCUs}}
	host := &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "h" + unique},
		Spec: v1alpha1.HostClusterSpec{
			Region: "local", CPUOvercommit: 10, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}},
		},
	}
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: s.Tenant}, Spec: v1alpha1.TenantSpec{Plan: plan.Name}}
	s.Create(plan, host, tenant)
	cluster := &v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: s.ID},
		Spec:       v1alpha1.VirtualClusterSpec{HostCluster: host.Name, ClaimRef: &v1alpha1.ClaimRef{Name: tenant.Name, UID: tenant.UID}},
	}
	s.Create(cluster,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.HostNamespace(s.ID)}})
	tenant.Status.VirtualCluster = s.ID
	s.must(s.Client.Status().Update(s.ctx(), tenant))
}

// Create makes objects.
func (s *Stage) Create(objects ...client.Object) {
	s.tb.Helper()
	for _, object := range objects {
		s.must(s.Client.Create(s.ctx(), object))
	}
}

// Get reads an object by name, in the management namespace if its kind has one.
func (s *Stage) Get(name string, into client.Object) {
	s.tb.Helper()
	key := client.ObjectKey{Name: name}
	namespaced, err := s.Client.IsObjectNamespaced(into)
	s.must(err)
	if namespaced {
		key.Namespace = s.Namespace
	}
	s.must(s.Client.Get(s.ctx(), key, into))
}

// Settle lets both reconcilers look at an app until neither has anything to do at
// once.
func (s *Stage) Settle(name string) {
	s.tb.Helper()
	if err := s.TrySettle(name); err != nil {
		s.tb.Fatalf("reconciling %s: %v", name, err)
	}
}

// TrySettle is Settle for clients that fail on purpose.
func (s *Stage) TrySettle(name string) error {
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.Namespace, Name: name}}
	before := s.versions(name)
	for range 6 {
		if _, err := s.Apps.Reconcile(s.ctx(), request); err != nil {
			return fmt.Errorf("the app's: %w", err)
		}
		if _, err := s.Releases.Reconcile(s.ctx(), request); err != nil {
			return fmt.Errorf("the release's: %w", err)
		}
		now := s.versions(name)
		if now == before {
			return nil
		}
		before = now
	}
	return nil
}

// versions changes whenever one of the app's records does.
func (s *Stage) versions(name string) string {
	versions := &strings.Builder{}
	found := &v1alpha1.App{}
	if err := s.Client.Get(s.ctx(), client.ObjectKey{Namespace: s.Namespace, Name: name}, found); err == nil {
		versions.WriteString(found.ResourceVersion)
	}
	for _, release := range s.List(name) {
		versions.WriteString(" " + release.ResourceVersion)
	}
	return versions.String()
}

// Image is a reference by digest; different names give different ones.
func Image(name string) string {
	digest := sha256.Sum256([]byte(name))
	return "registry.berth.internal/acme/" + strings.ToLower(name) + "@sha256:" + hex.EncodeToString(digest[:])
}

func (s *Stage) ctx() context.Context { return context.WithoutCancel(s.tb.Context()) }

func (s *Stage) must(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatal(err)
	}
}
