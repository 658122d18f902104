package volumes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	// ProvisionerName is how storage classes ask for volumes of this package.
	ProvisionerName = "volumes.berth.dev/local"
	// ClassName is the storage class that Run creates, the cluster's default.
	ClassName = "berth-local"
)

// Options say where the volumes are.
type Options struct {
	// Dir holds the volumes: an absolute path, the same for this process and for
	// kubelet, on the filesystem for data. It belongs to this package alone.
	Dir string
	// NodeName is the node that has the folder, and the value of its label
	// kubernetes.io/hostname.
	NodeName string
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

// Volumes serves the claims of one node.
type Volumes struct {
	client      kubernetes.Interface
	provisioner *provisioner
}

// New makes a Volumes; it touches nothing yet.
func New(client kubernetes.Interface, opts Options) (*Volumes, error) {
	if !filepath.IsAbs(opts.Dir) {
		return nil, fmt.Errorf("volumes: Dir %q is not an absolute path", opts.Dir)
	}
	if opts.NodeName == "" {
		return nil, errors.New("volumes: NodeName is empty")
	}
	log := opts.Log
	if log == nil {
		log = slog.Default()
	}
	s := &store{dir: filepath.Clean(opts.Dir), log: log.With("part", "volumes")}
	return &Volumes{client: client, provisioner: &provisioner{store: s, nodeName: opts.NodeName}}, nil
}

// StorageClass is the class that Run creates.
func StorageClass() *storagev1.StorageClass {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name: ClassName, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: ProvisionerName, ReclaimPolicy: &reclaim, VolumeBindingMode: &binding,
	}
}

// Run creates the storage class, cleans up after an earlier run and serves claims
// until ctx ends. An error means that it could not begin.
func (v *Volumes) Run(ctx context.Context) error {
	_, err := v.client.StorageV1().StorageClasses().Create(ctx, StorageClass(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the storage class: %w", err)
	}
	volumes, err := v.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing volumes: %w", err)
	}
	known := map[string]bool{}
	for i := range volumes.Items {
		known[volumes.Items[i].Name] = true
	}
	if err := v.provisioner.store.open(known); err != nil {
		return err
	}
	v.controller(ctx).Run(ctx)
	return nil
}

func (v *Volumes) controller(ctx context.Context) *controller.ProvisionController {
	return controller.NewProvisionController(ctx, v.client, ProvisionerName, v.provisioner,
		controller.LeaderElection(false),
		// The volume object goes after its folder, never before.
		controller.AddFinalizer(true),
		// Zero: never give up; the limiter slows down.
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 2*time.Minute)),
	)
}
