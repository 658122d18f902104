package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func TestLabelsAreSetRemovedAndLookedFor(t *testing.T) {
	w := newWorld(t)
	for _, app := range []string{"shop", "blog"} {
		must[any](w, http.MethodPost, "/tenants/"+w.tenant+"/apps", map[string]string{"name": app})
	}
	must[any](w, http.MethodPatch, w.path("shop"), `{"labels":{"team":"a","stage":"live"}}`)
	got := must[apiclient.Changed](w, http.MethodPatch, w.path("shop"), `{"labels":{"stage":null}}`)
	if diff := cmp.Diff(map[string]string{"team": "a"}, got.App.Labels); diff != "" {
		t.Error(diff)
	}
	for query, want := range map[string]int{"": 2, "?label=team=a": 1, "?label=team=b": 0, "?label=team=a&label=stage=live": 0} {
		if got := must[apiclient.List[apiclient.App]](w, http.MethodGet, "/tenants/"+w.tenant+"/apps"+query, nil); len(got.Items) != want {
			t.Errorf("%s: got %d apps, want %d", query, len(got.Items), want)
		}
	}
	if p := w.refused(http.MethodGet, "/tenants/"+w.tenant+"/apps?label=team", nil); p.Status != http.StatusBadRequest || p.Field != "label" {
		t.Errorf("got %+v", p)
	}
	if p := w.refused(http.MethodPatch, w.path("shop"), `{"labels":{"No Key":"x"}}`); p.Field != "labels.No Key" || p.Fix == "" {
		t.Errorf("got %+v", p)
	}
}

func TestHowTheEdgeTreatsAnAppIsPatchedAndPut(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := put(image)
	body["labels"] = map[string]string{"team": "a"}
	body["edge"] = map[string]any{"allowedCIDRs": []string{"203.0.113.7/24"}, "maxBodyMiB": 20, "maintenance": true}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	want := v1alpha1.EdgeSettings{AllowedCIDRs: []string{"203.0.113.0/24"}, MaxBodyMiB: 20}
	if diff := cmp.Diff(want, w.app("shop").Spec.Edge); diff != "" {
		t.Errorf("a template:\n%s", diff)
	}
	must[any](w, http.MethodPatch, w.path("shop"), `{"maintenance":true,"edge":{"maintenanceMessage":"soon","allow":["192.0.2.1"],"answerTimeoutSeconds":600}}`)
	// A template that says nothing of it leaves it.
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	want = v1alpha1.EdgeSettings{
		Maintenance: true, MaintenanceMessage: "soon", AllowedCIDRs: []string{"203.0.113.0/24", "192.0.2.1/32"}, MaxBodyMiB: 20, AnswerTimeoutSeconds: 600,
	}
	app := w.app("shop")
	if diff := cmp.Diff(want, app.Spec.Edge); diff != "" {
		t.Errorf("a patch:\n%s", diff)
	}
	if app.Spec.Labels["team"] != "a" {
		t.Errorf("a template without labels left %v", app.Spec.Labels)
	}
	before := w.everything()
	for patch, field := range map[string]string{
		`{"edge":{"allow":["example.com"]}}`:                                 "edge.allowedCIDRs",
		`{"edge":{"disallow":["203.0.113.0/24","192.0.2.1"]}}`:               "edge.allowedCIDRs",
		`{"edge":{"maxBodyMiB":-1}}`:                                         "edge.maxBodyMiB",
		`{"edge":{"answerTimeoutSeconds":4000}}`:                             "edge.answerTimeoutSeconds",
		`{"edge":{"maintenanceMessage":"` + strings.Repeat("x", 501) + `"}}`: "edge.maintenanceMessage",
	} {
		if p := w.refused(http.MethodPatch, w.path("shop"), patch); p.Field != field || p.Fix == "" {
			t.Errorf("%.60s: got %+v", patch, p)
		}
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("a refusal changed something:\n%s", diff)
	}
}

func TestARestartOfOneComponentLeavesTheOthersAndOutlivesATemplate(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	body := map[string]any{"template": map[string]any{"components": []any{component("web", image), map[string]any{"name": "worker", "image": image}}}}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	must[any](w, http.MethodPost, w.path("shop")+"/restart", map[string]any{"components": []string{"web"}})
	body["formation"] = []any{map[string]any{"name": "web", "count": 2, "ocus": 1}}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	app := w.app("shop")
	if app.Spec.RestartedAt != nil || len(app.Spec.Formation) != 1 {
		t.Fatalf("got %+v", app.Spec)
	}
	if web := app.Spec.Formation[0]; web.Count != 2 || web.RestartedAt == nil || !web.RestartedAt.Time.Equal(w.clock.Now().Truncate(time.Second)) {
		t.Errorf("got %+v, want a restart now that a template does not forget", web)
	}
	if p := w.refused(http.MethodPost, w.path("shop")+"/restart", `{"components":["wbe"]}`); p.Field != "components" || !strings.Contains(p.Fix, "web, worker") {
		t.Errorf("got %+v", p)
	}
	must[any](w, http.MethodPost, w.path("shop")+"/restart", nil)
	if w.app("shop").Spec.RestartedAt == nil {
		t.Error("a restart of all was not asked for")
	}
}

func TestImagesOfSidecarsArePinned(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	beside, digest := w.push("shop/log:1", "")
	web := component("web", image)
	web["sidecars"] = []any{map[string]any{"name": "log", "image": beside}}
	body := map[string]any{"template": map[string]any{"components": []any{web}}}
	must[any](w, http.MethodPut, w.path("shop")+"/template", body)
	if got := w.app("shop").Spec.Template.Components[0].Sidecars[0].Image; !strings.HasSuffix(got, "@"+digest) {
		t.Errorf("got %s, want the image by its digest %s", got, digest)
	}
	web["sidecars"] = []any{map[string]any{"name": "log", "image": registryAs + "/shop/none:1"}}
	if p := w.refused(http.MethodPut, w.path("shop")+"/template", body); p.Field != "components.web.sidecars.log.image" {
		t.Errorf("got %+v", p)
	}
	// A deploy of the component leaves its sidecar.
	next, _ := w.push("shop/web:2", "")
	must[any](w, http.MethodPost, w.path("shop")+"/deploy", map[string]any{"images": map[string]string{"web": next}})
	if got := w.app("shop").Spec.Template.Components[0].Sidecars[0].Image; !strings.HasSuffix(got, "@"+digest) {
		t.Errorf("a deploy made %s of the sidecar", got)
	}
}

func TestTheHistoryOfConfigTellsNamesAndNeverASecretsValue(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "")
	const hush = "correct-horse"
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	must[any](w, http.MethodPatch, w.path("shop"), `{"config":{"LOG_LEVEL":"info"}}`)
	w.released("shop", 1, v1alpha1.ReleaseSuperseded)
	must[any](w, http.MethodPatch, w.path("shop")+"/secrets", map[string]any{"secrets": map[string]string{"API_KEY": hush, "OTHER": "x"}})
	w.released("shop", 2, v1alpha1.ReleaseSuperseded)
	must[any](w, http.MethodPatch, w.path("shop"), `{"config":{"LOG_LEVEL":"debug"}}`)
	must[any](w, http.MethodPatch, w.path("shop")+"/secrets", map[string]any{"secrets": map[string]any{"API_KEY": hush + "!", "OTHER": nil}})
	w.released("shop", 3, v1alpha1.ReleaseLive)

	third := []apiclient.ConfigChange{
		{Key: "API_KEY", What: "changed", Secret: true}, {Key: "LOG_LEVEL", What: "changed", Old: "info", New: "debug"}, {Key: "OTHER", What: "removed", Secret: true},
	}
	history := must[apiclient.List[apiclient.ConfigDiff]](w, http.MethodGet, w.path("shop")+"/config/history?values=1", nil)
	want := [][]apiclient.ConfigChange{
		third,
		{{Key: "API_KEY", What: "added", Secret: true}, {Key: "OTHER", What: "added", Secret: true}},
		{{Key: "LOG_LEVEL", What: "added", New: "info"}},
	}
	var got [][]apiclient.ConfigChange
	for _, diff := range history.Items {
		got = append(got, diff.Changes)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := must[apiclient.ConfigDiff](w, http.MethodGet, w.path("shop")+"/config/diff?values=1", nil); !cmp.Equal(diff.Changes, third) || diff.From != 2 || diff.Version != 3 {
		t.Errorf("without versions: got %+v", diff)
	}
	if diff := must[apiclient.ConfigDiff](w, http.MethodGet, w.path("shop")+"/config/diff?from=v1&to=2", nil); len(diff.Changes) != 2 || diff.Changes[0].New != "" {
		t.Errorf("from v1 to v2: got %+v", diff)
	}
	for _, path := range []string{"/config/history?values=1", "/config/diff?from=1&values=1", "/diagnosis"} {
		if _, raw := w.do(http.MethodGet, w.path("shop")+path, nil); strings.Contains(string(raw), hush) {
			t.Errorf("%s tells a secret's value: %s", path, raw)
		}
	}
	if p := w.refused(http.MethodGet, w.path("shop")+"/config/diff?from=9", nil); p.Status != http.StatusNotFound || p.Field != "from" {
		t.Errorf("got %+v", p)
	}
}
