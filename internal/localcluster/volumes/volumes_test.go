package volumes

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-dev/berth/internal/kubetest"
)

// The test plays scheduler, volume controller and kubelet, which the API server alone
// does not have.
func TestClaimsAreServedThroughTheAPIServer(t *testing.T) {
	env := kubetest.Start(t)
	client, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "volumes")
	serve(t, client, dir)
	namespace := env.Namespace(t)

	t.Run("a claim gets a volume, and its folder goes before the volume", func(t *testing.T) {
		claim := create(t, client, namespace, "data", corev1.ReadWriteOnce)
		volume := volumeOf(t, client, claim)
		if _, err := os.Stat(volume.Spec.Local.Path); err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, volume.Name); volume.Spec.Local.Path != want {
			t.Errorf("folder %s, want %s", volume.Spec.Local.Path, want)
		}
		if volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != claim.UID {
			t.Errorf("claim reference %+v, want the claim", volume.Spec.ClaimRef)
		}
		write(t, filepath.Join(volume.Spec.Local.Path, "file"))

		release(t, client, volume)
		eventually(t, "the volume's end", func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().PersistentVolumes().Get(ctx, volume.Name, metav1.GetOptions{})
			if _, there := os.Stat(volume.Spec.Local.Path); apierrors.IsNotFound(err) && there == nil {
				t.Error("the volume is gone and its folder is not")
			}
			return apierrors.IsNotFound(err), nil
		})
	})
	t.Run("a claim that cannot be met is told why", func(t *testing.T) {
		create(t, client, namespace, "shared", corev1.ReadWriteMany)
		eventually(t, "an event", func(ctx context.Context) (bool, error) {
			events, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=shared,reason=ProvisioningFailed"})
			return err == nil && len(events.Items) > 0 && strings.Contains(events.Items[0].Message, "use ReadWriteOnce"), err
		})
	})
}

func serve(t *testing.T, client kubernetes.Interface, dir string) {
	t.Helper()
	v, err := New(client, Options{Dir: dir, NodeName: testNode})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, "the storage class", func(ctx context.Context) (bool, error) {
		_, err := client.StorageV1().StorageClasses().Get(ctx, ClassName, metav1.GetOptions{})
		return err == nil, nil
	})
}

// create makes a claim as it looks once its pod has been scheduled.
func create(t *testing.T, client kubernetes.Interface, namespace, name string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	t.Helper()
	class := ClassName
	claim, err := client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			"volume.kubernetes.io/storage-provisioner": ProvisionerName, "volume.kubernetes.io/selected-node": testNode,
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Mi")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

// release does what the controllers of claims and volumes do when a claim is deleted.
func release(t *testing.T, client kubernetes.Interface, volume *corev1.PersistentVolume) {
	t.Helper()
	inUse := func(finalizer string) bool { return finalizer == "kubernetes.io/pv-protection" }
	volume.Finalizers = slices.DeleteFunc(volume.Finalizers, inUse)
	if len(volume.Finalizers) != 1 {
		t.Errorf("finalizers %v, want the provisioner's", volume.Finalizers)
	}
	updated, err := client.CoreV1().PersistentVolumes().Update(t.Context(), volume, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	updated.Status.Phase = corev1.VolumeReleased
	if _, err := client.CoreV1().PersistentVolumes().UpdateStatus(t.Context(), updated, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func volumeOf(t *testing.T, client kubernetes.Interface, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	t.Helper()
	var volume *corev1.PersistentVolume
	eventually(t, "a volume", func(ctx context.Context) (bool, error) {
		var err error
		volume, err = client.CoreV1().PersistentVolumes().Get(ctx, "pvc-"+string(claim.UID), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	return volume
}

func eventually(t *testing.T, what string, holds wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, holds); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
