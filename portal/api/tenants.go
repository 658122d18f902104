package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) tenantRoutes(r chi.Router) {
	r.Get("/tenants", a.short(VerbOperate, a.listTenants))
	r.Post("/tenants", a.short(VerbOperate, a.createTenant))
	r.Get("/tenants/{tenant}", a.short(VerbRead, a.getTenant))
	r.Delete("/tenants/{tenant}", a.short(VerbOperate, a.deleteTenant))
}

func (a *API) listTenants(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenants, err := a.Service.Tenants(r.Context(), r.URL.Query().Get("organization"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(tenants, tenantOf))
	return nil
}

func (a *API) createTenant(w http.ResponseWriter, r *http.Request, _ Principal) error {
	var in apiclient.NewTenant
	if err := decode(r, &in); err != nil {
		return err
	}
	t, err := a.Service.CreateTenant(r.Context(), in.Name, v1alpha1.TenantSpec{
		DisplayName: in.DisplayName, Plan: in.Plan, Region: in.Region, Organization: in.Organization,
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, tenantOf(t))
	return nil
}

func (a *API) getTenant(w http.ResponseWriter, r *http.Request, _ Principal) error {
	t, err := a.Service.Tenant(r.Context(), chi.URLParam(r, "tenant"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, tenantOf(t))
	return nil
}

func (a *API) deleteTenant(w http.ResponseWriter, r *http.Request, _ Principal) error {
	if err := a.Service.DeleteTenant(r.Context(), chi.URLParam(r, "tenant")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
