package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
)

// asController makes this test binary the controller.
const asController = "BERTH_TEST_AS_CONTROLLER"

func TestMain(m *testing.M) {
	if os.Getenv(asController) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestASecondControllerTakesOver runs two controllers at once. The second waits while the
// first lives and works when that is killed, within the lease; a third works at once when
// the second ends in good order, since that gives the lease back.
func TestASecondControllerTakesOver(t *testing.T) {
	env := kubetest.Start(t)
	p := &pair{Env: env, namespace: env.Namespace(t), kubeconfig: kubeconfig(t, env.Config), chart: chart(t)}
	first := p.start(t)
	p.holder(t, "")
	p.work(t, "first")
	leader := p.holder(t, "")

	second := p.start(t)
	p.waits(t, second)
	if now := p.holder(t, ""); now != leader {
		t.Fatalf("%s holds the lease while the first, %s, lives", now, leader)
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	other := p.holder(t, leader)
	p.work(t, "second")
	took := time.Since(killed)
	t.Logf("the second works %s after the first was killed", took.Round(10*time.Millisecond))
	if limit := leaseDuration + 3*retryPeriod + 15*time.Second; took > limit {
		t.Errorf("it took %s, more than %s", took, limit)
	}

	third := p.start(t)
	p.waits(t, third)
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	p.holder(t, other)
	p.work(t, "third")
	t.Logf("the third works %s after the second was told to end", time.Since(ended).Round(10*time.Millisecond))
}

// TestAControllerWithANameWorksOnTwoClusters runs the controller of a host whose management
// cluster is another one.
func TestAControllerWithANameWorksOnTwoClusters(t *testing.T) {
	management, host := kubetest.Start(t), kubetest.Host(t)
	p := &pair{
		Env: management, namespace: management.Namespace(t), kubeconfig: kubeconfig(t, host.Config), chart: chart(t), controller: "eu",
	}
	eu := p.start(t, "--controller-name=eu", "--management-kubeconfig="+kubeconfig(t, management.Config))
	p.holder(t, "")
	p.work(t, "far")
	var leases coordinationv1.LeaseList
	if err := host.Client.List(t.Context(), &leases, client.InNamespace(p.namespace)); err != nil || len(leases.Items) > 0 {
		t.Errorf("on the host there are leases: %v (%v)", leases.Items, err)
	}
	if said := eu.said(t); strings.Contains(said, "ERROR") || strings.Contains(said, "no matches for kind") {
		t.Errorf("it said:\n%s", said)
	}
}

// pair is what controllers that share a lease share.
type pair struct {
	*kubetest.Env
	namespace, kubeconfig, chart string
	// controller is their name.
	controller string
}

// controller is one process and what it logs.
type controller struct {
	*exec.Cmd
	log string
}

func (p *pair) start(t *testing.T, args ...string) *controller {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "--vcluster-chart="+p.chart, "--namespace="+p.namespace, "--metrics-address=0", "--health-address=0")
	c := &controller{exec.CommandContext(t.Context(), self, args...), filepath.Join(t.TempDir(), "log")}
	log, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.Env = append(os.Environ(), asController+"=1", "KUBECONFIG="+p.kubeconfig)
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Wait() // it is killed with the test, or was before
		if t.Failed() {
			t.Logf("a controller said:\n%s", c.said(t))
		}
	})
	return c
}

// said is all that a controller has logged.
func (c *controller) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// waits waits until a controller says that it tries to get the lease.
func (p *pair) waits(t *testing.T, c *controller) {
	t.Helper()
	p.until(t, "the controller asks for the lease", func(context.Context) bool {
		return strings.Contains(strings.ToLower(c.said(t)), "attempting to acquire leader lease")
	})
}

// holder waits until somebody else than the one named holds the lease, and gives its name.
func (p *pair) holder(t *testing.T, not string) string {
	t.Helper()
	name := ""
	p.until(t, "another holder of the lease than "+not, func(ctx context.Context) bool {
		lease := &coordinationv1.Lease{}
		if err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: tenancy.LeaseName(p.controller)}, lease); err != nil || lease.Spec.HolderIdentity == nil {
			return false
		}
		name = *lease.Spec.HolderIdentity
		return name != "" && name != not
	})
	return name
}

// work gives whoever leads something to do, and waits until it is done.
func (p *pair) work(t *testing.T, name string) {
	t.Helper()
	host := &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HostClusterSpec{
			Region: "nowhere", ControllerName: p.controller, CPUOvercommit: 1, Pool: v1alpha1.PoolSpec{MaxClusters: 1, MaxStarting: 1},
			Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"192.0.2.1/32"}, APIServerPort: 6443},
		},
	}
	if err := p.Client.Create(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	p.until(t, "somebody looks after host "+name, func(ctx context.Context) bool {
		return p.Client.Get(ctx, client.ObjectKeyFromObject(host), host) == nil && host.Status.ObservedGeneration > 0
	})
	if err := p.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) until(t *testing.T, what string, holds func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		return holds(ctx), nil
	})
	if err != nil {
		t.Fatalf("it never came true that %s: %v", what, err)
	}
}

// kubeconfig writes the configuration of an API server's client into a file.
func kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	const name = "test"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:  map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}}, CurrentContext: name,
	}, path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
