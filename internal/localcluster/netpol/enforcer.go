package netpol

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/knftables"
)

// Options say where and how to enforce.
type Options struct {
	// NodeName is the node whose pods are protected.
	NodeName string
	// CNICacheDir is the result cache of the runtime's CNI library, usually
	// /var/lib/cni/results. Empty: addresses come from the pods' status alone,
	// which is a second or two later.
	CNICacheDir string
	// GroupsFile holds security groups, which pods of a pool like Fargate have instead of
	// policies. It need not exist and is read again when it changed. Empty: there is no such
	// pool, and all pods are alike.
	GroupsFile string
	// NodeAddrs are the node's addresses, which belong to the cluster's own group.
	NodeAddrs []netip.Addr
	// Log is slog.Default() when nil.
	Log *slog.Logger

	// netNS is for tests: the path of the node's network namespace, which this process is not in.
	netNS string
	// debounce is how long to gather changes before a sync.
	debounce time.Duration
	// lookEvery is how often to look whether the file of groups changed.
	lookEvery time.Duration
}

// Enforcer keeps the node's rules in step with the cluster's policies.
type Enforcer struct {
	client kubernetes.Interface
	opts   Options
	log    *slog.Logger

	kicks  chan struct{}
	synced chan struct{}
	cni    *cniCache
	groups *groupFile

	// nft and current belong to Run (and Prepare before it).
	nft knftables.Interface
	// current is what the table holds; nil when that is not known for sure.
	current *ruleset
	// applied, when set, is told of every state that is in force.
	applied func(*snapshot)
}

// podInterfaces is the pattern of the host ends of pods' veths.
const podInterfaces = "veth*"

// retryAfter is the pause after a failed sync.
const retryAfter = time.Second

// New makes an Enforcer; it touches nothing yet.
func New(client kubernetes.Interface, opts Options) (*Enforcer, error) {
	if opts.NodeName == "" {
		return nil, errors.New("netpol: NodeName is empty")
	}
	if opts.debounce == 0 {
		opts.debounce = 20 * time.Millisecond
	}
	if opts.lookEvery == 0 {
		opts.lookEvery = time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	e := &Enforcer{
		client: client, opts: opts, log: opts.Log.With("part", "netpol"),
		kicks: make(chan struct{}, 1), synced: make(chan struct{}),
	}
	if opts.CNICacheDir != "" {
		e.cni = newCNICache(opts.CNICacheDir, e.log, e.kick)
	}
	if opts.GroupsFile != "" {
		e.groups = newGroupFile(e, opts.GroupsFile, opts.lookEvery)
	}
	return e, nil
}

// Prepare installs a table that knows no pod, unless there is a table already: from
// here on nothing passes that a later sync would forbid. Call it before the first pod can start; Run
// calls it too.
func (e *Enforcer) Prepare(ctx context.Context) error {
	return inside(e.opts.netNS, func() error {
		nft, err := knftables.New(knftables.InetFamily, tableName)
		if err != nil {
			return fmt.Errorf("preparing nftables: %w", err)
		}
		e.nft = nft
		chains, err := nft.List(ctx, "chains")
		if err == nil && len(chains) > 0 {
			return nil
		}
		if err != nil && !knftables.IsNotFound(err) {
			return fmt.Errorf("reading the table: %w", err)
		}
		tx := nft.NewTransaction()
		replaceAll(tx, compile(&snapshot{}, podInterfaces))
		if err := nft.Run(ctx, tx); err != nil {
			return fmt.Errorf("installing the table: %w", err)
		}
		return nil
	})
}

// Synced is closed when the whole state has been put in force for the first time.
func (e *Enforcer) Synced() <-chan struct{} { return e.synced }

// Run enforces until ctx ends, and leaves the rules in place then. Failed syncs
// are logged and tried again; an error means that it could not begin.
func (e *Enforcer) Run(ctx context.Context) error {
	if err := e.Prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	if e.cni != nil {
		wait, err := e.cni.start(ctx)
		if err != nil {
			cancel()
			return err
		}
		defer wait()
	}
	if e.groups != nil {
		e.groups.look()
		done := make(chan struct{})
		go func() { defer close(done); e.groups.watch(ctx) }()
		defer func() { <-done }()
	}
	src, err := newSource(e.client, e.kick)
	if err != nil {
		cancel()
		return err
	}
	defer src.stop()
	defer cancel()
	if err := src.start(ctx); err != nil {
		return err
	}
	e.kick()
	e.loop(ctx, src)
	return nil
}

func (e *Enforcer) loop(ctx context.Context, src *source) {
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.kicks:
		}
		if !pause(ctx, e.opts.debounce) {
			return
		}
		// What came meanwhile is part of this sync.
		select {
		case <-e.kicks:
		default:
		}
		if err := e.sync(ctx, src); err != nil {
			if ctx.Err() != nil {
				return
			}
			e.log.Error("network policies could not be put in force; trying again", "error", err)
			if !pause(ctx, retryAfter) {
				return
			}
			e.kick()
			continue
		}
		if first {
			close(e.synced)
			first = false
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// kick asks for a sync.
func (e *Enforcer) kick() {
	select {
	case e.kicks <- struct{}{}:
	default:
	}
}

func (e *Enforcer) sync(ctx context.Context, src *source) error {
	pods, namespaces, policies, err := src.podsAndRules()
	if err != nil {
		return err
	}
	var learned map[types.UID][]netip.Addr
	if e.cni != nil {
		learned = e.cni.addresses()
	}
	s := &snapshot{
		endpoints:  endpoints(pods, learned, e.opts.NodeName, e.groups != nil),
		namespaces: namespaces, policies: policies, nodeAddrs: e.opts.NodeAddrs,
	}
	if e.groups != nil {
		s.groups = e.groups.current()
	}
	return e.apply(ctx, s)
}

// apply puts a state in force. After a failure the table's content is in doubt, so the next one is written whole.
func (e *Enforcer) apply(ctx context.Context, s *snapshot) error {
	next := compile(s, podInterfaces)
	tx := e.nft.NewTransaction()
	if e.current == nil {
		replaceAll(tx, next)
	} else {
		change(tx, e.current, next)
	}
	if tx.NumOperations() > 0 {
		prev := e.current
		e.current = nil
		if err := inside(e.opts.netNS, func() error { return e.nft.Run(ctx, tx) }); err != nil {
			return fmt.Errorf("changing the rules: %w", err)
		}
		e.log.Debug("rules changed", "operations", tx.NumOperations())
		e.forgetConnections(departed(prev, next))
	}
	e.current = next
	if e.applied != nil {
		e.applied(s)
	}
	return nil
}
