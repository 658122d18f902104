package hosts

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Leave lets a host go: it deletes its HostCluster, waits until the host's controller has
// emptied the pool, and takes its accounts away. It is refused while tenants are on the host.
// One that ctx interrupts goes on where it stopped when it is asked again.
func Leave(ctx context.Context, management *rest.Config, name string) error {
	if err := tenancy.CheckHostName(nameField, name); err != nil {
		return err
	}
	c, err := connect(management)
	if err != nil {
		return err
	}
	host := &v1alpha1.HostCluster{}
	err = c.Get(ctx, client.ObjectKey{Name: name}, host)
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return fmt.Errorf("reading host cluster %s: %w", name, err)
	}
	if !gone {
		if err := letGo(ctx, c, host); err != nil {
			return err
		}
	}
	known, err := withdraw(ctx, c, name)
	if err != nil {
		return err
	}
	if gone && !known {
		return errs.New(errs.NotFound, nameField, "there is no host "+name, "see: berth hostclusters")
	}
	return nil
}

// letGo deletes a HostCluster on which no tenant is, and waits until it is gone.
func letGo(ctx context.Context, c client.Client, host *v1alpha1.HostCluster) error {
	if err := mine(host); err != nil {
		return err
	}
	var clusters v1alpha1.VirtualClusterList
	if err := c.List(ctx, &clusters); err != nil {
		return fmt.Errorf("listing virtual clusters: %w", err)
	}
	var tenants []string
	for i := range clusters.Items {
		if spec := clusters.Items[i].Spec; spec.HostCluster == host.Name && spec.ClaimRef != nil {
			tenants = append(tenants, spec.ClaimRef.Name)
		}
	}
	if len(tenants) > 0 {
		slices.Sort(tenants)
		return errs.New(errs.Conflict, nameField, fmt.Sprintf("%d tenants are on the host %s, the first of them %s", len(tenants), host.Name, tenants[0]),
			fmt.Sprintf("delete them first, such as: berth tenants:delete %s --confirm %[1]s", tenants[0]))
	}
	// A tenant that comes meanwhile is safe: a host that is being deleted waits for it.
	if err := c.Delete(ctx, host, client.Preconditions{UID: &host.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting host cluster %s: %w", host.Name, err)
	}
	err := wait.PollUntilContextCancel(ctx, lookAgain, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(host), &v1alpha1.HostCluster{})
		return apierrors.IsNotFound(err), nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errs.New(errs.Unavailable, "", "the host "+host.Name+" is being deleted, and its controller has not emptied its pool yet",
		"see that Berth runs on the host and reaches the management cluster, then ask again: berth hostclusters:leave "+host.Name)
}

// withdraw deletes what Join made and says whether there was any of it.
func withdraw(ctx context.Context, c client.Client, name string) (found bool, err error) {
	// The rights before the accounts: what is left half-way lets nobody in.
	objects := grants(name)
	slices.Reverse(objects)
	for _, object := range objects {
		err := c.Delete(ctx, object)
		if err != nil && !apierrors.IsNotFound(err) {
			return found, fmt.Errorf("deleting %T %s: %w", object, object.GetName(), err)
		}
		found = found || err == nil
	}
	return found, nil
}
