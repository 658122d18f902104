package hostcluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

// startLimit is how long a member may take to become ready, the first time or again. One
// that takes longer is replaced: it would hold a starting place for ever.
const startLimit = 15 * time.Minute

// stock is what is on one host cluster.
type stock struct {
	all, available, starting, bound int32
	// leaving are those being deleted, bound or not.
	leaving int32
	// fresh are unbound members with the current hash, stale the others; both without
	// those that are stuck or being deleted.
	fresh, stale, stuck []v1alpha1.VirtualCluster
}

// count sorts the virtual clusters of a host. It is pure.
func count(host string, clusters []v1alpha1.VirtualCluster, hash string, now time.Time) stock {
	var s stock
	for _, c := range clusters {
		if c.Spec.HostCluster != host {
			continue
		}
		s.all++
		if c.DeletionTimestamp != nil {
			s.leaving++
			continue
		}
		available := c.Status.Phase == v1alpha1.VirtualClusterAvailable
		switch {
		case c.Spec.ClaimRef != nil:
			s.bound++
			continue
		case available:
			s.available++
		case now.Sub(unreadySince(&c)) > startLimit:
			s.stuck = append(s.stuck, c)
			continue
		default:
			s.starting++
		}
		if c.Status.ValuesHash != "" && c.Status.ValuesHash != hash {
			s.stale = append(s.stale, c)
		} else {
			s.fresh = append(s.fresh, c)
		}
	}
	return s
}

// unreadySince is when a member began to become ready: at its creation or, where it was
// ready and is no more, when that was seen. A host that starts again would otherwise
// lose its whole pool at once.
func unreadySince(c *v1alpha1.VirtualCluster) time.Time {
	since := c.CreationTimestamp.Time
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionControlPlaneReady)
	if ready != nil && ready.LastTransitionTime.After(since) {
		return ready.LastTransitionTime.Time
	}
	return since
}

// change is what must be done to a stock.
type change struct {
	create int32
	remove []v1alpha1.VirtualCluster
}

// decide says how to bring a stock to what the pool wants while some tenants wait. It
// is pure.
func decide(s stock, pool v1alpha1.PoolSpec, waiting int32) change {
	want := max(pool.Size, waiting)
	removed := slices.Clone(s.stuck)

	// A stale member goes as soon as a fresh one that is ready can take its place.
	ready := int32(0)
	for _, c := range s.fresh {
		if tenancy.Claimable(&c) {
			ready++
		}
	}
	spare := max(int32(len(s.stale))+ready-want, 0)
	if s.all >= pool.MaxClusters && int32(len(s.fresh)) < want && s.leaving == 0 && len(s.stuck) == 0 {
		// No room for the fresh one before a stale one is gone. One is enough: while any
		// is on its way out, room is coming.
		spare = max(spare, 1)
	}
	removed = append(removed, youngest(s.stale, spare)...)
	removed = append(removed, youngest(s.fresh, int32(len(s.fresh))-want)...)

	create := min(want-int32(len(s.fresh)), pool.MaxStarting-s.starting, pool.MaxClusters-s.all)
	return change{create: max(create, 0), remove: removed}
}

// youngest are the n members that tenants would claim last.
func youngest(members []v1alpha1.VirtualCluster, n int32) []v1alpha1.VirtualCluster {
	if n <= 0 {
		return nil
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b v1alpha1.VirtualCluster) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	return sorted[:min(int(n), len(sorted))]
}

// waits says whether a tenant is in need of a cluster.
func waits(t *v1alpha1.Tenant) bool {
	if t.DeletionTimestamp != nil || meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionClusterBound) {
		return false
	}
	// One that is refused for another reason, such as its plan, needs none.
	bound := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionClusterBound)
	return bound != nil && (bound.Reason == v1alpha1.ReasonQueued || bound.Reason == v1alpha1.ReasonNoCapacity)
}

// queue is how many tenants a host of a region may have to make a cluster for. A tenant's
// condition says that it waits until a moment after its claim: the claim counts. It is pure.
func queue(tenants []v1alpha1.Tenant, clusters []v1alpha1.VirtualCluster, region string) int32 {
	claimed := map[types.UID]bool{}
	for i := range clusters {
		if claim := clusters[i].Spec.ClaimRef; claim != nil {
			claimed[claim.UID] = true
		}
	}
	var waiting int32
	for i := range tenants {
		t := &tenants[i]
		if waits(t) && !claimed[t.UID] && (t.Spec.Region == "" || t.Spec.Region == region) {
			waiting++
		}
	}
	return waiting
}

// keep counts the stock, changes it and gives the count from before the change.
func (r *Reconciler) keep(ctx context.Context, host *v1alpha1.HostCluster, reachable bool) (stock, error) {
	hash, err := r.Installer.Hash(tenancy.HostClass{
		StorageClass: host.Spec.StorageClassName, CPUOvercommit: host.Spec.CPUOvercommit,
	})
	if err != nil {
		return stock{}, err
	}
	found, todo, err := r.look(ctx, host, hash, reachable)
	if err != nil {
		return found, err
	}
	for i := range todo.remove {
		if err := r.remove(ctx, &todo.remove[i]); err != nil {
			return found, err
		}
	}
	for range todo.create {
		if err := r.create(ctx, host); err != nil {
			return found, err
		}
	}
	if host.DeletionTimestamp != nil && found.all > 0 {
		return found, steps.Wait(v1alpha1.ReasonDeleting,
			fmt.Sprintf("%d virtual clusters are left, %d of them bound to tenants", found.all, found.bound), 0)
	}
	return found, nil
}

func (r *Reconciler) look(ctx context.Context, host *v1alpha1.HostCluster, hash string, reachable bool) (stock, change, error) {
	var clusters v1alpha1.VirtualClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		return stock{}, change{}, fmt.Errorf("listing virtual clusters: %w", err)
	}
	now := r.Clock.Now()
	found := count(host.Name, r.young.add(clusters.Items, now), hash, now)
	if host.DeletionTimestamp != nil {
		return found, change{remove: slices.Concat(found.fresh, found.stale, found.stuck)}, nil
	}
	if host.Spec.Cordoned || !reachable {
		return found, change{}, nil // Its pool stays as it is; what is replaced would not be made again.
	}
	var tenants v1alpha1.TenantList
	if err := r.Client.List(ctx, &tenants); err != nil {
		return found, change{}, fmt.Errorf("listing tenants: %w", err)
	}
	return found, decide(found, host.Spec.Pool, queue(tenants.Items, clusters.Items, host.Spec.Region)), nil
}

func (r *Reconciler) create(ctx context.Context, host *v1alpha1.HostCluster) error {
	id, err := tenancy.NewID()
	if err != nil {
		return err
	}
	vc := &v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: id, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth}},
		Spec:       v1alpha1.VirtualClusterSpec{HostCluster: host.Name},
	}
	// An id that is taken fails here, and the next pass draws another.
	if err := r.Client.Create(ctx, vc); err != nil {
		return fmt.Errorf("creating virtual cluster %s: %w", id, err)
	}
	r.young.remember(vc, r.Clock.Now())
	return nil
}

// remove deletes a member if it is still as it was seen: one that a tenant claimed
// meanwhile has another version and stays.
func (r *Reconciler) remove(ctx context.Context, member *v1alpha1.VirtualCluster) error {
	err := r.Client.Delete(ctx, member, client.Preconditions{UID: &member.UID, ResourceVersion: &member.ResourceVersion})
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("deleting virtual cluster %s: %w", member.Name, err)
	}
	return nil
}
