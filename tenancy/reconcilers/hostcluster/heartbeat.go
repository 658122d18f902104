package hostcluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// beatEvery is how often a host is looked at.
	beatEvery = 15 * time.Second
	// beatTimeout bounds one look.
	beatTimeout = 5 * time.Second
	// silence is how old a host's last answer may be: it takes no tenant after that.
	silence = time.Minute
)

// pulse is what is known of one host.
type pulse struct {
	// host is which one, whose name an earlier one may have had.
	host types.UID
	// looked is when it was last asked, answered when it last answered.
	looked, answered time.Time
	// lease is what was last seen of its controller's lease, where that is another one.
	lease string
	// room is what was measured last; nil before the first time.
	room *tenancy.Room
}

// reachable says whether a host answered recently.
func (p pulse) reachable(now time.Time) bool {
	return !p.answered.IsZero() && now.Sub(p.answered) <= silence
}

// due says whether the host must be looked at.
func (p pulse) due(now time.Time) bool {
	return p.looked.IsZero() || now.Sub(p.looked) >= beatEvery
}

// next is how long until the host must be looked at again.
func (p pulse) next(now time.Time) time.Duration {
	return max(beatEvery-now.Sub(p.looked), time.Second)
}

// pulses remembers when each host answered. It is not in the status: a write every few
// seconds would wake everybody who watches. What another process heard before this one
// took over is not known, so the first look decides.
type pulses struct {
	mu    sync.Mutex
	hosts map[string]pulse
}

// get is the pulse of a host, and nothing of an earlier one of its name.
func (p *pulses) get(host *v1alpha1.HostCluster) pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.hosts[host.Name]; known.host == host.UID {
		return known
	}
	return pulse{host: host.UID}
}

func (p *pulses) set(host *v1alpha1.HostCluster, as pulse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts == nil {
		p.hosts = map[string]pulse{}
	}
	p.hosts[host.Name] = as
}

// hurry makes the next pass look, however short ago the last look was.
func (p *pulses) hurry(host *v1alpha1.HostCluster) {
	known := p.get(host)
	known.looked = time.Time{}
	p.set(host, known)
}

func (p *pulses) forget(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.hosts, host)
}

// beat looks at a host when that is due: whether it answers, and what room it has.
func (r *Reconciler) beat(ctx context.Context, host *v1alpha1.HostCluster) (pulse, error) {
	known := r.pulses.get(host)
	now := r.Clock.Now()
	if !known.due(now) {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	known.looked = now
	if err := r.Reach(ctx, host); err != nil {
		log.FromContext(ctx).Info("A host cluster does not answer", "hostCluster", host.Name, "error", err.Error())
		r.pulses.set(host, known)
		return known, nil
	}
	known.answered = r.Clock.Now()
	room, err := r.measure(ctx, host)
	if err == nil {
		known.room = &room
	}
	r.pulses.set(host, known)
	return known, err
}

func (r *Reconciler) measure(ctx context.Context, host *v1alpha1.HostCluster) (tenancy.Room, error) {
	var nodes corev1.NodeList
	if err := r.Host.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return tenancy.Room{}, fmt.Errorf("listing nodes: %w", err)
	}
	var pods corev1.PodList
	if err := r.Host.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return tenancy.Room{}, fmt.Errorf("listing pods: %w", err)
	}
	return tenancy.RoomOn(nodes.Items, pods.Items, host.Spec.CPUOvercommit), nil
}

// TrimNode drops what is not read of a node before it is cached: the list of images alone
// is longer than all the rest. It has the form of a cache's transform.
func TrimNode(object any) (any, error) {
	node, is := object.(*corev1.Node)
	if !is {
		return object, nil
	}
	trimmed := &corev1.Node{}
	trimmed.Name, trimmed.UID, trimmed.ResourceVersion = node.Name, node.UID, node.ResourceVersion
	trimmed.Labels, trimmed.DeletionTimestamp = node.Labels, node.DeletionTimestamp
	trimmed.Spec.Unschedulable, trimmed.Spec.Taints = node.Spec.Unschedulable, node.Spec.Taints
	trimmed.Status.Allocatable, trimmed.Status.Conditions = node.Status.Allocatable, node.Status.Conditions
	return trimmed, nil
}
