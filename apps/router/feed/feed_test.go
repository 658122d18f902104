package feed_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/feed"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
	"github.com/berth-dev/berth/internal/kubetest"
)

const patience = 30 * time.Second

// run follows a cluster into a fresh table until the test ends.
func run(t *testing.T, config *rest.Config) *table.Table {
	t.Helper()
	tbl, f, stop := runIn(t, config, nil, t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(stop)
	eventually(t, "the table is filled", f.Ready)
	return tbl
}

// runIn follows a cluster, or the management and the host cluster, keeping what it knows in
// a folder, until it is stopped.
func runIn(t *testing.T, config, host *rest.Config, dir string, log *slog.Logger) (*table.Table, *feed.Feed, func()) {
	t.Helper()
	tbl := table.New(table.Config{Domain: tabletest.Domain, Platform: "10.0.0.9:8080"})
	f, err := feed.New(config, host, tbl, dir, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return tbl, f, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the feed ended with %v", err)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func serves(tbl *table.Table, host string, addresses ...string) func() bool {
	return func() bool {
		target, ok := tbl.Lookup(host)
		if !ok {
			return false
		}
		var got []string
		for _, e := range target.Endpoints {
			got = append(got, e.Address)
		}
		return slices.Equal(got, addresses)
	}
}

// world is one host of one tenant in a real API server.
type world struct {
	client  client.Client
	cluster client.Client // where its processes run
	vc      v1alpha1.VirtualCluster
	service corev1.Service
	slice   discoveryv1.EndpointSlice
	route   v1alpha1.Route
	host    string
}

// newWorld makes everything behind <tenant>'s host, whose one process has an address.
func newWorld(t *testing.T, c client.Client, tenant, id, address string) *world {
	t.Helper()
	return newWorldOn(t, c, c, tenant, id, address)
}

// newWorldOn makes its processes on another cluster.
func newWorldOn(t *testing.T, c, cluster client.Client, tenant, id, address string) *world {
	t.Helper()
	w := &world{client: c, cluster: cluster, host: "web." + tenant + "." + tabletest.Domain}
	for _, name := range []string{v1alpha1.ManagementNamespace(tenant), v1alpha1.HostNamespace(id)} {
		w.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	on := tabletest.HostCluster(id, "", "")
	w.create(t, &on)
	w.vc = tabletest.VirtualCluster(id, tenant)
	status := w.vc.Status
	w.vc.UID, w.vc.Spec.HostCluster = "", on.Name
	w.create(t, &w.vc)
	w.vc.Status = status
	if err := c.Status().Update(t.Context(), &w.vc); err != nil {
		t.Fatal(err)
	}
	w.service = tabletest.Service(id, "web")
	w.service.UID = ""
	w.create(t, &w.service)
	w.slice = tabletest.EndpointSlice(w.service, address)
	w.create(t, &w.slice)
	w.route = tabletest.Route(tenant, "web", w.host, id)
	w.create(t, &w.route)
	return w
}

// of is the cluster that an object is in.
func (w *world) of(o client.Object) client.Client {
	switch o.(type) {
	case *corev1.Service, *discoveryv1.EndpointSlice:
		return w.cluster
	}
	if strings.HasPrefix(o.GetName(), v1alpha1.HostNamespace("")) {
		return w.cluster
	}
	return w.client
}

func (w *world) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := w.of(o).Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func (w *world) update(t *testing.T, o client.Object) {
	t.Helper()
	if err := w.of(o).Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestTheTableFollowsTheCluster(t *testing.T) {
	env := kubetest.Start(t)
	early := newWorld(t, env.Client, "early", "earlyyyy", "10.1.0.1:8080")
	tbl := run(t, env.Config)
	if !serves(tbl, early.host, "10.1.0.1:8080")() {
		t.Fatal("what was there before is not served when the feed is ready")
	}

	w := newWorld(t, env.Client, "acme", "acmeacme", "10.1.0.2:8080")
	eventually(t, "a new route is served", serves(tbl, w.host, "10.1.0.2:8080"))

	w.slice.Endpoints = append(w.slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.1.0.3"}})
	begun := time.Now()
	w.update(t, &w.slice)
	eventually(t, "a new process is used", serves(tbl, w.host, "10.1.0.2:8080", "10.1.0.3:8080"))
	t.Logf("a new process is used %s after the write began", time.Since(begun).Round(time.Millisecond))

	no := false
	w.slice.Endpoints[0].Conditions.Ready = &no
	w.update(t, &w.slice)
	eventually(t, "an unready process is not used", serves(tbl, w.host, "10.1.0.3:8080"))

	w.route.Spec.Edge.Maintenance = true
	w.update(t, &w.route)
	eventually(t, "maintenance is on", func() bool { target, ok := tbl.Lookup(w.host); return ok && target.Maintenance })

	thief := tabletest.Route("early", "thief", "web.early."+tabletest.Domain, "acmeacme")
	thief.Spec.Host = "stolen.early." + tabletest.Domain
	w.create(t, &thief)
	eventually(t, "a route into another tenant's cluster is refused", func() bool {
		return tbl.Snapshot().Refused[client.ObjectKeyFromObject(&thief)] == table.RefusedClaim
	})

	if err := env.Client.Delete(t.Context(), &w.route); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted route is gone", func() bool { _, ok := tbl.Lookup(w.host); return !ok })
	if !serves(tbl, early.host, "10.1.0.1:8080")() {
		t.Error("another host changed meanwhile")
	}
}

// gate lets connections through to a server, or not.
type gate struct {
	target   string
	address  string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

// behind gives a way to a server through a gate that is open.
func behind(t *testing.T, config *rest.Config) (*gate, *rest.Config) {
	t.Helper()
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{target: server.Host, address: "127.0.0.1:0"}
	g.open(t)
	config = rest.CopyConfig(config)
	config.Host = "https://" + g.address
	return g, config
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	var err error
	if g.listener, err = net.Listen("tcp", g.address); err != nil {
		t.Fatal(err)
	}
	g.address = g.listener.Addr().String()
	listener := g.listener
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", g.target)
			if err != nil {
				_ = from.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, from, to)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(from, to) }()
			go func() { _, _ = io.Copy(to, from) }()
		}
	}()
}

func (g *gate) close() error {
	err := g.listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range g.conns {
		err = errors.Join(err, conn.Close())
	}
	g.conns = nil
	return err
}

func TestTheLastTableStaysWhileTheAPIServerIsAway(t *testing.T) {
	env := kubetest.Start(t)
	w := newWorld(t, env.Client, "stay", "staystay", "10.2.0.1:8080")
	g, config := behind(t, env.Config)
	tbl := run(t, config)

	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	w.slice.Endpoints[0].Addresses = []string{"10.2.0.2"}
	w.update(t, &w.slice)
	if !serves(tbl, w.host, "10.2.0.1:8080")() {
		t.Error("the host is no longer served as it was")
	}
	g.open(t)
	t.Cleanup(func() { _ = g.close() })
	eventually(t, "what changed meanwhile is caught up with", serves(tbl, w.host, "10.2.0.2:8080"))
}
