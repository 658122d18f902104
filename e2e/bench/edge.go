package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// The sides of the edge's comparison.
const (
	edgeOurs   = "Berth's edge"
	edgeTheirs = "nginx"
)

const (
	edgeApp = "benchedge"
	// edgeLoad is how long each side is loaded in a round.
	edgeLoad = 10 * time.Second
	// edgeConnections is over how many connections.
	edgeConnections = 64
	// manyHosts and manySockets are what the memory of each side is measured with.
	manyHosts   = 1000
	manySockets = 1000
	// settleMemory is how long a process gets to give back what it used in passing.
	settleMemory = 30 * time.Second
)

// edgeBench measures the edge against nginx in front of the same process, both reached from
// inside the node's network.
type edgeBench struct {
	*bench
	tenant string
	// host is the app's name, app the address of its one process.
	host, app string
	// edge is where the edge listens.
	edge    string
	edgePID int
	nginx   *nginx
	// tools is the folder of the peer's programs.
	tools string
}

// measureEdge compares requests, memory per host and memory per idle websocket, and measures
// how soon a changed route is served.
func (b *bench) measureEdge(ctx context.Context) (err error) {
	e := &edgeBench{bench: b, tenant: b.uniqueName()}
	if e.tools, err = debianTools(ctx); err != nil {
		return err
	}
	if err := e.prepare(ctx); err != nil {
		return err
	}
	if e.nginx, err = e.startNginx(ctx, 1); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.nginx.stop()) }()
	for _, step := range []func(context.Context) error{e.measureRequests, e.measureSockets, e.measureRoutes, e.measureHosts} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err = output(b.berth(ctx, "tenants:delete", e.tenant, "--confirm", e.tenant))
	return err
}

// prepare deploys the app that both sides stand in front of.
func (e *edgeBench) prepare(ctx context.Context) error {
	if _, err := output(e.berth(ctx, "tenants:create", e.tenant, "--plan", "small")); err != nil {
		return err
	}
	d := &deployer{bench: e.bench, tenant: e.tenant}
	var tenant berthv1.Tenant
	if err := e.instance.host.Get(ctx, client.ObjectKey{Name: e.tenant}, &tenant); err != nil {
		return err
	}
	d.namespace = berthv1.HostNamespace(tenant.Status.VirtualCluster)
	image, err := d.image(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(e.scratch, edgeApp+".yaml")
	// All the OCUs of the plan: the process must not be what is measured.
	text := fmt.Sprintf(`app: %s
components:
  web:
    image: %s
    command: [/testapp, serve]
    ocus: 19
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
`, edgeApp, image.tag)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := output(e.berth(ctx, "apply", "-t", e.tenant, "-f", path)); err != nil {
		return err
	}
	e.host = edgeApp + "." + e.tenant + "." + e.up.Domain
	if e.app, err = e.podAddress(ctx, d.namespace, client.MatchingLabels{berthv1.LabelApp: edgeApp}, 8080); err != nil {
		return err
	}
	if e.edge, err = e.podAddress(ctx, "berth-system", client.MatchingLabels{"app.kubernetes.io/component": "router"}, 8443); err != nil {
		return err
	}
	e.edgePID, err = e.processNamed("berth-router")
	return err
}

// podAddress is where the one ready pod with these labels listens.
func (e *edgeBench) podAddress(ctx context.Context, namespace string, labels client.MatchingLabels, port int) (string, error) {
	var address string
	err := until(ctx, tick, patience, fmt.Sprintf("a ready pod of %v", labels), func() (bool, error) {
		var pods corev1.PodList
		if err := e.instance.host.List(ctx, &pods, client.InNamespace(namespace), labels); err != nil {
			return false, err
		}
		for i := range pods.Items {
			if pods.Items[i].DeletionTimestamp == nil && podReady(&pods.Items[i]) {
				address = net.JoinHostPort(pods.Items[i].Status.PodIP, strconv.Itoa(port))
			}
		}
		return address != "", nil
	})
	return address, err
}

// processNamed finds the instance's one process of a name.
func (e *edgeBench) processNamed(name string) (int, error) {
	all, err := e.processes()
	if err != nil {
		return 0, err
	}
	for pid, p := range all {
		if p.name == name {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("the instance has no process %s", name)
}

// edgeMemory is what the edge's process holds, in bytes.
func (e *edgeBench) edgeMemory() (int64, error) {
	p, err := readProcess(e.edgePID)
	return p.pss << 10, err
}

// measureRequests loads both sides in turns, over HTTP/1.1 and HTTP/2.
func (e *edgeBench) measureRequests(ctx context.Context) error {
	type side struct {
		what, address, protocol string
	}
	sides := []side{
		{edgeOurs, e.edge, "HTTP/1.1"},
		{edgeTheirs, e.nginx.address, "HTTP/1.1"},
		{edgeOurs, e.edge, "HTTP/2"},
		{edgeTheirs, e.nginx.address, "HTTP/2"},
	}
	for round := 1; round <= e.rounds; round++ {
		for _, s := range turns(round, sides) {
			e.say("edge, round %d: %s over %s", round, s.what, s.protocol)
			if err := e.quiet(ctx); err != nil {
				return err
			}
			got, err := e.h2load(ctx, s.address, s.protocol)
			if err != nil {
				return fmt.Errorf("%s over %s: %w", s.what, s.protocol, err)
			}
			e.record(Record{
				Measure: "edge", Case: s.what, Part: s.protocol, Round: round,
				PerSecond: got.perSecond, P50Micros: got.p50, P99Micros: got.p99,
			})
		}
	}
	return nil
}

// measureHosts compares the memory that a thousand further hosts take. It comes last: the
// garbage of making them stays a while.
func (e *edgeBench) measureHosts(ctx context.Context) error {
	if err := pause(ctx, settleMemory); err != nil {
		return err
	}
	before, err := e.edgeMemory()
	if err != nil {
		return err
	}
	e.say("edge: %d hosts", manyHosts)
	for i := range manyHosts {
		if err := e.addRoute(ctx, "many-"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	if err := e.served(ctx, "many-"+strconv.Itoa(manyHosts-1)); err != nil {
		return err
	}
	if err := pause(ctx, settleMemory); err != nil {
		return err
	}
	after, err := e.edgeMemory()
	if err != nil {
		return err
	}
	e.record(Record{Measure: "edge", Case: edgeOurs, Part: partHosts, Bytes: after - before})

	// A process that has just started holds its configuration and nothing of a load.
	var sizes []int64
	for _, hosts := range []int{1, 1 + manyHosts} {
		if err := e.nginx.stop(); err != nil {
			return err
		}
		if e.nginx, err = e.startNginx(ctx, hosts); err != nil {
			return err
		}
		size, err := e.nginx.memory()
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
	}
	e.record(Record{Measure: "edge", Case: edgeTheirs, Part: partHosts, Bytes: sizes[1] - sizes[0]})
	return nil
}

// measureSockets compares the memory that a thousand idle websockets take.
func (e *edgeBench) measureSockets(ctx context.Context) error {
	for _, side := range []struct {
		what, address string
		memory        func() (int64, error)
	}{{edgeOurs, e.edge, e.edgeMemory}, {edgeTheirs, e.nginx.address, e.nginx.memory}} {
		e.say("edge: %d idle websockets through %s", manySockets, side.what)
		if err := pause(ctx, settleMemory); err != nil {
			return err
		}
		before, err := side.memory()
		if err != nil {
			return err
		}
		closeAll, err := e.openSockets(ctx, side.address, manySockets)
		if err != nil {
			return fmt.Errorf("%s: %w", side.what, err)
		}
		err = pause(ctx, settleMemory)
		after, failed := side.memory()
		closeAll()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		e.record(Record{Measure: "edge", Case: side.what, Part: partSockets, Bytes: after - before})
	}
	return nil
}
