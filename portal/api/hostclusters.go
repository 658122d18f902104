package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) hostClusterRoutes(r chi.Router) {
	r.Get("/hostclusters", a.short(VerbOperate, a.listHostClusters))
}

func (a *API) listHostClusters(w http.ResponseWriter, r *http.Request, _ Principal) error {
	hosts, err := a.Service.HostClusters(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(hosts, func(h *v1alpha1.HostCluster) apiclient.HostCluster {
		return apiclient.HostCluster{
			Name: h.Name, Region: h.Spec.Region, PoolSize: h.Spec.Pool.Size,
			Available: h.Status.Available, Starting: h.Status.Starting, Bound: h.Status.Bound,
			Ready:      ready(h.Status.Conditions, h.Status.ObservedGeneration, h.Generation),
			Conditions: conditions(h.Status.Conditions),
		}
	}))
	return nil
}
