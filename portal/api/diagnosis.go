package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) diagnosisRoutes(r chi.Router) {
	r.Get(appPath+"/diagnosis", a.short(VerbRead, a.diagnose))
}

func (a *API) diagnose(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	found, err := a.Service.Diagnose(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, apiclient.Diagnosis{
		Summary: found.Summary, Healthy: found.Healthy, Version: found.Version, Since: found.Since,
		Components: list(found.Components, func(c *apps.ComponentHealth) apiclient.ComponentHealth { return apiclient.ComponentHealth(*c) }).Items,
		Findings:   list(found.Findings, func(f *apps.Finding) apiclient.Finding { return apiclient.Finding(*f) }).Items,
		Changes:    list(found.Changes, func(c *apps.TemplateChange) apiclient.TemplateChange { return apiclient.TemplateChange(*c) }).Items,
		Next:       append([]string{}, found.Next...),
	})
	return nil
}
