package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) kubeconfigRoutes(r chi.Router) {
	r.Get("/tenants/{tenant}/kubeconfig", a.short(VerbRead, a.kubeconfig))
	r.Post("/tenants/{tenant}/kubeconfig/token", a.short(VerbWrite, a.kubeconfigToken))
}

func (a *API) kubeconfig(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant := chi.URLParam(r, "tenant")
	server, ca, err := a.Service.KubeconfigServer(r.Context(), tenant)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, apiclient.Kubeconfig{Tenant: tenant, Server: server, CA: string(ca)})
	return nil
}

func (a *API) kubeconfigToken(w http.ResponseWriter, r *http.Request, who Principal) error {
	cred, err := a.Service.MemberToken(r.Context(), chi.URLParam(r, "tenant"), who.account())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cred)
	return nil
}
