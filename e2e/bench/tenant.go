package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// The cases of a new tenant.
const (
	tenantCold    = "Berth, empty pool"
	tenantClaimed = "Berth, from the pool"
	peerEqual     = "vcluster create, Berth's limits"
	peerDefault   = "vcluster create, the chart's limits"
)

// patience is how long anything may take before the run is given up.
const patience = 5 * time.Minute

// listFromCache lets the API server's cache answer a list.
var listFromCache = &metav1.ListOptions{ResourceVersion: "0"}

// measureTenants makes tenants and plain virtual clusters in turns. Nothing else happens
// meanwhile: the pool is empty and what was made before is gone.
func (b *bench) measureTenants(ctx context.Context) error {
	peer, err := b.newPeer(ctx)
	if err != nil {
		return err
	}
	type side struct {
		what string
		pool int32
		make func(context.Context, string, *probe) error
	}
	sides := []side{
		{tenantCold, 0, b.makeTenant},
		{peerEqual, 0, peer.with(peer.equal)},
		{tenantClaimed, 1, b.makeTenant},
		{peerDefault, 0, peer.with(peer.plain)},
	}
	for round := 1; round <= b.rounds; round++ {
		for _, one := range turns(round, sides) {
			if err := b.setPool(ctx, one.pool); err != nil {
				return err
			}
			b.say("tenant, round %d: %s", round, one.what)
			if err := b.quiet(ctx); err != nil {
				return err
			}
			p := &probe{instance: b.instance, stages: map[string]int64{}, start: time.Now()}
			if err := one.make(ctx, b.uniqueName(), p); err != nil {
				return fmt.Errorf("%s: %w", one.what, err)
			}
			b.record(Record{Measure: "tenant", Case: one.what, Round: round, Milliseconds: p.last(), Stages: p.times()})
			if err := b.setPool(ctx, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// turns are the sides in the order of a round: every other round goes backwards, so that no
// side always comes first.
func turns[T any](round int, sides []T) []T {
	sides = slices.Clone(sides)
	if round%2 == 0 {
		slices.Reverse(sides)
	}
	return sides
}

// uniqueName is a name nobody had: the names of tenants are never free again.
func (b *bench) uniqueName() string {
	return "bench-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
}

// makeTenant makes a tenant as a person does, notes when it is ready, and deletes it.
func (b *bench) makeTenant(ctx context.Context, name string, p *probe) error {
	done := make(chan error, 1)
	go func() {
		_, err := output(b.berth(ctx, "tenants:create", name, "--plan", "small"))
		done <- err
	}()
	err := until(ctx, tick, patience, "the tenant is ready", func() (bool, error) {
		if err := finished(done, p); err != nil {
			return true, err
		}
		if err := b.findCluster(ctx, name, p); err != nil || p.name == "" {
			return false, err
		}
		ready, err := p.look(ctx)
		if err != nil || !ready {
			return false, err
		}
		var tenant berthv1.Tenant
		if err := b.host.Get(ctx, client.ObjectKey{Name: name}, &tenant); err != nil {
			return false, err
		}
		if meta.IsStatusConditionTrue(tenant.Status.Conditions, berthv1.ConditionReady) {
			p.reached("tenant")
		}
		return p.has("tenant", "command"), nil
	})
	if err != nil {
		return err
	}
	_, err = output(b.berth(ctx, "tenants:delete", name, "--confirm", name))
	return err
}

// finished notes that the command has ended.
func finished(done <-chan error, p *probe) error {
	select {
	case err := <-done:
		p.reached("command")
		return err
	default:
		return nil
	}
}

// findCluster finds the virtual cluster of a tenant: the one it claimed or, from an empty
// pool, the only one there is.
func (b *bench) findCluster(ctx context.Context, tenant string, p *probe) error {
	if p.name != "" {
		return nil
	}
	var clusters berthv1.VirtualClusterList
	if err := b.host.List(ctx, &clusters); err != nil {
		return err
	}
	for _, cluster := range clusters.Items {
		ref := cluster.Spec.ClaimRef
		if ref != nil && ref.Name == tenant || len(clusters.Items) == 1 && cluster.Status.Phase != berthv1.VirtualClusterAvailable {
			p.name, p.namespace = cluster.Name, berthv1.HostNamespace(cluster.Name)
		}
	}
	return nil
}

// setPool changes the size of the pool and waits until it has it and nothing is left of
// anything else.
func (b *bench) setPool(ctx context.Context, size int32) error {
	hosts, err := b.hostClusters(ctx)
	if err != nil {
		return err
	}
	for i := range hosts {
		before := client.MergeFrom(hosts[i].DeepCopy())
		hosts[i].Spec.Pool.Size = size
		if err := b.host.Patch(ctx, &hosts[i], before); err != nil {
			return err
		}
	}
	return until(ctx, 250*time.Millisecond, patience, fmt.Sprintf("a pool of %d", size), func() (bool, error) {
		if seen, err := b.poolSeen(ctx); err != nil || !seen {
			return false, err
		}
		var clusters berthv1.VirtualClusterList
		if err := b.host.List(ctx, &clusters); err != nil {
			return false, err
		}
		free := int32(0)
		for _, cluster := range clusters.Items {
			switch {
			case cluster.DeletionTimestamp != nil || cluster.Status.Phase == berthv1.VirtualClusterPending:
				return false, nil
			case cluster.Spec.ClaimRef == nil:
				free++
			}
		}
		if free != size {
			return false, nil
		}
		return b.poolIsComplete(ctx, clusters.Items)
	})
}

// poolSeen says whether the controller has acted on the size of the pool.
func (b *bench) poolSeen(ctx context.Context) (bool, error) {
	hosts, err := b.hostClusters(ctx)
	if err != nil {
		return false, err
	}
	for i := range hosts {
		if hosts[i].Status.ObservedGeneration != hosts[i].Generation {
			return false, nil
		}
	}
	return true, nil
}

// hostClusters are the instance's, at least one.
func (b *bench) hostClusters(ctx context.Context) ([]berthv1.HostCluster, error) {
	var hosts berthv1.HostClusterList
	if err := b.host.List(ctx, &hosts); err != nil {
		return nil, err
	}
	if len(hosts.Items) == 0 {
		return nil, errors.New("the instance has no HostCluster")
	}
	return hosts.Items, nil
}

// poolIsComplete waits for the DNS of pool members too: the pool calls a member available
// once its API server answers.
func (b *bench) poolIsComplete(ctx context.Context, clusters []berthv1.VirtualCluster) (bool, error) {
	for _, cluster := range clusters {
		p := &probe{instance: b.instance, stages: map[string]int64{}, start: time.Now(), name: cluster.Name, namespace: berthv1.HostNamespace(cluster.Name)}
		if ready, err := p.look(ctx); err != nil || !ready {
			return false, err
		}
	}
	return true, nil
}
