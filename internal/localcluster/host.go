package localcluster

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// HostOf says which instance another one is a host of: that one is its management cluster.
type HostOf struct {
	Instance string `json:"instance"`
	Region   string `json:"region"`
	// EdgePort is where this host's edge is reached within the other's network namespace.
	EdgePort int `json:"edgePort"`
}

// JoinOptions ask an instance to be a host of another.
type JoinOptions struct {
	// Instance is the other one's name. Empty leaves it as it was.
	Instance string
	// Region that the host serves; empty means what it was, or the host's own name.
	Region string
	// Register tells the management cluster of the host and returns the values of the host's
	// chart that lead there.
	Register func(ctx context.Context, management *rest.Config, host Host) (map[string]any, error)
}

// Host is what a management cluster is told of a host.
type Host struct {
	Name string
	Spec v1alpha1.HostClusterSpec
	// Server is the URL of the management cluster's API server as the host reaches it, and
	// CA the certificate of its authority.
	Server string
	CA     []byte
}

// hostOf decides what an instance is from now on, by what it was and what is asked for: nil
// for one with a Berth of its own. What it is never changes.
func (i *Instance) hostOf(state State, asked JoinOptions) (*HostOf, error) {
	again := fmt.Sprintf("leave it out, choose another --name, or remove the instance with: berth down --name %s --delete", i.Name)
	was := state.Host
	switch {
	case was != nil && asked.Instance != "" && asked.Instance != was.Instance:
		return nil, errs.New(errs.Conflict, "--join", fmt.Sprintf("%q is a host of instance %q already", i.Name, was.Instance), again)
	case was != nil && asked.Region != "" && asked.Region != was.Region:
		return nil, errs.New(errs.Conflict, "--region", fmt.Sprintf("%q serves the region %q already", i.Name, was.Region), again)
	case was != nil:
		return was, nil
	case asked.Instance == "" && asked.Region != "":
		return nil, errs.New(errs.Invalid, "--region", "it is for a host of another instance", "name that instance with --join, or leave --region out")
	case asked.Instance == "":
		return nil, nil
	case i.Exists():
		return nil, errs.New(errs.Conflict, "--join", fmt.Sprintf("instance %q was started as one of its own", i.Name), again)
	case asked.Instance == i.Name:
		return nil, errs.New(errs.Invalid, "--join", "an instance cannot be a host of itself", fmt.Sprintf("name this one with --name: berth up --name eu --join %s", i.Name))
	}
	region := cmp.Or(asked.Region, i.Name)
	if problems := validation.IsDNS1123Label(region); len(problems) > 0 {
		return nil, errs.New(errs.Invalid, "--region", fmt.Sprintf("%q cannot name a region", region), "use lower-case letters, digits and hyphens, such as --region eu")
	}
	return &HostOf{Instance: asked.Instance, Region: region}, nil
}

// management returns the instance that a host is of. It has to be up, since a host is made
// known there.
func (h *HostOf) management() (*Instance, error) {
	instance, err := Open(h.Instance)
	if err != nil {
		return nil, errs.New(errs.Invalid, "--join", fmt.Sprintf("%q is no instance", h.Instance), "name one that is up, such as --join "+DefaultName)
	}
	state, err := instance.LoadState()
	if err != nil {
		return nil, err
	}
	if state.Host != nil {
		return nil, errs.New(errs.Invalid, "--join", fmt.Sprintf("%q is itself a host of instance %q", h.Instance, state.Host.Instance), "use --join "+state.Host.Instance)
	}
	if running := instance.Running(); running == nil || !running.Up {
		return nil, errs.New(errs.Unavailable, "--join", fmt.Sprintf("instance %q, the management cluster, is not up", h.Instance), "start it first: berth up --name "+h.Instance)
	}
	return instance, nil
}

// joins makes an instance the host that it is asked to be, and returns its management
// cluster; nil for an instance with a Berth of its own.
func (i *Instance) joins(options UpOptions) (*Instance, error) {
	state, err := i.LoadState()
	if err != nil {
		return nil, err
	}
	of, err := i.hostOf(state, options.Join)
	if err != nil || of == nil {
		return nil, err
	}
	if options.Bare {
		return nil, errs.New(errs.Invalid, "--bare", fmt.Sprintf("%q is a host of instance %q, with a controller and an edge of Berth's", i.Name, of.Instance), "leave --bare out")
	}
	management, err := of.management()
	if err != nil || of.EdgePort != 0 {
		return management, err
	}
	// Two hosts that join at the same time must not choose one port.
	release, err := management.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	if of.EdgePort, err = freeEdgePort(management.Name); err != nil {
		return nil, err
	}
	state.Host = of
	return management, i.saveState(state)
}

// Hosts returns the instances that are hosts of this one, by name.
func (i *Instance) Hosts() (map[string]HostOf, error) {
	all, err := List()
	if err != nil {
		return nil, err
	}
	hosts := map[string]HostOf{}
	for _, each := range all {
		state, err := each.LoadState()
		if err != nil {
			return nil, err
		}
		if state.Host != nil && state.Host.Instance == i.Name {
			hosts[each.Name] = *state.Host
		}
	}
	return hosts, nil
}

// freeEdgePort returns a port that leads to no host's edge yet.
func freeEdgePort(management string) (int, error) {
	hosts, err := (&Instance{Name: management}).Hosts()
	if err != nil {
		return 0, err
	}
	taken := map[int]bool{}
	for _, host := range hosts {
		taken[host.EdgePort] = true
	}
	for port := firstEdgePort; port <= lastEdgePort; port++ {
		if !taken[port] {
			return port, nil
		}
	}
	return 0, errs.New(errs.Unavailable, "--join", fmt.Sprintf("instance %q has %d hosts on this machine, and takes no more", management, len(hosts)),
		"remove one with: berth down --name NAME --delete")
}

// noHost refuses what is done to an instance as if it had a Berth of its own.
func (i *Instance) noHost() error {
	state, err := i.LoadState()
	if err != nil || state.Host == nil {
		return err
	}
	return errs.New(errs.Invalid, "--context", fmt.Sprintf("instance %q is a host of instance %q", i.Name, state.Host.Instance),
		fmt.Sprintf("use --name %s instead of --context", i.Name))
}
