package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// fakePortal speaks the JSON API from memory: one tenant named acme whose apps go live
// at once, except with an image whose tag is broken.
type fakePortal struct {
	http.ServeMux
	mu       sync.Mutex
	tenants  map[string]apiclient.Tenant
	hosts    map[string]*apiclient.HostCluster
	apps     map[string]*apiclient.App
	releases map[string][]apiclient.Release
	secrets  map[string][]string
	files    []byte // the archive of the last upload
	folder   string // where it went
}

func newFakePortal() *fakePortal {
	p := &fakePortal{
		tenants:  map[string]apiclient.Tenant{"acme": {Name: "acme", Plan: "small", Ready: true, PlanOCUs: 20, HostSuffix: "acme.berth.localhost"}},
		hosts:    fakeHosts(),
		apps:     map[string]*apiclient.App{},
		releases: map[string][]apiclient.Release{},
		secrets:  map[string][]string{},
	}
	app := "/v1/tenants/acme/apps/{app}"
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /v1/me":                    func(*http.Request) (any, error) { return apiclient.Principal{Name: "olga", Operator: true}, nil },
		"GET /v1/plans":                 p.plans,
		"GET /v1/regions":               p.regions,
		"GET /v1/hostclusters":          p.listHosts,
		"GET /v1/hostclusters/{host}":   p.host,
		"PATCH /v1/hostclusters/{host}": p.patchHost,
		"GET /v1/tenants":               p.listTenants,
		"POST /v1/tenants":              p.createTenant,
		"GET /v1/tenants/{tenant}":      p.tenant,
		"GET /v1/tenants/acme/apps":     p.listApps,
		"GET " + app:                    p.app,
		"PUT " + app + "/template":      p.put,
		"PATCH " + app:                  p.patch,
		"POST " + app + "/restart":      p.restart,
		"GET " + app + "/releases":      p.listReleases,
		"GET " + app + "/secrets":       p.listSecrets,
		"GET " + app + "/diagnosis":     p.diagnosis,
		"GET " + app + "/config/history": func(r *http.Request) (any, error) {
			return apiclient.List[apiclient.ConfigDiff]{Items: []apiclient.ConfigDiff{configDiff(r)}}, nil
		},
		"GET " + app + "/config/diff": func(r *http.Request) (any, error) { return configDiff(r), nil },
		"PATCH " + app + "/secrets":   p.patchSecrets,
		"GET /v1/tenants/acme/kubeconfig": func(*http.Request) (any, error) {
			return apiclient.Kubeconfig{Tenant: "acme", Server: "https://abcd1234.k8s.example.com", CA: "a CA"}, nil
		},
		"POST /v1/tenants/acme/kubeconfig/token": func(*http.Request) (any, error) {
			return map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": map[string]string{"token": "t"}}, nil
		},
	} {
		p.HandleFunc(pattern, p.answer(h))
	}
	p.HandleFunc("GET "+app+"/releases/latest/watch", p.watch)
	p.HandleFunc("GET "+app+"/logs", p.logs)
	p.HandleFunc("GET "+app+"/access", p.access)
	p.HandleFunc("POST "+app+"/run", p.run)
	p.HandleFunc("GET "+app+"/forward", p.forward)
	p.HandleFunc("GET "+app+"/upload", p.upload)
	p.HandleFunc("GET "+app+"/download", p.download)
	p.HandleFunc("DELETE /v1/tenants/{tenant}", p.deleteTenant)
	p.HandleFunc("DELETE "+app, p.deleteApp)
	p.certRoutes()
	p.domainRoutes()
	return p
}

func (p *fakePortal) answer(h func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		out, err := h(r)
		if r.Header.Get("Authorization") != "Bearer good" {
			err = &apiclient.Problem{Status: http.StatusUnauthorized, Detail: "the token is not valid (any more)"}
		}
		if problem, ok := err.(*apiclient.Problem); ok { //nolint:errorlint // made here
			w.WriteHeader(problem.Status)
			out = problem
		}
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (p *fakePortal) plans(*http.Request) (any, error) {
	return apiclient.List[apiclient.Plan]{Items: []apiclient.Plan{{Name: "small", OCUs: 20, Storage: "20Gi"}}}, nil
}

func (p *fakePortal) listTenants(r *http.Request) (any, error) {
	var out apiclient.List[apiclient.Tenant]
	for _, t := range p.tenants {
		if owner := r.URL.Query().Get("organization"); owner == "" || owner == t.Organization {
			out.Items = append(out.Items, t)
		}
	}
	slices.SortFunc(out.Items, func(a, b apiclient.Tenant) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (p *fakePortal) createTenant(r *http.Request) (any, error) {
	var in apiclient.NewTenant
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	if in.Plan != "small" {
		return nil, &apiclient.Problem{Status: 422, Field: "plan", Detail: "there is no plan named " + in.Plan, Fix: "Choose one of: small."}
	}
	if in.Region != "" && in.Region != "eu" {
		return nil, &apiclient.Problem{Status: 422, Field: "region", Detail: "no cluster serves the region " + in.Region, Fix: "Choose one of: eu; or name none."}
	}
	p.tenants[in.Name] = apiclient.Tenant{
		Name: in.Name, Plan: in.Plan, Region: in.Region, Organization: in.Organization, Ready: true, PlanOCUs: 20,
	}
	return p.tenants[in.Name], nil
}

func (p *fakePortal) tenant(r *http.Request) (any, error) {
	t, ok := p.tenants[r.PathValue("tenant")]
	if !ok {
		return nil, &apiclient.Problem{Status: 404, Field: "tenant", Detail: "there is no such tenant"}
	}
	return t, nil
}

func (p *fakePortal) deleteTenant(_ http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tenants, r.PathValue("tenant"))
}

func (p *fakePortal) deleteApp(_ http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.apps, r.PathValue("app"))
}

// restart tries a failed release again and changes nothing that can be seen of a live one.
func (p *fakePortal) restart(r *http.Request) (any, error) {
	if _, err := p.app(r); err != nil {
		return nil, err
	}
	a := p.apps[r.PathValue("app")]
	out := apiclient.Changed{Changed: true, App: *a}
	if a.Live != a.Latest {
		p.deploy(a.Name, a.Template)
	}
	return out, nil
}

func (p *fakePortal) listApps(r *http.Request) (any, error) {
	out := apiclient.List[apiclient.App]{Items: []apiclient.App{}}
	for _, a := range p.apps {
		key, value, _ := strings.Cut(r.URL.Query().Get("label"), "=")
		if a.Labels[key] == value {
			out.Items = append(out.Items, *a)
		}
	}
	return out, nil
}

func (p *fakePortal) app(r *http.Request) (any, error) {
	a, ok := p.apps[r.PathValue("app")]
	if !ok {
		return nil, &apiclient.Problem{Status: 404, Field: "app", Detail: "there is no such app", Fix: "See: berth apps"}
	}
	return a, nil
}

func (p *fakePortal) put(r *http.Request) (any, error) {
	var in apiclient.TemplatePut
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	name, dryRun := r.PathValue("app"), r.URL.Query().Get("dryRun") != ""
	for _, c := range in.Template.Components {
		if strings.HasSuffix(c.Image, ":none") {
			return nil, &apiclient.Problem{Status: 422, Field: "components." + c.Name + ".image", Detail: "the image does not exist", Fix: "Push it first."}
		}
	}
	old, raw := "", mustJSON(in.Template)
	a := p.apps[name]
	if a != nil {
		old = mustJSON(a.Template)
	}
	out := apiclient.Changed{Changed: old != raw, DryRun: dryRun, OCUs: 1, PlanOCUs: 20}
	if out.Changed {
		out.Changes = []apiclient.FieldChange{{Field: "components.web.image", New: in.Template.Components[0].Image}}
	}
	if dryRun || !out.Changed {
		if a != nil {
			out.App = *a
		}
		return out, nil
	}
	out.App = *p.deploy(name, &in.Template)
	return out, nil
}

// deploy makes a release of a template.
func (p *fakePortal) deploy(name string, template *v1alpha1.AppTemplate) *apiclient.App {
	a := p.apps[name]
	if a == nil {
		a = &apiclient.App{Name: name, Tenant: "acme", URL: "https://" + name + ".acme.berth.localhost"}
		p.apps[name] = a
	}
	a.Template = template
	a.Generation++
	a.Latest++
	a.Components = nil
	for _, c := range template.Components {
		a.Components = append(a.Components, apiclient.Component{Name: c.Name, Count: 1, Ready: 1, OCUs: 1})
	}
	rel := apiclient.Release{App: name, Version: a.Latest, Phase: string(v1alpha1.ReleaseLive), Template: template, Summary: "deployed"}
	if strings.HasSuffix(template.Components[0].Image, ":broken") {
		rel = failedRelease(name, a.Latest)
	} else {
		a.Live = a.Latest
	}
	p.releases[name] = append(p.releases[name], rel)
	return a
}

func failedRelease(app string, version int64) apiclient.Release {
	return apiclient.Release{
		App: app, Version: version, Phase: string(v1alpha1.ReleaseFailed),
		Failure: &v1alpha1.ReleaseFailure{
			Component: "web", Reason: v1alpha1.ReasonProcessExits, Message: "it ended with exit code 1",
			Hint: "Set DATABASE_URL with: berth config:set", LogTail: "no such table: carts\n",
		},
	}
}

func (p *fakePortal) patch(r *http.Request) (any, error) {
	var in apiclient.AppPatch
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	if _, err := p.app(r); err != nil {
		return nil, err
	}
	a := p.apps[r.PathValue("app")]
	if err := patchSettings(a, in); err != nil {
		return nil, err
	}
	out := apiclient.Changed{Changed: true, PlanOCUs: 20}
	for _, f := range in.Formation {
		for i := range a.Components {
			if a.Components[i].Name == f.Name && f.Count != nil {
				a.Components[i].Count = *f.Count
			}
			if a.Components[i].Name == f.Name && f.OCUs != nil {
				a.Components[i].OCUs = *f.OCUs
			}
			out.OCUs += a.Components[i].Count * a.Components[i].OCUs
		}
	}
	if out.OCUs > 20 {
		return nil, &apiclient.Problem{Status: 422, Field: "formation", Detail: "the plan allows 20 OCUs", Fix: "Choose a larger plan."}
	}
	out.App = *a
	return out, nil
}

func (p *fakePortal) listReleases(r *http.Request) (any, error) {
	return apiclient.List[apiclient.Release]{Items: p.releases[r.PathValue("app")]}, nil
}

func (p *fakePortal) listSecrets(r *http.Request) (any, error) {
	if _, err := p.app(r); err != nil {
		return nil, err
	}
	return apiclient.Secrets{Names: p.secrets[r.PathValue("app")]}, nil
}

func (p *fakePortal) patchSecrets(r *http.Request) (any, error) {
	var in apiclient.SecretsPatch
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	name := r.PathValue("app")
	for key := range in.Secrets {
		p.secrets[name] = append(p.secrets[name], key)
	}
	return apiclient.Changed{Changed: true, App: *p.deploy(name, p.apps[name].Template)}, nil
}

func (p *fakePortal) watch(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := r.PathValue("app")
	releases := p.releases[name]
	last := releases[len(releases)-1]
	fmt.Fprintf(w, "event: release\ndata: %s\n\n", mustJSON(apiclient.ReleaseEvent{App: *p.apps[name], Release: &last, Done: true}))
}

func (p *fakePortal) logs(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "%s\n\n%s\n", mustJSON(apiclient.LogLine{Component: "web", Process: "web.aaaaa", Line: "hello"}),
		mustJSON(apiclient.LogLine{Component: "db", Process: "db.bbbbb", Line: "ready"}))
}

func (p *fakePortal) run(w http.ResponseWriter, r *http.Request) {
	var in apiclient.Run
	_ = json.NewDecoder(r.Body).Decode(&in)
	code := int32(0)
	if in.Command[0] == "false" {
		code = 7
	}
	fmt.Fprintln(w, mustJSON(apiclient.RunEvent{Process: "run.ccccc"}))
	fmt.Fprintln(w, mustJSON(apiclient.RunEvent{Output: []byte(strings.Join(in.Command, " ") + "\n")}))
	fmt.Fprintln(w, mustJSON(apiclient.RunEvent{ExitCode: &code}))
}

func mustJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
