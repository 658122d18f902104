package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func TestATemplateIsPinnedAndPutOnce(t *testing.T) {
	w := newWorld(t)
	image, digest := w.push("shop/web:1", "1000:1000")
	first := must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template", put(image))
	if !first.Changed {
		t.Error("the first put changed nothing")
	}
	got := w.app("shop").Spec.Template.Components[0]
	if want := registryAs + "/shop/web@" + digest; got.Image != want {
		t.Errorf("got image %s, want %s", got.Image, want)
	}
	if got.User == nil || *got.User != 1000 {
		t.Errorf("got user %v, want the image's 1000", got.User)
	}
	generation := w.app("shop").Generation
	again := must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template", put(image))
	if again.Changed || len(again.Changes) > 0 || w.app("shop").Generation != generation {
		t.Errorf("the second put changed something: %+v", again.Changes)
	}
}

func TestADryRunTellsTheChangesAndMakesNone(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	out := must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template?dryRun=1", put(image))
	if !out.Changed || !out.DryRun || len(out.Changes) == 0 {
		t.Errorf("got %+v, want changes of a dry run", out)
	}
	if status, _ := w.do(http.MethodGet, w.path("shop"), nil); status != http.StatusNotFound {
		t.Errorf("the app exists after a dry run: %d", status)
	}
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	next := put(image)
	next["formation"] = []any{map[string]any{"name": "web", "count": 3, "ocus": 1}}
	out = must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template?dryRun=1", next)
	want := []apiclient.FieldChange{{Field: "components.web.count", Old: "1", New: "3"}}
	if diff := cmp.Diff(want, out.Changes); diff != "" {
		t.Errorf("changes:\n%s", diff)
	}
	if out.OCUs != 3 || out.PlanOCUs != 20 {
		t.Errorf("got %d of %d OCUs, want 3 of 20", out.OCUs, out.PlanOCUs)
	}
}

func TestDeployTakesTheNewImagesUserUnlessOneWasChosen(t *testing.T) {
	w := newWorld(t)
	first, _ := w.push("shop/web:1", "1000")
	second, digest := w.push("shop/web:2", "2000")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(first))
	must[any](w, http.MethodPost, w.path("shop")+"/deploy", map[string]any{"images": map[string]string{"web": second}})
	app := w.app("shop")
	got := app.Spec.Template.Components[0]
	if !strings.HasSuffix(got.Image, digest) || *got.User != 2000 {
		t.Errorf("got %s as user %d, want the second image as user 2000", got.Image, *got.User)
	}
	if app.Spec.Reason != "deployed web" {
		t.Errorf("got reason %q", app.Spec.Reason)
	}
	body := put(first)
	chosen := component("web", first)
	chosen["user"] = 3000
	body["template"] = map[string]any{"components": []any{chosen}}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	must[any](w, http.MethodPost, w.path("shop")+"/deploy", map[string]any{"images": map[string]string{"web": second}})
	if got := w.app("shop").Spec.Template.Components[0]; *got.User != 3000 {
		t.Errorf("got user %d, want the chosen 3000", *got.User)
	}
}

func TestSecretsAreImmutableAndNeverReturned(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	const value = "correct-horse"
	_, raw := w.do(http.MethodPatch, w.path("shop")+"/secrets", map[string]any{"secrets": map[string]string{"API_KEY": value, "OTHER": "x"}})
	first := w.app("shop").Spec.Template.ConfigSecret
	if !strings.HasPrefix(first, "shop-config-") {
		t.Fatalf("got secret %q: %s", first, raw)
	}
	secret := &corev1.Secret{}
	if err := w.kube.Get(t.Context(), client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: first}, secret); err != nil {
		t.Fatal(err)
	}
	if secret.Immutable == nil || !*secret.Immutable || string(secret.Data["API_KEY"]) != value {
		t.Errorf("got %+v, want an immutable Secret with the value", secret)
	}
	must[any](w, http.MethodPatch, w.path("shop")+"/secrets", `{"secrets":{"OTHER":null}}`)
	if second := w.app("shop").Spec.Template.ConfigSecret; second == first {
		t.Error("removing a secret made no new Secret")
	}
	if got := must[apiclient.Secrets](w, http.MethodGet, w.path("shop")+"/secrets", nil); !cmp.Equal(got.Names, []string{"API_KEY"}) {
		t.Errorf("got names %v", got.Names)
	}
	for _, path := range []string{w.path("shop"), w.path("shop") + "/secrets", w.path("shop") + "/config", "/tenants/" + w.tenant + "/apps"} {
		if _, raw := w.do(http.MethodGet, path, nil); strings.Contains(string(raw), value) {
			t.Errorf("%s gives the secret's value away", path)
		}
	}
	if p := w.refused(http.MethodPatch, w.path("shop"), `{"config":{"API_KEY":"plain"}}`); p.Field != "config.API_KEY" || p.Status != http.StatusConflict {
		t.Errorf("a plain setting over a secret: got %+v", p)
	}
	// A template without config keeps config and secrets.
	must[any](w, http.MethodPatch, w.path("shop"), `{"config":{"LOG_LEVEL":"debug"}}`)
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	if spec := w.app("shop").Spec.Template; spec.Config["LOG_LEVEL"] != "debug" || spec.ConfigSecret == "" {
		t.Errorf("a template without config lost it: %+v", spec)
	}
}

func TestTheFirstApplyCanBringSecrets(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := put(registryAs + "/shop/none:1")
	body["secrets"] = map[string]string{"API_KEY": "x"}
	before := w.everything()
	w.refused(http.MethodPut, w.path("shop")+"/template", body)
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("a refusal left something behind:\n%s", diff)
	}
	body = put(image)
	body["secrets"] = map[string]string{"API_KEY": "x"}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	if w.app("shop").Spec.Template.ConfigSecret == "" {
		t.Error("the secret was not set")
	}
}

func TestNewAppsHaveTheirFinalizersAtOnce(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	must[any](w, http.MethodPost, "/tenants/"+w.tenant+"/apps", `{"name":"empty"}`)
	for _, app := range []string{"shop", "empty"} {
		if diff := cmp.Diff([]string{v1alpha1.Finalizer, v1alpha1.FinalizerReleases}, w.app(app).Finalizers); diff != "" {
			t.Errorf("%s:\n%s", app, diff)
		}
	}
}

// A file's variable must not be a secret already, also when the same request sets another.
func TestANewSecretDoesNotHideAClashWithAnOldOne(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := put(image)
	body["secrets"] = map[string]string{"OLD": "x"}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	body = put(image)
	body["template"].(map[string]any)["config"] = map[string]string{"OLD": "plain"}
	body["secrets"] = map[string]string{"NEW": "x"}
	if p := w.refused(http.MethodPut, w.path("shop")+"/template", body); p.Status != http.StatusConflict || p.Field != "config.OLD" {
		t.Errorf("got %+v", p)
	}
}

func TestSecretsThatAreGoneCanBeSetAgain(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := put(image)
	body["secrets"] = map[string]string{"API_KEY": "x"}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: w.app("shop").Spec.Template.ConfigSecret}
	if err := w.kube.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	if err := w.kube.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if got := must[apiclient.Secrets](w, http.MethodGet, w.path("shop")+"/secrets", nil); len(got.Names) > 0 {
		t.Errorf("got names %v of a Secret that is gone", got.Names)
	}
	must[any](w, http.MethodPatch, w.path("shop")+"/secrets", `{"secrets":{"API_KEY":"x"}}`)
	if err := w.kube.Get(t.Context(), key, secret); err != nil {
		t.Errorf("the same value did not come back: %v", err)
	}
}

func TestAnEmptyConfigClearsTheSettings(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := put(image)
	template := body["template"].(map[string]any)
	template["config"] = map[string]string{"LOG_LEVEL": "debug"}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	c, err := apiclient.New(apiclient.Options{URL: w.server.URL, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	in := apiclient.TemplatePut{Template: v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "web", Image: image}}}}
	if _, err := c.PutTemplate(t.Context(), w.tenant, "shop", in, false); err != nil {
		t.Fatal(err)
	}
	if config := w.app("shop").Spec.Template.Config; len(config) != 1 {
		t.Errorf("a template without config left %v", config)
	}
	in.Template.Config = map[string]string{}
	if _, err := c.PutTemplate(t.Context(), w.tenant, "shop", in, false); err != nil {
		t.Fatal(err)
	}
	if config := w.app("shop").Spec.Template.Config; len(config) > 0 {
		t.Errorf("got %v, want none", config)
	}
}

// Without the old image nobody can tell whether its user was chosen.
func TestADeployOverAnImageThatIsGoneNeedsTheUserNamed(t *testing.T) {
	w := newWorld(t)
	first, digest := w.push("shop/web:1", "1000")
	second, _ := w.push("shop/web:2", "2000")
	same, _ := w.push("shop/web:3", "1000")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(first))
	w.unpush("shop/web", "1", digest)
	deploy := func(image string) map[string]any { return map[string]any{"images": map[string]string{"web": image}} }
	before := w.everything()
	if p := w.refused(http.MethodPost, w.path("shop")+"/deploy", deploy(second)); p.Field != "components.web.image" || p.Fix == "" {
		t.Errorf("got %+v", p)
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	must[any](w, http.MethodPost, w.path("shop")+"/deploy", deploy(same))
}

func TestEveryImageThatIsMissingIsTold(t *testing.T) {
	w := newWorld(t)
	p := w.refused(http.MethodPut, w.path("shop")+"/template", map[string]any{"template": map[string]any{
		"components": []any{component("a", registryAs+"/shop/none:1"), component("b", registryAs+"/shop/none:2")},
	}})
	if len(p.Faults) != 2 || p.Faults[0].Field != "components.a.image" || p.Faults[1].Field != "components.b.image" {
		t.Errorf("got %+v", p)
	}
}

func TestRollbackGoesToTheReleaseBefore(t *testing.T) {
	w := newWorld(t)
	one, digestOne := w.push("shop/web:1", "")
	two, _ := w.push("shop/web:2", "")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(one))
	first := w.released("shop", 1, v1alpha1.ReleaseLive)
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(two))
	w.phase(first, v1alpha1.ReleaseSuperseded)
	w.released("shop", 2, v1alpha1.ReleaseLive)
	must[any](w, http.MethodPost, w.path("shop")+"/rollback", `{}`)
	app := w.app("shop")
	if !strings.HasSuffix(app.Spec.Template.Components[0].Image, digestOne) || app.Spec.Reason != "rolled back to v1" {
		t.Errorf("got %s because %q, want the first image", app.Spec.Template.Components[0].Image, app.Spec.Reason)
	}
	if p := w.refused(http.MethodPost, w.path("shop")+"/rollback", `{"version":1}`); p.Status != http.StatusConflict {
		t.Errorf("rolling back to what runs: got %+v", p)
	}
	w.released("shop", 3, v1alpha1.ReleaseFailed)
	if p := w.refused(http.MethodPost, w.path("shop")+"/rollback", `{"version":3}`); p.Status != http.StatusConflict {
		t.Errorf("rolling back to a failed release: got %+v", p)
	}
	releases := must[apiclient.List[apiclient.Release]](w, http.MethodGet, w.path("shop")+"/releases", nil)
	var versions []int64
	for _, r := range releases.Items {
		versions = append(versions, r.Version)
	}
	if !cmp.Equal(versions, []int64{3, 2, 1}) {
		t.Errorf("got releases %v, want newest first", versions)
	}
	few := must[apiclient.List[apiclient.Release]](w, http.MethodGet, w.path("shop")+"/releases?limit=1", nil)
	if len(few.Items) != 1 || few.Items[0].Version != 3 || few.Items[0].Template != nil {
		t.Errorf("got %+v, want the newest without its template", few.Items)
	}
}

func TestAWatchTellsTheReleaseUntilItIsLive(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	change := must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template", put(image))
	c, err := apiclient.New(apiclient.Options{URL: w.server.URL, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	var phases []string
	var rel *v1alpha1.Release
	err = c.WatchRelease(t.Context(), w.tenant, "shop", 0, change.App.Generation, func(ev apiclient.ReleaseEvent) error {
		switch {
		case ev.Release == nil && rel == nil:
			rel = w.released("shop", 1, v1alpha1.ReleaseRollingOut)
		case ev.Release != nil:
			if n := len(phases); n == 0 || phases[n-1] != ev.Release.Phase {
				phases = append(phases, ev.Release.Phase)
				if ev.Release.Phase == string(v1alpha1.ReleaseRollingOut) {
					w.phase(rel, v1alpha1.ReleaseLive)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(phases); n == 0 || phases[n-1] != string(v1alpha1.ReleaseLive) {
		t.Errorf("got phases %v, want Live at the end", phases)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	w := newWorld(t)
	_, raw := w.do(http.MethodGet, "/tenants/"+w.tenant+"/apps", nil)
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil || string(doc["items"]) != "[]" {
		t.Errorf("got %s, want an empty list", raw)
	}
}
