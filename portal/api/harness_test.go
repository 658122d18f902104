package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/portal"
	"github.com/berth-dev/berth/portal/api"
	"github.com/berth-dev/berth/portal/service"
	"github.com/berth-dev/berth/tenancy"
)

const (
	testToken  = "a-token-of-the-tests"
	testPlan   = "test-small"
	testDomain = "berth.localhost"
	registryAs = "registry.berth.internal"
)

// world is a portal on a real API server and a real registry.
type world struct {
	t        *testing.T
	kube     client.WithWatch
	clock    *clocktesting.FakePassiveClock
	server   *httptest.Server
	registry string
	tenant   string
}

// newWorld starts a portal and makes a tenant that is ready.
func newWorld(t *testing.T) *world {
	t.Helper()
	env := kubetest.Start(t)
	kube, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	w := &world{
		t: t, kube: kube, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		registry: strings.TrimPrefix(images.URL, "http://"),
	}
	w.basics()
	w.tenant = w.newTenant()
	log := slog.New(slog.DiscardHandler)
	handler := portal.New(portal.Options{Log: log, API: api.New(api.Options{
		Service: service.New(service.Options{
			Client: kube, Clock: w.clock, Domain: testDomain, EdgePort: 8443,
			Images:   service.NewImages(map[string]service.Mirror{registryAs: {Host: w.registry, Insecure: true}}, nil),
			EdgeCA:   func() ([]byte, error) { return []byte("the edge's CA"), nil },
			Endpoint: func(string) string { return apiServer(env) },
		}),
		Auth: api.NewOperatorToken(kube, w.clock), Log: log, Draining: make(chan struct{}),
	})})
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	return w
}

// basics are what every test shares on the one API server.
func (w *world) basics() {
	w.t.Helper()
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenancy.SystemNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: tenancy.SystemNamespace, Name: api.OperatorTokenSecret},
			Data:       map[string][]byte{api.OperatorTokenKeyHash: []byte(api.HashToken(testToken)), api.OperatorTokenKeyName: []byte("olga")},
		},
		&v1alpha1.Plan{
			ObjectMeta: metav1.ObjectMeta{Name: testPlan},
			Spec:       v1alpha1.PlanSpec{OCUs: 20, Storage: resource.MustParse("20Gi")},
		},
	} {
		if err := w.kube.Create(w.t.Context(), obj); client.IgnoreAlreadyExists(err) != nil {
			w.t.Fatal(err)
		}
	}
}

// newTenant makes a tenant as its reconciler would leave it.
func (w *world) newTenant() string {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-t"}}
	w.create(ns)
	tenant := strings.TrimPrefix(ns.Name, "tenant-")
	obj := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: tenant}, Spec: v1alpha1.TenantSpec{Plan: testPlan}}
	w.create(obj)
	obj.Status.Namespace, obj.Status.VirtualCluster, obj.Status.HostSuffix = ns.Name, "abcd1234", tenant+"."+testDomain
	w.status(obj)
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.t.Context())
		_ = w.kube.Delete(ctx, obj)
		_ = w.kube.Delete(ctx, ns)
	})
	return tenant
}

func (w *world) create(obj client.Object) {
	w.t.Helper()
	if err := w.kube.Create(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

// createFor makes an object that leaves with the test.
func (w *world) createFor(obj client.Object) {
	w.t.Helper()
	w.create(obj)
	w.leaves(obj)
}

// leaves deletes an object with the test.
func (w *world) leaves(obj client.Object) {
	w.t.Helper()
	w.t.Cleanup(func() {
		if err := w.kube.Delete(context.WithoutCancel(w.t.Context()), obj); client.IgnoreNotFound(err) != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) status(obj client.Object) {
	w.t.Helper()
	if err := w.kube.Status().Update(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

// push puts an image into the registry and gives its digest.
func (w *world) push(repository, user string) (image, digest string) {
	w.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{User: user}, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		w.t.Fatal(err)
	}
	ref, err := name.ParseReference(w.registry + "/" + repository)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		w.t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	return registryAs + "/" + repository, hash.String()
}

// unpush takes a tag and its image out of the registry.
func (w *world) unpush(repository, tag, digest string) {
	w.t.Helper()
	for _, reference := range []string{repository + ":" + tag, repository + "@" + digest} {
		ref, err := name.ParseReference(w.registry + "/" + reference)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := remote.Delete(ref); err != nil {
			w.t.Fatal(err)
		}
	}
}

// do makes a request with the operator's token.
func (w *world) do(method, path string, body any) (int, []byte) {
	w.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.request(method, path, "Bearer "+testToken, raw)
}

func (w *world) request(method, path, authorization string, body []byte) (int, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+"/v1"+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, out
}

// must makes a request that has to succeed and decodes the answer.
func must[T any](w *world, method, path string, body any) T {
	w.t.Helper()
	status, raw := w.do(method, path, body)
	var out T
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
	return out
}

// refused makes a request that has to be refused.
func (w *world) refused(method, path string, body any) apiclient.Problem {
	w.t.Helper()
	status, raw := w.do(method, path, body)
	var p apiclient.Problem
	if status < 400 {
		w.t.Fatalf("%s %s was not refused: %d %s", method, path, status, raw)
	}
	if err := json.Unmarshal(raw, &p); err != nil || p.Status != status || p.Detail == "" {
		w.t.Fatalf("%s %s: not a problem document: %s", method, path, raw)
	}
	return p
}

// everything is what the tenant has and what tenants there are, to see that nothing
// changed.
func (w *world) everything() string {
	w.t.Helper()
	var out strings.Builder
	ns := client.InNamespace(v1alpha1.ManagementNamespace(w.tenant))
	for _, list := range []client.ObjectList{&v1alpha1.AppList{}, &v1alpha1.ReleaseList{}, &corev1.SecretList{}} {
		if err := w.kube.List(w.t.Context(), list, ns); err != nil {
			w.t.Fatal(err)
		}
		raw, err := json.Marshal(list)
		if err != nil {
			w.t.Fatal(err)
		}
		var doc struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			w.t.Fatal(err)
		}
		for _, item := range doc.Items {
			fmt.Fprintf(&out, "%s\n", item)
		}
	}
	return out.String()
}

// app reads the tenant's app from the API server.
func (w *world) app(name string) *v1alpha1.App {
	w.t.Helper()
	a := &v1alpha1.App{}
	if err := w.kube.Get(w.t.Context(), client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: name}, a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// path is the address of the tenant's app.
func (w *world) path(app string) string { return "/tenants/" + w.tenant + "/apps/" + app }

// put is a body for PUT template with one exposed component.
func put(image string) map[string]any {
	return map[string]any{
		"template": map[string]any{"components": []any{component("web", image)}},
		"reason":   "applied berth.yaml",
	}
}

func component(name, image string) map[string]any {
	return map[string]any{
		"name": name, "image": image,
		"ports": []any{map[string]any{"name": "http", "port": 8080, "expose": true}},
	}
}

// released plays the app and release reconcilers: a release of the app's template.
func (w *world) released(app string, version int64, phase v1alpha1.ReleasePhase) *v1alpha1.Release {
	w.t.Helper()
	a := w.app(app)
	rel := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.Namespace, Name: fmt.Sprintf("%s-v%d", app, version), Labels: map[string]string{v1alpha1.LabelApp: app},
		},
		Spec: v1alpha1.ReleaseSpec{
			App: app, Version: version, Template: *a.Spec.Template.DeepCopy(), TemplateHash: fmt.Sprint(version), Summary: a.Spec.Reason,
		},
	}
	w.create(rel)
	w.phase(rel, phase)
	a.Status.LatestRelease, a.Status.ObservedGeneration = version, a.Generation
	if phase == v1alpha1.ReleaseLive {
		a.Status.LiveRelease = version
	}
	a.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReleaseCreated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded,
		LastTransitionTime: metav1.NewTime(w.clock.Now()),
	}}
	w.status(a)
	return rel
}

func (w *world) phase(rel *v1alpha1.Release, phase v1alpha1.ReleasePhase) {
	w.t.Helper()
	rel.Status.Phase = phase
	w.status(rel)
}
