package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) planRoutes(r chi.Router) {
	r.Get("/plans", a.short(VerbRead, a.listPlans))
}

func (a *API) listPlans(w http.ResponseWriter, r *http.Request, _ Principal) error {
	plans, err := a.Service.Plans(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(plans, func(p *v1alpha1.Plan) apiclient.Plan {
		return apiclient.Plan{Name: p.Name, DisplayName: p.Spec.DisplayName, OCUs: p.Spec.OCUs, Storage: p.Spec.Storage.String()}
	}))
	return nil
}
