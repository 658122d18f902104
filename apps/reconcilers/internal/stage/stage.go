package stage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
)

// The stage's fixed settings.
const (
	Domain   = "berth.localhost"
	EdgePort = 8443
	PlanOCUs = 10
	Output   = "the last words"

	// Main is the controller of the management cluster.
	Main = ""
	// Elsewhere is that of another host.
	Elsewhere = "eu"
)

// Stage is a tenant with everything around it.
type Stage struct {
	tb  testing.TB
	Env *kubetest.Env
	// Client is the test's own, which may do anything.
	Client    client.WithWatch
	Tenant    string
	Namespace string
	ID        string
	// App is the name of the stage's own app.
	App      string
	Clock    *testclock.FakePassiveClock
	Clusters *Clusters

	// Shard names the controller of the tenant's host. One half of the stages, which is
	// told by their names, stand on a host with a controller of its own.
	Shard string
	// Controller is the one at work, of that name; another looks on.
	Controller
	onlooker Controller
}

// New sets a stage up. The names come from the test's, so that tests do not meet.
func New(tb testing.TB) *Stage {
	tb.Helper()
	s := setUp(tb, []string{Main, Elsewhere}[digest(tb.Name())[0]%2])
	s.Bind()
	return s
}

// Unbound is a stage on a host with a controller of its own whose tenant has no cluster
// yet.
func Unbound(tb testing.TB) *Stage {
	tb.Helper()
	return setUp(tb, Elsewhere)
}

func digest(name string) [sha256.Size]byte { return sha256.Sum256([]byte(name)) }

func setUp(tb testing.TB, shard string) *Stage {
	tb.Helper()
	sum := digest(tb.Name())
	unique := hex.EncodeToString(sum[:])[:7]
	env := kubetest.Start(tb)
	s := &Stage{
		tb: tb, Env: env, Tenant: "t" + unique, ID: "v" + unique, App: "a" + unique, Shard: shard,
		Clock: testclock.NewFakePassiveClock(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)),
	}
	s.Namespace = v1alpha1.ManagementNamespace(s.Tenant)
	s.Client = s.through(anything)
	s.objects(unique)
	s.Start(func(c client.WithWatch) client.WithWatch { return c })
	s.onlooker = s.Hire(s.Other(), s.Onlooker())
	return s
}

// objects are the tenant, its plan, its cluster and the namespaces.
func (s *Stage) objects(unique string) {
	s.tb.Helper()
	plan := &v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "p" + unique}, Spec: v1alpha1.PlanSpec{OCUs: PlanOCUs}}
	host := &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "h" + unique},
		Spec: v1alpha1.HostClusterSpec{
			Region: "local", CPUOvercommit: 10, ControllerName: s.Shard,
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}},
		},
	}
	s.Create(plan, host,
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: s.Tenant}, Spec: v1alpha1.TenantSpec{Plan: plan.Name}},
		&v1alpha1.VirtualCluster{
			// It is there until its host is rid of it, as all are.
			ObjectMeta: metav1.ObjectMeta{Name: s.ID, Finalizers: []string{v1alpha1.Finalizer}},
			Spec:       v1alpha1.VirtualClusterSpec{HostCluster: host.Name},
		},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.HostNamespace(s.ID)}})
}

// Bind gives the tenant its cluster.
func (s *Stage) Bind() {
	s.tb.Helper()
	tenant, cluster := &v1alpha1.Tenant{}, &v1alpha1.VirtualCluster{}
	s.Get(s.Tenant, tenant)
	s.Get(s.ID, cluster)
	cluster.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: tenant.Name, UID: tenant.UID}
	s.must(s.Client.Update(s.ctx(), cluster))
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
	if asked, err := s.onlooker.Look(s.ctx(), s.Namespace, name); err != nil || asked {
		s.tb.Errorf("the other controller looked at %s: it wants to look again: %t, %v", name, asked, err)
	}
	before := s.versions(name)
	for range 6 {
		if _, err := s.Look(s.ctx(), s.Namespace, name); err != nil {
			return err
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
	digest := digest(name)
	return "registry.berth.internal/acme/" + strings.ToLower(name) + "@sha256:" + hex.EncodeToString(digest[:])
}

func (s *Stage) ctx() context.Context { return context.WithoutCancel(s.tb.Context()) }

func (s *Stage) must(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatal(err)
	}
}
