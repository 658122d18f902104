package hosts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// find returns a host's HostCluster; nil if there is none. One that another controller
// looks after, or that is going, is an error.
func find(ctx context.Context, c client.Client, name string) (*v1alpha1.HostCluster, error) {
	host := &v1alpha1.HostCluster{}
	err := c.Get(ctx, client.ObjectKey{Name: name}, host)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading host cluster %s: %w", name, err)
	}
	if err := mine(host); err != nil {
		return nil, err
	}
	if host.DeletionTimestamp != nil {
		return nil, errs.New(errs.Conflict, nameField, "the host "+name+" is being deleted", "wait until it is gone, or choose another name; see: berth hostclusters:info "+name)
	}
	return host, nil
}

// mine says whether a HostCluster is of the host that has its name.
func mine(host *v1alpha1.HostCluster) error {
	switch host.Spec.ControllerName {
	case host.Name:
		return nil
	case "":
		return errs.New(errs.Conflict, nameField, "the host "+host.Name+" is looked after by the management cluster itself", "choose another name; see: berth hostclusters")
	}
	return errs.New(errs.Conflict, nameField, fmt.Sprintf("the host %s is looked after by the controller %s", host.Name, host.Spec.ControllerName), "choose another name; see: berth hostclusters")
}

// describe makes the HostCluster, or changes of it what the options say and nothing else.
func describe(ctx context.Context, c client.Client, o Options) error {
	there, err := find(ctx, c, o.Name)
	if err != nil {
		return err
	}
	host := &v1alpha1.HostCluster{}
	host.Name = o.Name
	if there == nil {
		host.Spec = o.spec()
		if o.PoolSize == nil && host.Spec.Pool.Size == 0 {
			host.Spec.Pool.Size = 1 // the kind's default, which a Go zero would take the place of
		}
		err = c.Create(ctx, host, fieldOwner)
	} else {
		var patch []byte
		if patch, err = json.Marshal(map[string]any{"spec": o.said()}); err != nil {
			return err
		}
		err = c.Patch(ctx, host, client.RawPatch(types.MergePatchType, patch), fieldOwner)
	}
	if apierrors.IsInvalid(err) {
		return errs.New(errs.Invalid, "", err.Error(), "see docs/spec/hostcluster.md for what a host may be")
	}
	if err != nil {
		return fmt.Errorf("writing host cluster %s: %w", o.Name, err)
	}
	return nil
}

// over are the options with what they leave out taken from the HostCluster that is there: what
// a host must say, and what its own values say too. The rest of it nobody reads here.
func (o Options) over(there *v1alpha1.HostCluster) Options {
	if there == nil {
		return o
	}
	network := &o.Host.Network
	o.Region = cmp.Or(o.Region, there.Spec.Region)
	o.EdgeAddress = cmp.Or(o.EdgeAddress, there.Spec.EdgeAddress)
	network.APIServerPort = cmp.Or(network.APIServerPort, there.Spec.Network.APIServerPort)
	if len(network.APIServerCIDRs) == 0 {
		network.APIServerCIDRs = there.Spec.Network.APIServerCIDRs
	}
	return o
}

// spec is all that the options say.
func (o *Options) spec() v1alpha1.HostClusterSpec {
	spec := o.Host
	spec.Region, spec.Zones, spec.EdgeAddress, spec.ControllerName = o.Region, o.Zones, o.EdgeAddress, o.Name
	if o.PoolSize != nil {
		spec.Pool.Size = *o.PoolSize
	}
	return spec
}

// said is the same as a patch: without what the options leave to others.
func (o *Options) said() map[string]any {
	spec := o.spec()
	pool := map[string]any{}
	add(pool, "size", spec.Pool.Size, o.PoolSize != nil || spec.Pool.Size != 0)
	add(pool, "maxClusters", spec.Pool.MaxClusters, spec.Pool.MaxClusters != 0)
	add(pool, "maxStarting", spec.Pool.MaxStarting, spec.Pool.MaxStarting != 0)
	network := map[string]any{}
	add(network, "apiServerCIDRs", spec.Network.APIServerCIDRs, len(spec.Network.APIServerCIDRs) > 0)
	add(network, "apiServerPort", spec.Network.APIServerPort, spec.Network.APIServerPort != 0)
	add(network, "egressCIDRs", spec.Network.EgressCIDRs, len(spec.Network.EgressCIDRs) > 0)
	add(network, "deniedCIDRs", spec.Network.DeniedCIDRs, len(spec.Network.DeniedCIDRs) > 0)
	said := map[string]any{"pool": pool, "network": network}
	add(said, "region", spec.Region, spec.Region != "")
	add(said, "zones", spec.Zones, len(spec.Zones) > 0)
	add(said, "edgeAddress", spec.EdgeAddress, spec.EdgeAddress != "")
	add(said, "cordoned", true, spec.Cordoned)
	add(said, "cpuOvercommit", spec.CPUOvercommit, spec.CPUOvercommit != 0)
	add(said, "storageClassName", spec.StorageClassName, spec.StorageClassName != "")
	return said
}

func add(said map[string]any, field string, value any, given bool) {
	if given {
		said[field] = value
	}
}
