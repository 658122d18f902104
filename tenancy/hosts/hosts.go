package hosts

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apply"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// edgeCASecret is the Secret of the authority that all edges of an installation share.
const edgeCASecret = "berth-edge-ca"

// Options describe a host that joins. Of one that has joined before, what is left out of its
// HostCluster's spec stays as it is.
type Options struct {
	// Name of the host: its HostCluster's, and its controller's --controller-name.
	Name string
	// Region and Zones, as in a HostCluster.
	Region string
	Zones  []string
	// EdgeAddress is host:port where other edges reach the host's. It may be empty until it
	// is known: then nothing on the host is served by another edge.
	EdgeAddress string
	// PoolSize is how many virtual clusters to keep ready; nil leaves it as it is.
	PoolSize *int32
	// Host is the rest of the HostCluster's spec. What is zero in it is not said: it gets its
	// default, or stays as it is.
	Host v1alpha1.HostClusterSpec
	// Server is the URL of the management cluster's API server as the host reaches it.
	Server string
	// TLSServerName is what its certificate is verified for; empty means the URL's host.
	TLSServerName string
	// CABundle verifies it; empty means what verifies it for us.
	CABundle []byte
	// Peers are where edges of other clusters are, besides those whose edge address is one.
	Peers []Peer
}

// Peer is where edges of other clusters are that the host's own edge sends requests to.
type Peer struct {
	CIDR string `json:"cidr"`
	Port int    `json:"port"`
}

// Join makes a host known to the management cluster and returns what is needed to install
// the chart on it. For a host that has joined before it brings everything up to the options
// and returns the same credentials.
func Join(ctx context.Context, management *rest.Config, o Options) (Joined, error) {
	if err := o.validate(); err != nil {
		return Joined{}, err
	}
	c, err := connect(management)
	if err != nil {
		return Joined{}, err
	}
	there, err := find(ctx, c, o.Name)
	if err != nil {
		return Joined{}, err
	}
	joined := Joined{options: o.over(there)}
	if err := joined.options.complete(); err != nil {
		return Joined{}, err
	}
	if err := joined.readPlatform(ctx, c); err != nil {
		return Joined{}, err
	}
	for _, object := range grants(o.Name) {
		if err := apply.Object(ctx, c, fieldOwner, object); err != nil {
			return Joined{}, err
		}
	}
	if err := joined.makeKubeconfigs(ctx, c, management); err != nil {
		return Joined{}, err
	}
	// Last: what has no way in yet would only be shown as silent.
	return joined, describe(ctx, c, o)
}

// readPlatform reads what the host must have in common with the management cluster.
func (j *Joined) readPlatform(ctx context.Context, c client.Client) error {
	for _, role := range []string{controllerRole, routerRole, tenancy.HostTenantRole} {
		if err := c.Get(ctx, client.ObjectKey{Name: role}, &rbacv1.ClusterRole{}); err != nil {
			return notInstalled(err, "cluster role "+role)
		}
	}
	ca := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: edgeCASecret}, ca); err != nil {
		return notInstalled(err, "Secret "+edgeCASecret)
	}
	j.EdgeCACertificate, j.EdgeCAKey = ca.Data[corev1.TLSCertKey], ca.Data[corev1.TLSPrivateKeyKey]
	for _, name := range []string{"berth", "berth-router"} {
		running := &appsv1.Deployment{}
		err := c.Get(ctx, client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: name}, running)
		if err != nil {
			return notInstalled(err, "deployment "+name)
		}
		j.platform = append(j.platform, running.Spec.Template.Spec.Containers...)
	}
	var all v1alpha1.HostClusterList
	if err := c.List(ctx, &all); err != nil {
		return fmt.Errorf("listing host clusters: %w", err)
	}
	for i := range all.Items {
		if all.Items[i].Name != j.options.Name {
			j.others = append(j.others, all.Items[i])
		}
	}
	return nil
}

// notInstalled tells what is missing on the management cluster.
func notInstalled(err error, what string) error {
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return errs.New(errs.NotFound, "", "the management cluster has no "+what, "install Berth there first, or bring its chart up to this version: berth up")
}

// connect makes a client for the management cluster.
func connect(management *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := client.New(management, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the management cluster: %w", err)
	}
	return c, nil
}
