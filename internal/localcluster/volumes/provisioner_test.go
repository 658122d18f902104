package volumes

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const testNode = "node-1"

func newProvisioner(t *testing.T) *provisioner {
	t.Helper()
	s := &store{dir: filepath.Join(t.TempDir(), "volumes"), log: slog.New(slog.DiscardHandler)}
	if err := s.open(nil); err != nil {
		t.Fatal(err)
	}
	return &provisioner{store: s, nodeName: testNode}
}

func request(change func(*controller.ProvisionOptions)) controller.ProvisionOptions {
	o := controller.ProvisionOptions{
		StorageClass: StorageClass(), PVName: "pvc-1", SelectedNodeName: testNode,
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		}},
	}
	if change != nil {
		change(&o)
	}
	return o
}

func TestProvisionMakesAFolderForTheGroup(t *testing.T) {
	p := newProvisioner(t)
	volume, state, err := p.Provision(t.Context(), request(nil))
	if err != nil || state != controller.ProvisioningFinished {
		t.Fatalf("state %s, error %v", state, err)
	}
	info, err := os.Stat(volume.Spec.Local.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != fs.ModeDir|0o770 {
		t.Errorf("mode %v, want drwxrwx---", got)
	}
	if !p.isHere(volume) {
		t.Error("the volume is not bound to the node")
	}
	if got := volume.Spec.Capacity[corev1.ResourceStorage]; got.String() != "1Gi" {
		t.Errorf("capacity %s, want 1Gi", got.String())
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("reclaim policy %s, want Delete", got)
	}
	if _, _, err := p.Provision(t.Context(), request(nil)); err != nil {
		t.Errorf("an attempt again after a crash: %v", err)
	}
}

func TestProvisionRefuses(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for name, c := range map[string]struct {
		change func(*controller.ProvisionOptions)
		field  string
	}{
		"a selector":         {func(o *controller.ProvisionOptions) { o.PVC.Spec.Selector = &metav1.LabelSelector{} }, "spec.selector"},
		"block mode":         {func(o *controller.ProvisionOptions) { o.PVC.Spec.VolumeMode = &block }, "spec.volumeMode"},
		"a data source":      {func(o *controller.ProvisionOptions) { o.PVC.Spec.DataSource = &corev1.TypedLocalObjectReference{} }, "spec.dataSource"},
		"no node":            {func(o *controller.ProvisionOptions) { o.SelectedNodeName = "" }, "volumeBindingMode"},
		"writing from many":  {modes(corev1.ReadWriteMany), "spec.accessModes"},
		"reading from many":  {modes(corev1.ReadOnlyMany), "spec.accessModes"},
		"one allowed of two": {modes(corev1.ReadWriteOnce, corev1.ReadWriteMany), "spec.accessModes"},
		"a name with a path": {func(o *controller.ProvisionOptions) { o.PVName = "../pvc-1" }, "is not the name of a volume"},
		"the trash's name":   {func(o *controller.ProvisionOptions) { o.PVName = trashName }, "is not the name of a volume"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvisioner(t)
			_, _, err := p.Provision(t.Context(), request(c.change))
			if err == nil || !strings.Contains(err.Error(), c.field) {
				t.Errorf("error %v, want one that names %s", err, c.field)
			}
			if diff := cmp.Diff([]string{trashName}, names(t, p.store.dir)); diff != "" {
				t.Errorf("something was left behind: %s", diff)
			}
		})
	}
}

func modes(modes ...corev1.PersistentVolumeAccessMode) func(*controller.ProvisionOptions) {
	return func(o *controller.ProvisionOptions) { o.PVC.Spec.AccessModes = modes }
}

func TestClaimsOfOtherNodesAreLeftToThem(t *testing.T) {
	p := newProvisioner(t)
	_, _, err := p.Provision(t.Context(), request(func(o *controller.ProvisionOptions) { o.SelectedNodeName = "node-2" }))
	if !isIgnored(err) {
		t.Errorf("error %v, want it ignored", err)
	}
	volume, _, err := p.Provision(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	other := &provisioner{store: p.store, nodeName: "node-2"}
	if err := other.Delete(t.Context(), volume); !isIgnored(err) {
		t.Errorf("error %v, want it ignored", err)
	}
}

func isIgnored(err error) bool {
	var ignored *controller.IgnoredError
	return errors.As(err, &ignored)
}

func TestAFolderWithContentIsNeverUsedAgain(t *testing.T) {
	p := newProvisioner(t)
	volume, _, err := p.Provision(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(volume.Spec.Local.Path, "secret"))
	if _, _, err := p.Provision(t.Context(), request(nil)); err == nil {
		t.Error("the folder was given out again with its content")
	}
}

func TestDelete(t *testing.T) {
	p := newProvisioner(t)
	outside := filepath.Join(t.TempDir(), "precious")
	write(t, outside)
	volume, _, err := p.Provision(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	path := volume.Spec.Local.Path
	write(t, filepath.Join(path, "deep", "file"))
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(path, "deep", "way-out")); err != nil {
		t.Fatal(err)
	}
	// An earlier deletion was killed half way, in the trash.
	write(t, filepath.Join(p.store.trash(), volume.Name, "half"))

	for _, attempt := range []string{"first", "second, nothing is left"} {
		if err := p.Delete(t.Context(), volume); err != nil {
			t.Errorf("%s: %v", attempt, err)
		}
	}
	if diff := cmp.Diff([]string{trashName}, names(t, p.store.dir)); diff != "" {
		t.Error(diff)
	}
	if got := names(t, p.store.trash()); len(got) != 0 {
		t.Errorf("left in the trash: %v", got)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link led out of the volume: %v", err)
	}
}

func TestDeleteTrustsNoPathInTheObject(t *testing.T) {
	p := newProvisioner(t)
	volume, _, err := p.Provision(t.Context(), request(nil))
	if err != nil {
		t.Fatal(err)
	}
	precious := t.TempDir()
	volume.Spec.Local.Path = precious
	if err := p.Delete(t.Context(), volume); err == nil {
		t.Error("it removed a folder that it did not make")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestStartCleansUp(t *testing.T) {
	p := newProvisioner(t)
	write(t, filepath.Join(p.store.trash(), "pvc-gone", "file"))
	write(t, filepath.Join(p.store.dir, "pvc-used", "file"))
	write(t, filepath.Join(p.store.dir, "pvc-nobody", "file"))
	for _, empty := range []string{"pvc-empty", "pvc-interrupted"} {
		if err := os.Mkdir(filepath.Join(p.store.dir, empty), 0o770); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.store.open(map[string]bool{"pvc-used": true, "pvc-empty": true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{trashName, "pvc-empty", "pvc-nobody", "pvc-used"}, names(t, p.store.dir)); diff != "" {
		t.Error(diff)
	}
	if got := names(t, p.store.trash()); len(got) != 0 {
		t.Errorf("left in the trash: %v", got)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}
