package place

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/steps"
)

// lookAgain is the pause while something else has to happen first; a watch usually
// ends it earlier.
const lookAgain = 2 * time.Second

// Place is a tenant and the cluster it is bound to.
type Place struct {
	Tenant  *v1alpha1.Tenant
	Cluster *v1alpha1.VirtualCluster
	Host    *v1alpha1.HostCluster
}

// TenantOf names the tenant whose management namespace this is.
func TenantOf(namespace string) (string, bool) {
	return strings.CutPrefix(namespace, v1alpha1.ManagementNamespace(""))
}

// Find looks up where the tenant with a management namespace runs. A tenant that
// is not bound yet is waited for.
func Find(ctx context.Context, reader client.Reader, namespace string) (*Place, error) {
	tenant, err := Tenant(ctx, reader, namespace)
	if err != nil {
		return nil, err
	}
	found := &Place{Tenant: tenant, Cluster: &v1alpha1.VirtualCluster{}, Host: &v1alpha1.HostCluster{}}
	id := tenant.Status.VirtualCluster
	if id == "" {
		return nil, steps.Wait(v1alpha1.ReasonWaiting, "The tenant's cluster is still being made.", lookAgain)
	}
	if err := reader.Get(ctx, client.ObjectKey{Name: id}, found.Cluster); err != nil {
		return nil, missing(err, "The tenant's cluster is gone.")
	}
	// The binding is the cluster's word; the tenant's status only repeats it.
	if claim := found.Cluster.Spec.ClaimRef; claim == nil || claim.UID != tenant.UID {
		return nil, steps.Wait(v1alpha1.ReasonWaiting, "The tenant is not bound to its cluster.", lookAgain)
	}
	if err := reader.Get(ctx, client.ObjectKey{Name: found.Cluster.Spec.HostCluster}, found.Host); err != nil {
		return nil, missing(err, "The cluster's host is not known.")
	}
	return found, nil
}

// Tenant gets the tenant of a management namespace.
func Tenant(ctx context.Context, reader client.Reader, namespace string) (*v1alpha1.Tenant, error) {
	name, ok := TenantOf(namespace)
	if !ok {
		return nil, steps.Stall(v1alpha1.ReasonStalled, fmt.Errorf("namespace %s is no tenant's: apps live in tenant-<name>", namespace))
	}
	tenant := &v1alpha1.Tenant{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, tenant); err != nil {
		return nil, missing(err, "The tenant is gone.")
	}
	return tenant, nil
}

// Leaving says whether everything inside the tenant's cluster goes anyway, because
// the tenant or its cluster is being deleted or gone.
func Leaving(ctx context.Context, reader client.Reader, namespace string) (bool, error) {
	name, ok := TenantOf(namespace)
	if !ok {
		return true, nil
	}
	tenant := &v1alpha1.Tenant{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, tenant); err != nil {
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	if tenant.DeletionTimestamp != nil || tenant.Status.VirtualCluster == "" {
		return true, nil
	}
	cluster := &v1alpha1.VirtualCluster{}
	if err := reader.Get(ctx, client.ObjectKey{Name: tenant.Status.VirtualCluster}, cluster); err != nil {
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	return cluster.DeletionTimestamp != nil || cluster.Status.Phase == v1alpha1.VirtualClusterReleased, nil
}

func missing(err error, message string) error {
	if apierrors.IsNotFound(err) {
		return steps.Wait(v1alpha1.ReasonWaiting, message, lookAgain)
	}
	return err
}
