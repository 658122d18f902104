package api

import (
	"maps"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) configRoutes(r chi.Router) {
	r.Get(appPath+"/config", a.short(VerbRead, a.getConfig))
	r.Get(appPath+"/config/history", a.short(VerbRead, a.configHistory))
	r.Get(appPath+"/config/diff", a.short(VerbRead, a.configDiff))
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

func (a *API) configHistory(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	limit, err := releaseLimit(r)
	if err != nil {
		return err
	}
	values, err := flag(r, "values")
	if err != nil {
		return err
	}
	history, err := a.Service.ConfigHistory(r.Context(), tenant, name, limit, values)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(history, configDiffOf))
	return nil
}

func (a *API) configDiff(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	values, err := flag(r, "values")
	if err != nil {
		return err
	}
	var versions [2]int64
	for i, key := range []string{"from", "to"} {
		if text := r.URL.Query().Get(key); text != "" {
			if versions[i], err = versionOf(key, text); err != nil {
				return err
			}
		}
	}
	diff, err := a.Service.ConfigBetween(r.Context(), tenant, name, versions[0], versions[1], values)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, configDiffOf(diff))
	return nil
}

func configDiffOf(d *service.ConfigDiff) apiclient.ConfigDiff {
	out := apiclient.ConfigDiff{
		From: d.From, Version: d.To, Phase: releaseOf(d.Release).Phase, Summary: d.Release.Spec.Summary,
		CreatedAt: d.Release.CreationTimestamp.Time, Changes: make([]apiclient.ConfigChange, len(d.Changes)), SecretsGone: d.SecretsGone,
	}
	for i, change := range d.Changes {
		out.Changes[i] = apiclient.ConfigChange(change)
	}
	return out
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
