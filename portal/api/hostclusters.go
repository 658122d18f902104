package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
	"github.com/berth-dev/berth/tenancy"
)

func (a *API) hostClusterRoutes(r chi.Router) {
	r.Get("/regions", a.short(VerbRead, a.listRegions))
	r.Get("/hostclusters", a.short(VerbOperate, a.listHostClusters))
	r.Get("/hostclusters/{host}", a.short(VerbOperate, a.getHostCluster))
	r.Patch("/hostclusters/{host}", a.short(VerbOperate, a.patchHostCluster))
}

func (a *API) listRegions(w http.ResponseWriter, r *http.Request, _ Principal) error {
	regions, err := a.Service.Regions(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(regions, func(region *tenancy.Region) apiclient.Region { return apiclient.Region(*region) }))
	return nil
}

func (a *API) listHostClusters(w http.ResponseWriter, r *http.Request, _ Principal) error {
	hosts, err := a.Service.Hosts(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(hosts, hostClusterOf))
	return nil
}

func (a *API) getHostCluster(w http.ResponseWriter, r *http.Request, _ Principal) error {
	host, err := a.Service.Host(r.Context(), chi.URLParam(r, "host"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, hostClusterOf(host))
	return nil
}

func (a *API) patchHostCluster(w http.ResponseWriter, r *http.Request, _ Principal) error {
	var in apiclient.HostClusterPatch
	if err := decode(r, &in); err != nil {
		return err
	}
	name := chi.URLParam(r, "host")
	if in.Cordoned == nil {
		return a.getHostCluster(w, r, Principal{})
	}
	host, err := a.Service.Cordon(r.Context(), name, *in.Cordoned)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, hostClusterOf(host))
	return nil
}

func hostClusterOf(h *service.Host) apiclient.HostCluster {
	out := apiclient.HostCluster{
		Name: h.Name, Region: h.Spec.Region, Zones: h.Spec.Zones, Cordoned: h.Spec.Cordoned,
		PoolSize: h.Spec.Pool.Size, MaxClusters: h.Spec.Pool.MaxClusters,
		Available: h.Status.Available, Starting: h.Status.Starting, Bound: h.Status.Bound,
		CapacityOCUs: h.Status.CapacityOCUs, FreeOCUs: h.Status.FreeOCUs,
		ControllerName: h.Spec.ControllerName, EdgeAddress: h.Spec.EdgeAddress,
		Ready:      ready(h.Status.Conditions, h.Status.ObservedGeneration, h.Generation),
		Conditions: conditions(h.Status.Conditions),
	}
	if h.Skipped != nil {
		out.Skipped = &apiclient.Skipped{Reason: h.Skipped.Reason, Message: h.Skipped.Message}
	}
	return out
}
