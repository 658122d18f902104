package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// InstallOptions say into which cluster to install Berth's chart.
type InstallOptions struct {
	// Context of the kubeconfig; Kubeconfig is its path, empty for the usual places.
	Context, Kubeconfig string
	// Registry is where the images are pushed to and the cluster gets them from. Another
	// embedded instance needs none.
	Registry string
	// ValuesFile holds values for the chart.
	ValuesFile string
	// SourceDir is Berth's source tree; empty means the one around the working folder.
	SourceDir string
	PoolSize  int
	Out       io.Writer
}

// Install brings Berth into a cluster that exists, with the same chart and images as Up.
func Install(ctx context.Context, options InstallOptions) error {
	release := func() {}
	instance := Embedded(options.Context, options.Kubeconfig)
	if instance == nil && options.Registry == "" {
		return errs.New(errs.Invalid, "--registry", fmt.Sprintf("%s is no embedded instance, so its nodes need a registry to get Berth's images from", options.Context),
			"name one that you may push to, such as --registry 123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth")
	}
	if instance != nil {
		var err error
		if release, err = instance.lock(); err != nil {
			return err
		}
		if err := instance.noHost(); err != nil {
			release()
			return err
		}
	}
	defer release()
	progress := NewProgress(options.Out)
	defer progress.Close()
	b, err := buildAll(ctx, options.SourceDir, progress)
	if err != nil {
		return err
	}
	values, err := readValues(options.ValuesFile)
	if err != nil {
		return err
	}
	c, kubeconfig, err := targetClient(options)
	if err != nil {
		return err
	}
	step := progress.Start("Images into the cluster")
	var state State
	if instance != nil {
		state, err = instance.LoadState()
		err = errors.Join(err, instance.importImages(ctx, b.partsDir, b.images))
		values = merge(chartValues(b.images, state, options.PoolSize), values)
	} else {
		var refs map[string]string
		refs, err = pushImages(ctx, options.Registry, b)
		values = merge(map[string]any{"images": imageValues(func(repository string) string { return refs[repository] })}, values)
	}
	if step.End(err) != nil {
		return err
	}
	step = progress.Start("Berth's chart")
	if err = ensureSystemNamespace(ctx, c); err == nil {
		err = installChart(ctx, kubeconfig, options.Context, filepath.Join(b.source, "charts", "berth"), values)
	}
	if err == nil && instance != nil {
		err = instance.saveAccess(ctx, c, state.Ports)
	}
	if step.End(err) != nil {
		return err
	}
	step = progress.Start("Berth itself")
	return step.End(berthReady(ctx, c, state.Started))
}

// Uninstall removes Berth from the cluster of a kubeconfig context. It is refused while
// there are tenants.
func Uninstall(ctx context.Context, kubeContext, kubeconfig string) error {
	if instance := Embedded(kubeContext, kubeconfig); instance != nil {
		if err := instance.noHost(); err != nil {
			return err
		}
	}
	c, kubeconfig, err := targetClient(InstallOptions{Context: kubeContext, Kubeconfig: kubeconfig})
	if err != nil {
		return err
	}
	// The chart refuses as well, whoever uninstalls it, but cannot say why.
	if err := noTenants(ctx, c); err != nil {
		return err
	}
	return uninstallChart(kubeconfig, kubeContext)
}

// noTenants fails when there are tenants, and names them.
func noTenants(ctx context.Context, c client.Client) error {
	tenants := &metav1.PartialObjectMetadataList{}
	tenants.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TenantList"))
	err := c.List(ctx, tenants)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil // Berth is not installed, or only a part of it
	}
	if err != nil {
		return fmt.Errorf("looking for tenants: %w", err)
	}
	if len(tenants.Items) == 0 {
		return nil
	}
	names := make([]string, len(tenants.Items))
	for i := range tenants.Items {
		names[i] = tenants.Items[i].Name
	}
	return errs.New(errs.Conflict, "", "there are tenants, whose apps would be left running without Berth: "+strings.Join(names, ", "),
		fmt.Sprintf("delete them first: berth tenants:delete %s --confirm %[1]s", names[0]))
}

// Embedded returns the running instance that a context belongs to, if any. In a
// kubeconfig that somebody named, the context is another cluster's unless the file is the
// instance's own.
func Embedded(kubeContext, kubeconfig string) *Instance {
	name, ok := strings.CutPrefix(kubeContext, "berth-")
	if !ok {
		return nil
	}
	instance, err := Open(name)
	if err != nil || instance.Running() == nil || kubeconfig != "" && !sameFile(kubeconfig, instance.Kubeconfig()) {
		return nil
	}
	return instance
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// targetClient makes a client for the context, and finds the kubeconfig that has it.
func targetClient(options InstallOptions) (client.Client, string, error) {
	kubeconfig := options.Kubeconfig
	if instance := Embedded(options.Context, kubeconfig); kubeconfig == "" && instance != nil {
		kubeconfig = instance.adminKubeconfig()
		if _, err := os.Stat(kubeconfig); errors.Is(err, os.ErrNotExist) {
			kubeconfig = instance.Kubeconfig() // an older Berth started it
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: options.Context}).ClientConfig()
	if err != nil {
		return nil, "", errs.New(errs.Invalid, "--context", fmt.Sprintf("context %q cannot be used: %v", options.Context, err),
			"`kubectl config get-contexts` lists those there are; --kubeconfig names another file")
	}
	c, err := client.New(config, client.Options{})
	return c, kubeconfig, err
}

func readValues(path string) (map[string]any, error) {
	values := map[string]any{}
	if path == "" {
		return values, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(data, &values); err != nil {
		return nil, errs.New(errs.Invalid, "--values", err.Error(), "write it as values of the chart: see charts/berth/values.yaml")
	}
	return values, nil
}

// merge lays over onto base; maps are merged, everything else is replaced.
func merge(base, over map[string]any) map[string]any {
	for key, value := range over {
		inner, ok := value.(map[string]any)
		below, both := base[key].(map[string]any)
		if ok && both {
			base[key] = merge(below, inner)
		} else {
			base[key] = value
		}
	}
	return base
}

// pushImages pushes every image below registry and returns the new references by
// repository.
func pushImages(ctx context.Context, registry string, b *built) (map[string]string, error) {
	refs := map[string]string{}
	for ref, image := range b.images {
		repository, tag, _ := strings.Cut(ref, ":")
		target := registry + strings.TrimPrefix(repository, "berth.dev") + ":" + tag
		if err := pushImage(ctx, target, image); err != nil {
			return nil, err
		}
		refs[repository] = target
	}
	return refs, nil
}

func pushImage(ctx context.Context, target string, image v1.Image) error {
	parsed, err := name.NewTag(target)
	if err != nil {
		return errs.New(errs.Invalid, "--registry", err.Error(), "write it as host[:port]/path")
	}
	if err := remote.Write(parsed, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("pushing %s: %w", target, err)
	}
	return nil
}
