package volumes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/berth-dev/berth/internal/errs"
)

// provisioner makes and removes single volumes for the library's controller.
type provisioner struct {
	store    *store
	nodeName string
}

var _ controller.Provisioner = (*provisioner)(nil)

// Provision makes the folder of a claim's volume and describes the volume.
func (p *provisioner) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.SelectedNodeName != "" && o.SelectedNodeName != p.nodeName {
		return nil, controller.ProvisioningFinished, &controller.IgnoredError{Reason: "the claim is for node " + o.SelectedNodeName}
	}
	if err := refuse(o); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	path, err := p.store.create(o.PVName)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return p.describe(o, path), controller.ProvisioningFinished, nil
}

// refuse says why a claim cannot be met here; its words become the claim's event.
func refuse(o controller.ProvisionOptions) error {
	spec := o.PVC.Spec
	switch {
	case o.SelectedNodeName == "":
		return errs.New(errs.Invalid, "volumeBindingMode", "local volumes need to know the pod's node first",
			"use a storage class with WaitForFirstConsumer, such as "+ClassName)
	case spec.Selector != nil:
		return errs.New(errs.Invalid, "spec.selector", "volumes of this class are made on demand and have no labels to select by", "remove the selector")
	case spec.VolumeMode != nil && *spec.VolumeMode != corev1.PersistentVolumeFilesystem:
		return errs.New(errs.Invalid, "spec.volumeMode", "volumes of this class are folders, not block devices", "use Filesystem")
	case spec.DataSource != nil || spec.DataSourceRef != nil:
		return errs.New(errs.Invalid, "spec.dataSource", "volumes of this class begin empty", "remove the data source")
	case slices.ContainsFunc(spec.AccessModes, severalNodes):
		return errs.New(errs.Invalid, "spec.accessModes", "volumes of this class belong to one node", "use ReadWriteOnce")
	}
	return nil
}

func severalNodes(mode corev1.PersistentVolumeAccessMode) bool {
	return mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod
}

func (p *provisioner) describe(o controller.ProvisionOptions, path string) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if o.StorageClass.ReclaimPolicy != nil {
		reclaim = *o.StorageClass.ReclaimPolicy
	}
	mode := corev1.PersistentVolumeFilesystem
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   o.PVC.Spec.AccessModes,
			VolumeMode:                    &mode,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.nodeName},
				}}}},
			}},
		},
	}
}

// Delete removes the folder of a volume that was made here. It trusts neither the
// path nor the node in the object: both must be what Provision would write.
func (p *provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if !p.isHere(volume) {
		return &controller.IgnoredError{Reason: "the volume belongs to another node"}
	}
	if volume.Spec.Local == nil || volume.Spec.Local.Path != p.store.path(volume.Name) {
		return fmt.Errorf("volume %s does not lie where it was made; its folder is left alone", volume.Name)
	}
	return p.store.remove(volume.Name)
}

func (p *provisioner) isHere(volume *corev1.PersistentVolume) bool {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return false
	}
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, want := range term.MatchExpressions {
			if want.Key == corev1.LabelHostname && slices.Equal(want.Values, []string{p.nodeName}) {
				return true
			}
		}
	}
	return false
}
