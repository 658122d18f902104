package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Where a host meets the instance it is a host of: none of the two has a way out of its
// network namespace. These listen in the host's namespace and lead to the other's API
// server, registry and edge.
const (
	managementAPIPort      = 7301
	managementRegistryPort = 7302
	managementEdgePort     = 7303
)

// These listen in the namespace of the instance that has hosts. Each leads to the edge of
// one of them, HostOf.EdgePort says of which. In a host's own namespace all of them lead to
// the same port over there: an edge has one address, from wherever it is asked.
const (
	firstEdgePort = 7400
	lastEdgePort  = 7499
)

// linkEvery is how often it is looked whether the other instance is still the one that is
// linked with: at each of its starts it has another namespace.
const linkEvery = 2 * time.Second

// Links says how a host is linked with the instance it is a host of.
type Links struct {
	Up bool `json:"up"`
	// Problem says why they are down.
	Problem string `json:"problem,omitempty"`
}

// Links tells how a running host is linked.
func (i *Instance) Links() (Links, error) {
	var links Links
	err := readJSON(i.path("run", "links.json"), &links)
	if errors.Is(err, fs.ErrNotExist) {
		return Links{Problem: "not linked yet"}, nil
	}
	return links, err
}

// linker links a host with the instance it is a host of, and again after each start of that.
// Everything is the host's: the other knows nothing of it, and needs no change.
type linker struct {
	host     *Instance
	node     Running
	other    *Instance
	edgePort int
	log      *slog.Logger

	// with is the node that is linked with, gateways carry what comes over the links.
	with     Running
	gateways []*gateway
	// said is what was written last; nil before the first time.
	said *Links
}

// keepLinked links a host until stop is called. An instance with a Berth of its own needs
// no links.
func (i *Instance) keepLinked(ctx context.Context, node Running, of *HostOf, log *slog.Logger) (stop func(), err error) {
	if of == nil {
		return func() {}, nil
	}
	other, err := Open(of.Instance)
	if err != nil {
		return nil, err
	}
	l := &linker{host: i, node: node, other: other, edgePort: of.EdgePort, log: log.With("instance", other.Name)}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.run(ctx)
	}()
	return func() { cancel(); <-ended }, nil
}

// run keeps the links up until ctx ends.
func (l *linker) run(ctx context.Context) {
	defer l.cut()
	look := time.NewTicker(linkEvery)
	defer look.Stop()
	for {
		l.look()
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// look brings the links up to what the other instance is now.
func (l *linker) look() {
	now := l.other.Running()
	if now == nil || now.NodePID == 0 || born(now.NodePID) != now.NodeBorn {
		l.cut()
		l.say(Links{Problem: fmt.Sprintf("instance %q does not run", l.other.Name)})
		return
	}
	if l.gateways != nil && now.NodePID == l.with.NodePID && now.NodeBorn == l.with.NodeBorn {
		return
	}
	l.cut()
	if err := l.link(*now); err != nil {
		l.cut()
		l.say(Links{Problem: err.Error()})
		return
	}
	l.with = *now
	l.say(Links{Up: true})
}

// cut ends the links and lets the other's namespace go, which open sockets keep.
func (l *linker) cut() {
	for _, g := range l.gateways {
		g.close()
	}
	l.gateways = nil
}

// link listens in each of the two namespaces for what leads into the other.
func (l *linker) link(other Running) error {
	there, err := openNamespace(other)
	if err != nil {
		return err
	}
	l.gateways = append(l.gateways, newGateway(there, l.log))
	here, err := openNamespace(l.node)
	if err != nil {
		return err
	}
	l.gateways = append(l.gateways, newGateway(here, l.log))
	into, out := l.gateways[0], l.gateways[1]
	type link struct {
		carrier *gateway
		in      *os.File
		port    int
		target  string
	}
	links := []link{
		{into, here, managementAPIPort, onNode(apiPort)},
		{into, here, managementRegistryPort, onNode(registryPort)},
		{into, here, managementEdgePort, edgeInside},
		{out, there, l.edgePort, edgeInside},
	}
	for port := firstEdgePort; port <= lastEdgePort; port++ {
		links = append(links, link{into, here, port, onNode(port)})
	}
	for _, each := range links {
		listener, err := listenInside(each.in, onNode(each.port))
		if err != nil {
			return fmt.Errorf("linking: %w", err)
		}
		each.carrier.serve(listener, each.target)
	}
	return nil
}

// say writes how the links are, where that is news.
func (l *linker) say(now Links) {
	if l.said != nil && *l.said == now {
		return
	}
	l.said = &now
	if now.Up {
		l.log.Info("linked")
	} else {
		l.log.Warn("not linked", "problem", now.Problem)
	}
	if err := writeJSON(l.host.path("run", "links.json"), now); err != nil {
		l.log.Error("writing how the links are", "error", err)
	}
}
