package tenancy

import (
	"context"
	"errors"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrNoAccess says that a virtual cluster has no kubeconfig (yet, or any more).
var ErrNoAccess = errors.New("the virtual cluster cannot be reached: it has no kubeconfig")

// Clusters reaches tenants' API servers with the controller's rights. Everything it
// gives may be shared; callers do not change it.
//
// A cluster that is gone or starting gives ErrNoAccess. Nothing is watched through
// it: a tenant's API server is asked only while there is work to do there.
type Clusters interface {
	// Config is the configuration of a client for virtual cluster id.
	Config(ctx context.Context, id string) (*rest.Config, error)
	// Client reads and writes the built-in kinds of virtual cluster id, uncached.
	Client(ctx context.Context, id string) (client.Client, error)
	// Forget drops what is cached of virtual cluster id.
	Forget(id string)
}

// HostClass is all that a control plane's installation may depend on: the class of
// the pool it is made for, never a tenant or its plan. A value set at claim time
// would restart the control plane.
type HostClass struct {
	// StorageClass of the control plane's volume; empty means the default class.
	StorageClass string
	// CPUOvercommit of the host cluster, at least 1.
	CPUOvercommit int32
}

// Installer puts control planes onto the host cluster and takes them off.
type Installer interface {
	// Hash identifies what Install would install for a class.
	Hash(class HostClass) (string, error)
	// Install makes sure that virtual cluster id is installed in its namespace, which
	// must exist. What another process left half-done is finished. It gives the hash
	// of what is installed, which may be an older one.
	Install(ctx context.Context, id string, class HostClass) (hash string, err error)
	// Uninstall makes sure that nothing Install made or recorded is wanted any more.
	// It does not wait until the objects are gone.
	Uninstall(ctx context.Context, id string) error
}
