package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Bad input is refused with its field and a fix, and nothing is written.
func TestRefusalsNameTheFieldAndChangeNothing(t *testing.T) {
	w := newWorld(t)
	image, _ := w.push("shop/web:1", "1000")
	must[any](w, http.MethodPut, w.path("shop")+"/template", put(image))
	must[any](w, http.MethodPut, w.path("other")+"/template", put(image))
	before := w.everything()

	missing := registryAs + "/shop/none:1"
	withPort := func(port map[string]any) map[string]any {
		c := component("web", image)
		c["ports"] = []any{port}
		return map[string]any{"template": map[string]any{"components": []any{c}}}
	}
	formation := func(count, ocus int) map[string]any {
		return map[string]any{"formation": []any{map[string]any{"name": "web", "count": count, "ocus": ocus}}}
	}
	big := put(image)
	big["formation"] = []any{map[string]any{"name": "web", "count": 3, "ocus": 10}}
	withSecrets := func(body map[string]any, secrets map[string]string) map[string]any {
		body = maps.Clone(body)
		body["secrets"] = secrets
		return body
	}
	withConfig := map[string]any{"template": map[string]any{"components": []any{component("web", image)}, "config": map[string]string{"KEY": "plain"}}}
	manySecrets := map[string]string{}
	for i := range 9 {
		manySecrets[fmt.Sprintf("KEY_%d", i)] = strings.Repeat("x", 60<<10)
	}
	tests := map[string]struct {
		method, path string
		body         any
		status       int
		field        string
	}{
		"an image that does not exist":      {http.MethodPut, w.path("shop") + "/template", put(missing), 422, "components.web.image"},
		"a new app whose image is missing":  {http.MethodPut, w.path("fresh") + "/template", put(missing), 422, "components.web.image"},
		"a reference that is no image":      {http.MethodPut, w.path("shop") + "/template", put("UPPER/case:1"), 422, "components.web.image"},
		"a registry that does not answer":   {http.MethodPut, w.path("shop") + "/template", put("127.0.0.1:1/a/b:1"), 503, "components.web.image"},
		"no components":                     {http.MethodPut, w.path("shop") + "/template", map[string]any{"template": map[string]any{"components": []any{}}}, 422, "components"},
		"a component's bad name":            {http.MethodPut, w.path("shop") + "/template", map[string]any{"template": map[string]any{"components": []any{component("Web!", image)}}}, 422, "components.Web!"},
		"two components of one name":        {http.MethodPut, w.path("shop") + "/template", map[string]any{"template": map[string]any{"components": []any{component("web", image), component("web", image)}}}, 422, "components.web"},
		"a host outside the tenant":         {http.MethodPut, w.path("shop") + "/template", withPort(map[string]any{"name": "http", "port": 80, "expose": true, "host": "shop.example.com"}), 422, "components.web.ports.http.host"},
		"a host that another app has":       {http.MethodPut, w.path("shop") + "/template", withPort(map[string]any{"name": "http", "port": 80, "expose": true, "host": "other." + w.tenant + "." + testDomain}), 409, "components.web.ports.http.host"},
		"a port that is none":               {http.MethodPut, w.path("shop") + "/template", withPort(map[string]any{"name": "http", "port": 99999}), 422, "components.web.ports.http.port"},
		"a field that does not exist":       {http.MethodPut, w.path("shop") + "/template", `{"template":{"components":[]},"formatoin":[]}`, 400, "formatoin"},
		"a wrong type":                      {http.MethodPut, w.path("shop") + "/template", `{"template":{"components":7}}`, 400, "template.components"},
		"no JSON at all":                    {http.MethodPut, w.path("shop") + "/template", `components:`, 400, ""},
		"two documents":                     {http.MethodPost, w.path("shop") + "/rollback", `{} {}`, 400, ""},
		"a body that is too large":          {http.MethodPut, w.path("shop") + "/template", `{"reason":"` + strings.Repeat("x", 2<<20) + `"}`, 413, ""},
		"secrets in the template":           {http.MethodPut, w.path("shop") + "/template", `{"template":{"components":[],"configSecret":"cluster-access"}}`, 422, "configSecret"},
		"a platform variable":               {http.MethodPatch, w.path("shop"), map[string]any{"config": map[string]string{"PORT": "1"}}, 422, "config.PORT"},
		"a variable's bad name":             {http.MethodPatch, w.path("shop"), map[string]any{"config": map[string]string{"A-B": "1"}}, 422, "config.A-B"},
		"0 OCUs":                            {http.MethodPatch, w.path("shop"), formation(1, 0), 422, "components.web.ocus"},
		"10,000 OCUs":                       {http.MethodPatch, w.path("shop"), formation(1, 10000), 422, "components.web.ocus"},
		"a negative count":                  {http.MethodPatch, w.path("shop"), formation(-1, 1), 422, "components.web.count"},
		"more than the plan has":            {http.MethodPatch, w.path("shop"), formation(3, 10), 422, "formation"},
		"a template that is over the plan":  {http.MethodPut, w.path("shop") + "/template", big, 422, "formation"},
		"a component that is not there":     {http.MethodPatch, w.path("shop"), `{"formation":[{"name":"wbe","count":1}]}`, 422, "component"},
		"deploying to a missing component":  {http.MethodPost, w.path("shop") + "/deploy", map[string]any{"images": map[string]string{"wbe": image}}, 422, "images"},
		"deploying a missing image":         {http.MethodPost, w.path("shop") + "/deploy", map[string]any{"images": map[string]string{"web": missing}}, 422, "components.web.image"},
		"deploying nothing":                 {http.MethodPost, w.path("shop") + "/deploy", `{"images":{}}`, 422, "images"},
		"an app's bad name":                 {http.MethodPost, "/tenants/" + w.tenant + "/apps", `{"name":"My_App"}`, 422, "name"},
		"an app's reserved name":            {http.MethodPost, "/tenants/" + w.tenant + "/apps", `{"name":"www"}`, 422, "name"},
		"an app that exists":                {http.MethodPost, "/tenants/" + w.tenant + "/apps", `{"name":"shop"}`, 409, "name"},
		"a template for a bad name":         {http.MethodPut, w.path("My_App") + "/template", put(image), 422, "app"},
		"a tenant's name that climbs":       {http.MethodGet, "/tenants/..%2f..", nil, 404, "tenant"},
		"a tenant's name with a percent":    {http.MethodGet, "/tenants/a%25b", nil, 404, "tenant"},
		"an app's name that climbs":         {http.MethodGet, "/tenants/" + w.tenant + "/apps/..%2F..%2Fsecrets", nil, 404, "app"},
		"an app of no tenant":               {http.MethodPost, "/tenants/nobody/apps", `{"name":"shop"}`, 404, "tenant"},
		"a tenant's bad name":               {http.MethodPost, "/tenants", map[string]string{"name": "Acme", "plan": testPlan}, 422, "name"},
		"a tenant on no plan":               {http.MethodPost, "/tenants", map[string]string{"name": "acme-x"}, 422, "plan"},
		"a tenant on an unknown plan":       {http.MethodPost, "/tenants", map[string]string{"name": "acme-x", "plan": "huge"}, 422, "plan"},
		"a tenant in a region of nobody":    {http.MethodPost, "/tenants", map[string]string{"name": "acme-x", "plan": testPlan, "region": "mars"}, 422, "region"},
		"a list of no releases":             {http.MethodGet, w.path("shop") + "/releases?limit=0", nil, 400, "limit"},
		"a list of too many releases":       {http.MethodGet, w.path("shop") + "/releases?limit=1001", nil, 400, "limit"},
		"secrets that are too large":        {http.MethodPut, w.path("fresh") + "/template", withSecrets(put(image), manySecrets), 422, "secrets"},
		"a new app's secret in its config":  {http.MethodPut, w.path("fresh") + "/template", withSecrets(withConfig, map[string]string{"KEY": "x"}), 409, "config.KEY"},
		"an app's secret in its config":     {http.MethodPut, w.path("shop") + "/template", withSecrets(withConfig, map[string]string{"KEY": "x"}), 409, "config.KEY"},
		"secrets of an app over the plan":   {http.MethodPut, w.path("shop") + "/template", withSecrets(big, map[string]string{"NEW": "x"}), 422, "formation"},
		"a new app over the plan":           {http.MethodPut, w.path("fresh") + "/template", withSecrets(big, map[string]string{"NEW": "x"}), 422, "formation"},
		"a tenant that exists":              {http.MethodPost, "/tenants", map[string]string{"name": w.tenant, "plan": testPlan}, 409, "name"},
		"rolling back to nothing":           {http.MethodPost, w.path("shop") + "/rollback", `{}`, 409, "version"},
		"rolling back to a missing release": {http.MethodPost, w.path("shop") + "/rollback", `{"version":9}`, 404, "version"},
		"a secret's bad name":               {http.MethodPatch, w.path("shop") + "/secrets", `{"secrets":{"A B":"x"}}`, 422, "secrets.A B"},
		"no secret at all":                  {http.MethodPatch, w.path("shop") + "/secrets", `{"secrets":{}}`, 422, "secrets"},
		"a run without a release":           {http.MethodPost, w.path("shop") + "/run", `{"command":["ls"]}`, 503, "tenant"},
		"a run without a command":           {http.MethodPost, w.path("shop") + "/run", `{}`, 422, "command"},
		"an address that is none":           {http.MethodGet, "/nonsense", nil, 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sub := *w
			sub.t = t
			p := sub.refused(test.method, test.path, test.body)
			if p.Status != test.status || p.Field != test.field {
				t.Errorf("got %d %q (%s), want %d %q", p.Status, p.Field, p.Detail, test.status, test.field)
			}
			if p.Fix == "" {
				t.Errorf("no fix is named: %s", p.Detail)
			}
			if diff := cmp.Diff(before, sub.everything()); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
}
