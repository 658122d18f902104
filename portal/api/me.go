package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) meRoutes(r chi.Router) {
	r.Get("/me", a.short(VerbRead, func(w http.ResponseWriter, _ *http.Request, who Principal) error {
		writeJSON(w, http.StatusOK, apiclient.Principal{Name: who.Name, Operator: who.Operator})
		return nil
	}))
}
