package virtualcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/reconcilers/kit"
)

// podSecurity holds a namespace to pod security "restricted", without exemption.
var podSecurity = map[string]string{
	"pod-security.kubernetes.io/enforce": "restricted",
	"pod-security.kubernetes.io/audit":   "restricted",
	"pod-security.kubernetes.io/warn":    "restricted",
}

// install makes the namespace, closes it, and then installs the control plane.
func (r *Reconciler) install(ctx context.Context, vc *v1alpha1.VirtualCluster, seen *observed) error {
	host := &v1alpha1.HostCluster{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: vc.Spec.HostCluster}, host)
	if apierrors.IsNotFound(err) {
		return steps.Stall(v1alpha1.ReasonStalled, errs.New(errs.NotFound, "spec.hostCluster",
			"there is no HostCluster "+vc.Spec.HostCluster, "create it, or delete this virtual cluster"))
	}
	if err != nil {
		return fmt.Errorf("reading the host cluster: %w", err)
	}
	if err := r.ensureNamespace(ctx, vc); err != nil {
		return err
	}
	for _, policy := range policies(vc.Name, r.SystemNamespace, host.Spec.Network) {
		if err := kit.Apply(ctx, r.Host, policy); err != nil {
			return err
		}
	}
	if vc.Status.ValuesHash != "" {
		return nil // Installed once; a control plane is replaced, never changed in place.
	}
	class := tenancy.HostClass{StorageClass: host.Spec.StorageClassName, CPUOvercommit: host.Spec.CPUOvercommit}
	seen.hash, err = r.Installer.Install(ctx, vc.Name, class)
	return err
}

// ensureNamespace makes vc-<id>. One that exists and is not marked as this cluster's
// belongs to somebody else and is left alone.
func (r *Reconciler) ensureNamespace(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	want := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   v1alpha1.HostNamespace(vc.Name),
		Labels: map[string]string{v1alpha1.LabelVirtualCluster: vc.Name},
	}}
	for key, value := range podSecurity {
		want.Labels[key] = value
	}
	found := &corev1.Namespace{}
	err := r.Host.Get(ctx, client.ObjectKeyFromObject(want), found)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading namespace %s: %w", want.Name, err)
	case found.Labels[v1alpha1.LabelVirtualCluster] != vc.Name:
		return steps.Stall(v1alpha1.ReasonStalled, errs.New(errs.Conflict, "",
			"namespace "+want.Name+" exists and is not this cluster's", "delete this virtual cluster; another id will be chosen"))
	case found.DeletionTimestamp != nil:
		return steps.Stall(v1alpha1.ReasonStalled, errs.New(errs.Conflict, "",
			"namespace "+want.Name+" is being deleted", "delete this virtual cluster; it cannot be brought back"))
	}
	return kit.Apply(ctx, r.Host, want)
}
