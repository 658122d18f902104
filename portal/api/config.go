package api

import (
	"maps"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) configRoutes(r chi.Router) {
	r.Get(appPath+"/config", a.short(VerbRead, a.getConfig))
	r.Get(appPath+"/secrets", a.short(VerbRead, a.getSecrets))
	r.Patch(appPath+"/secrets", a.short(VerbWrite, a.patchSecrets))
}

func (a *API) getConfig(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	app, err := a.Service.App(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	out := apiclient.Config{Config: map[string]string{}}
	if app.Spec.Template != nil {
		maps.Copy(out.Config, app.Spec.Template.Config)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) getSecrets(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	names, err := a.Service.Secrets(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{}
	}
	writeJSON(w, http.StatusOK, apiclient.Secrets{Names: names})
	return nil
}

func (a *API) patchSecrets(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.SecretsPatch
	if err := decode(r, &in); err != nil {
		return err
	}
	change, err := a.Service.PatchSecrets(r.Context(), tenant, name, in.Secrets)
	return changed(w, change, tenant, err)
}
