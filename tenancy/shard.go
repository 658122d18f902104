package tenancy

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// AnnotationClaim on a Tenant names the cluster that it is about to claim or has claimed.
// It is written before the claim, by an update that fails if another pass wrote meanwhile:
// so there is never more than one cluster to look at, and none is forgotten.
const AnnotationClaim = "berth.dev/claim"

// Shard is the part of the platform that one controller looks after: the host clusters that
// name it, the virtual clusters on them and the tenants bound to those. What is not placed
// anywhere yet belongs to the controller of the management cluster, which has no name. So
// each object has one controller at any time, and a tenant changes it once, by its claim. A
// tenant that leaves is the management cluster's again, which takes everything of it away.
type Shard struct {
	// Controller is the name, as in spec.controllerName of a HostCluster.
	Controller string
	// Reader reads the management cluster; a cache will do.
	Reader client.Reader
	// Live, if it is given, is asked about host clusters that Reader does not know. A cache
	// that knows one too late would else give away what is on it.
	Live client.Reader
}

// Main says whether this is the controller of the management cluster.
func (s Shard) Main() bool { return s.Controller == "" }

// Host says whether a host cluster is of this shard.
func (s Shard) Host(host *v1alpha1.HostCluster) bool { return host.Spec.ControllerName == s.Controller }

// Cluster says whether a virtual cluster is. One whose host is not known is the management
// cluster's, which says so.
func (s Shard) Cluster(ctx context.Context, vc *v1alpha1.VirtualCluster) (bool, error) {
	host, key := &v1alpha1.HostCluster{}, client.ObjectKey{Name: vc.Spec.HostCluster}
	err := s.Reader.Get(ctx, key, host)
	if apierrors.IsNotFound(err) && s.Live != nil {
		err = s.Live.Get(ctx, key, host)
	}
	if apierrors.IsNotFound(err) {
		return s.Main(), nil
	}
	if err != nil {
		return false, fmt.Errorf("reading host cluster %s: %w", vc.Spec.HostCluster, err)
	}
	return s.Host(host), nil
}

// Tenant says whether a tenant is.
func (s Shard) Tenant(ctx context.Context, t *v1alpha1.Tenant) (bool, error) {
	id := cmp.Or(t.Annotations[AnnotationClaim], t.Status.VirtualCluster)
	if id == "" {
		return s.Main(), nil
	}
	vc := &v1alpha1.VirtualCluster{}
	err := s.Reader.Get(ctx, client.ObjectKey{Name: id}, vc)
	if apierrors.IsNotFound(err) {
		return s.Main(), nil
	}
	if err != nil {
		return false, fmt.Errorf("reading virtual cluster %s: %w", id, err)
	}
	if !ClaimedBy(vc, t.UID) {
		return s.Main(), nil
	}
	return s.Cluster(ctx, vc)
}

// Namespace says whether the tenant with a management namespace is. What is in a namespace
// of nobody's is the management cluster's.
func (s Shard) Namespace(ctx context.Context, namespace string) (bool, error) {
	name, found := strings.CutPrefix(namespace, v1alpha1.ManagementNamespace(""))
	if !found {
		return s.Main(), nil
	}
	t := &v1alpha1.Tenant{}
	err := s.Reader.Get(ctx, client.ObjectKey{Name: name}, t)
	if apierrors.IsNotFound(err) {
		return s.Main(), nil
	}
	if err != nil {
		return false, fmt.Errorf("reading tenant %s: %w", name, err)
	}
	return s.Tenant(ctx, t)
}
