package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/images"
)

// The cases of a deploy.
const (
	deployNew    = "Berth, a new app"
	kubectlNew   = "kubectl, a new app"
	deployImage  = "Berth, a new image"
	kubectlImage = "kubectl, a new image"
)

// The long-lived app of each side.
const (
	ourApp   = "benchours"
	theirApp = "benchtheirs"
)

// deployer deploys the same app by both ways into one tenant's cluster.
type deployer struct {
	*bench
	tenant string
	// namespace of the tenant's virtual cluster on the host.
	namespace string
	// inside is the tenant's cluster, kubeconfig the same for kubectl.
	inside     client.Client
	kubeconfig string
	// manifests of the app ourApp with the image firstImage.
	manifests  string
	firstImage pushed
	images     int
}

// measureDeploys deploys new apps and new images in turns. Every deploy has an image of its
// own whose layers the node knows, so that both sides fetch the same little.
func (b *bench) measureDeploys(ctx context.Context) error {
	if err := b.setPool(ctx, 0); err != nil {
		return err
	}
	d := &deployer{bench: b, tenant: b.uniqueName()}
	if _, err := output(b.berth(ctx, "tenants:create", d.tenant, "--plan", "small")); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	type side struct {
		what string
		work func(context.Context, int) (map[string]int64, error)
	}
	sides := []side{{deployNew, d.newApp}, {kubectlNew, d.kubectlNewApp}, {deployImage, d.newImage}, {kubectlImage, d.kubectlNewImage}}
	for round := 1; round <= b.rounds; round++ {
		for _, one := range turns(round, sides) {
			b.say("deploy, round %d: %s", round, one.what)
			if err := b.quiet(ctx); err != nil {
				return err
			}
			stages, err := one.work(ctx, round)
			if err != nil {
				return fmt.Errorf("%s: %w", one.what, err)
			}
			total, ok := stages["first"]
			if !ok {
				total = stages["command"]
			}
			b.record(Record{Measure: "deploy", Case: one.what, Round: round, Milliseconds: total, Stages: stages})
		}
	}
	_, err := output(b.berth(ctx, "tenants:delete", d.tenant, "--confirm", d.tenant))
	return err
}

// prepare deploys the long-lived app of each side.
func (d *deployer) prepare(ctx context.Context) error {
	var tenant berthv1.Tenant
	if err := d.host.Get(ctx, client.ObjectKey{Name: d.tenant}, &tenant); err != nil {
		return err
	}
	id := tenant.Status.VirtualCluster
	d.namespace = berthv1.HostNamespace(id)
	a, err := d.access(ctx, d.namespace, id)
	if err != nil {
		return err
	}
	if d.inside, err = d.inCluster(a); err != nil {
		return err
	}
	if err := d.writeKubeconfig(a); err != nil {
		return err
	}
	if d.firstImage, err = d.image(ctx); err != nil {
		return err
	}
	if _, err := d.applyApp(ctx, ourApp, d.firstImage); err != nil {
		return err
	}
	if d.manifests, err = manifests(ctx, d.inside, ourApp); err != nil {
		return err
	}
	_, err = d.kubectlDeploy(ctx, theirApp, theirApp)
	return err
}

// pushed is an image by its tag, as people name it, and by its digest, as Berth writes it
// into the manifests. Its app answers with its version.
type pushed struct{ tag, digest, version string }

// image pushes an image nobody has deployed.
func (d *deployer) image(ctx context.Context) (pushed, error) {
	d.images++
	version := strconv.Itoa(d.images)
	entry, err := images.Binary("/testapp", d.testApp())
	if err != nil {
		return pushed{}, err
	}
	image, err := images.Scratch(images.Config{Entrypoint: []string{"/testapp"}, Env: []string{"VERSION=" + version}}, entry)
	if err != nil {
		return pushed{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return pushed{}, err
	}
	repository := "registry.berth.internal/bench/" + d.tenant
	p := pushed{tag: repository + ":" + version, digest: repository + "@" + digest.String(), version: version}
	return p, images.Push(ctx, d.up.Registry, p.tag, image)
}

// newApp deploys an app that is new to Berth.
func (d *deployer) newApp(ctx context.Context, round int) (map[string]int64, error) {
	image, err := d.image(ctx)
	if err != nil {
		return nil, err
	}
	app := "benchnew" + strconv.Itoa(round)
	stages, err := d.applyApp(ctx, app, image)
	if err != nil {
		return nil, err
	}
	if _, err := output(d.berth(ctx, "apps:delete", app, "-t", d.tenant, "--confirm", app)); err != nil {
		return nil, err
	}
	return stages, d.removeNamespace(ctx, d.inside, app)
}

// applyApp deploys an app from a file and waits for its first answer.
func (d *deployer) applyApp(ctx context.Context, app string, image pushed) (map[string]int64, error) {
	path := filepath.Join(d.scratch, app+".yaml")
	text := fmt.Sprintf(`app: %s
components:
  web:
    image: %s
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
config:
  GREETING: ahoy
`, app, image.tag)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return d.untilAnswered(ctx, app, image, "apply", "-t", d.tenant, "-f", path)
}

// newImage deploys an image into the long-lived app.
func (d *deployer) newImage(ctx context.Context, _ int) (map[string]int64, error) {
	image, err := d.image(ctx)
	if err != nil {
		return nil, err
	}
	return d.untilAnswered(ctx, ourApp, image, "deploy", "web="+image.tag, "-t", d.tenant, "-a", ourApp)
}

// untilAnswered runs a command of berth and waits until the image answers at the edge and
// the command has ended.
func (d *deployer) untilAnswered(ctx context.Context, app string, image pushed, args ...string) (map[string]int64, error) {
	return d.timed(ctx, app, image, true, func(ctx context.Context, _ *probe) error {
		_, err := output(d.berth(ctx, args...))
		return err
	})
}

// kubectlNewApp applies the same manifests into a new namespace. The edge knows nothing of
// it and is asked for a host that is not there, as a new app of Berth is not at first.
func (d *deployer) kubectlNewApp(ctx context.Context, round int) (map[string]int64, error) {
	app := "benchplain" + strconv.Itoa(round)
	stages, err := d.kubectlDeploy(ctx, app, app)
	if err != nil {
		return nil, err
	}
	return stages, d.removeNamespace(ctx, d.inside, app)
}

// kubectlNewImage applies the manifests of the long-lived app with a new image. The edge is
// asked for Berth's long-lived app meanwhile.
func (d *deployer) kubectlNewImage(ctx context.Context, _ int) (map[string]int64, error) {
	return d.kubectlDeploy(ctx, theirApp, ourApp)
}

// kubectlDeploy runs `kubectl apply` and `kubectl rollout status` with a new image, while
// the edge is asked for a host of the tenant.
func (d *deployer) kubectlDeploy(ctx context.Context, app, host string) (map[string]int64, error) {
	image, err := d.image(ctx)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.scratch, app+".json")
	if err := os.WriteFile(path, []byte(renamed(d.manifests, ourApp, app, d.firstImage.digest, image.digest)), 0o600); err != nil {
		return nil, err
	}
	stages, err := d.timed(ctx, host, image, false, func(ctx context.Context, p *probe) error {
		if err := d.kubectl(ctx, "apply", "-f", path); err != nil {
			return err
		}
		p.reached("apply")
		return d.kubectl(ctx, "-n", app, "rollout", "status", "deployment/web")
	})
	if err != nil {
		return nil, err
	}
	return stages, d.runs(ctx, app, image.digest)
}

// runs checks that an app's one process is ready with the image: that what was measured
// is what was meant.
func (d *deployer) runs(ctx context.Context, app, image string) error {
	var pods corev1.PodList
	if err := d.inside.List(ctx, &pods, client.InNamespace(app)); err != nil {
		return err
	}
	for i := range pods.Items {
		if pods.Items[i].Spec.Containers[0].Image == image && podReady(&pods.Items[i]) {
			return nil
		}
	}
	return fmt.Errorf("kubectl says that %s is rolled out, but no process with %s is ready", app, image)
}

// kubectl runs kubectl as close to the tenant's API server as can be: in the node's network.
func (d *deployer) kubectl(ctx context.Context, args ...string) error {
	command := d.instance.inside(ctx, filepath.Join(d.parts, "kubectl"), append([]string{"--kubeconfig", d.kubeconfig}, args...)...)
	// Its cache of what the API server offers is kept there.
	command.Env = append(os.Environ(), "HOME="+d.scratch)
	_, err := output(command)
	return err
}

// writeKubeconfig writes an administrator's kubeconfig, without the detour over the edge.
func (d *deployer) writeKubeconfig(a *access) error {
	type dict = map[string]any
	text, err := json.Marshal(dict{
		"apiVersion": "v1", "kind": "Config", "current-context": "bench",
		"contexts": []any{dict{"name": "bench", "context": dict{"cluster": "bench", "user": "bench"}}},
		"clusters": []any{dict{"name": "bench", "cluster": dict{
			"server": "https://" + a.address, "certificate-authority-data": a.ca, "tls-server-name": localName,
		}}},
		"users": []any{dict{"name": "bench", "user": dict{"client-certificate-data": a.cert, "client-key-data": a.key}}},
	})
	if err != nil {
		return err
	}
	d.kubeconfig = filepath.Join(d.scratch, "kubeconfig")
	return os.WriteFile(d.kubeconfig, text, 0o600)
}
