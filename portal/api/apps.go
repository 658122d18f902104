package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

// appPath is where an app is.
const appPath = "/tenants/{tenant}/apps/{app}"

func (a *API) appRoutes(r chi.Router) {
	r.Get("/tenants/{tenant}/apps", a.short(VerbRead, a.listApps))
	r.Post("/tenants/{tenant}/apps", a.short(VerbWrite, a.createApp))
	r.Get(appPath, a.short(VerbRead, a.getApp))
	r.Patch(appPath, a.short(VerbWrite, a.patchApp))
	r.Delete(appPath, a.short(VerbWrite, a.deleteApp))
	r.Put(appPath+"/template", a.short(VerbWrite, a.putTemplate))
	r.Post(appPath+"/deploy", a.short(VerbWrite, a.deploy))
	r.Post(appPath+"/restart", a.short(VerbWrite, a.restart))
	r.Get(appPath+"/processes", a.short(VerbRead, a.processes))
}

// target is the tenant and the app in the path.
func target(r *http.Request) (tenant, app string) {
	return chi.URLParam(r, "tenant"), chi.URLParam(r, "app")
}

func (a *API) listApps(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, _ := target(r)
	labels, err := labelsOf(r)
	if err != nil {
		return err
	}
	apps, err := a.Service.Apps(r.Context(), tenant, labels)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(apps, func(app *v1alpha1.App) apiclient.App { return appOf(app, tenant) }))
	return nil
}

// labelsOf reads the labels that a list is restricted to: label=KEY=VALUE, repeatable.
func labelsOf(r *http.Request) (map[string]string, error) {
	labels := map[string]string{}
	for _, text := range r.URL.Query()["label"] {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, &statusError{status: http.StatusBadRequest, field: "label", message: strconv.Quote(text) + " is not KEY=VALUE", fix: "Write it as label=team=shop."}
		}
		labels[key] = value
	}
	return labels, nil
}

func (a *API) createApp(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, _ := target(r)
	var in apiclient.NewApp
	if err := decode(r, &in); err != nil {
		return err
	}
	app, err := a.Service.CreateApp(r.Context(), tenant, in.Name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, appOf(app, tenant))
	return nil
}

func (a *API) getApp(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	app, err := a.Service.App(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, appOf(app, tenant))
	return nil
}

func (a *API) deleteApp(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	if err := a.Service.DeleteApp(r.Context(), tenant, name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (a *API) patchApp(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.AppPatch
	if err := decode(r, &in); err != nil {
		return err
	}
	patch := service.AppPatch{Maintenance: in.Maintenance, Config: in.Config, Labels: in.Labels}
	if in.Edge != nil {
		edge := service.EdgePatch(*in.Edge)
		patch.Edge = &edge
	}
	for _, f := range in.Formation {
		patch.Formation = append(patch.Formation, service.Scale{Component: f.Name, Count: f.Count, OCUs: f.OCUs})
	}
	change, err := a.Service.PatchApp(r.Context(), tenant, name, patch)
	return changed(w, change, tenant, err)
}

func (a *API) putTemplate(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	dryRun, err := flag(r, "dryRun")
	if err != nil {
		return err
	}
	var in apiclient.TemplatePut
	if err := decode(r, &in); err != nil {
		return err
	}
	change, err := a.Service.PutTemplate(r.Context(), tenant, name, service.TemplatePut{
		Template: in.Template, Formation: in.Formation, Secrets: in.Secrets, Labels: in.Labels, Edge: in.Edge,
		DeployTimeoutSeconds: in.DeployTimeoutSeconds, Reason: in.Reason, DryRun: dryRun,
	})
	return changed(w, change, tenant, err)
}

func (a *API) deploy(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.Deploy
	if err := decode(r, &in); err != nil {
		return err
	}
	change, err := a.Service.Deploy(r.Context(), tenant, name, in.Images, in.Reason)
	return changed(w, change, tenant, err)
}

func (a *API) restart(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.Restart
	if r.ContentLength != 0 {
		if err := decode(r, &in); err != nil {
			return err
		}
	}
	change, err := a.Service.Restart(r.Context(), tenant, name, in.Components)
	return changed(w, change, tenant, err)
}

// changed renders what came of a change.
func changed(w http.ResponseWriter, change *service.Change, tenant string, err error) error {
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, changeOf(change, tenant))
	return nil
}

func (a *API) processes(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	processes, err := a.Service.Processes(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(processes, func(p *service.Process) apiclient.Process { return apiclient.Process(*p) }))
	return nil
}
