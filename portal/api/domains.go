package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (a *API) domainRoutes(r chi.Router) {
	const path = "/tenants/{tenant}/domains"
	r.Get(path, a.short(VerbRead, a.listDomains))
	r.Post(path, a.short(VerbWrite, a.addDomain))
	r.Get(path+"/{host}", a.short(VerbRead, a.getDomain))
	r.Delete(path+"/{host}", a.short(VerbWrite, a.removeDomain))
	r.Post(path+"/{host}/check", a.short(VerbWrite, a.checkDomain))
}

// domainTarget is the tenant and the host in the path, as it was typed.
func domainTarget(r *http.Request) (tenant, host string) {
	return chi.URLParam(r, "tenant"), chi.URLParam(r, "host")
}

func (a *API) listDomains(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, _ := domainTarget(r)
	domains, err := a.Service.Domains(r.Context(), tenant)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(domains, func(d *v1alpha1.Domain) apiclient.Domain { return a.domainOf(d, tenant) }))
	return nil
}

func (a *API) addDomain(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, _ := domainTarget(r)
	var in apiclient.NewDomain
	if err := decode(r, &in); err != nil {
		return err
	}
	d, err := a.Service.AddDomain(r.Context(), tenant, v1alpha1.DomainSpec{
		Host: in.Host, App: in.App, Component: in.Component, Port: in.Port, RedirectTo: in.RedirectTo, Certificate: in.Certificate,
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, a.domainOf(d, tenant))
	return nil
}

func (a *API) getDomain(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, host := domainTarget(r)
	d, err := a.Service.FindDomain(r.Context(), tenant, host)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.domainOf(d, tenant))
	return nil
}

func (a *API) checkDomain(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, host := domainTarget(r)
	d, err := a.Service.CheckDomain(r.Context(), tenant, host)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, a.domainOf(d, tenant))
	return nil
}

func (a *API) removeDomain(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, host := domainTarget(r)
	if err := a.Service.RemoveDomain(r.Context(), tenant, host); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (a *API) domainOf(d *v1alpha1.Domain, tenant string) apiclient.Domain {
	_, checking := d.Annotations[apps.AnnotationCheckDomain]
	out := apiclient.Domain{
		Host: d.Spec.Host, Display: apps.ShowDomain(d.Spec.Host), URL: a.Service.DomainURL(d),
		App: d.Spec.App, Component: d.Spec.Component, Port: d.Spec.Port, RedirectTo: d.Spec.RedirectTo, Certificate: d.Spec.Certificate,
		PointTo: a.Service.PointTo(d, tenant),
		Owned:   apimeta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionOwned),
		Ready:   ready(d.Status.Conditions, d.Status.ObservedGeneration, d.Generation), Checking: checking,
		Deleting: !d.DeletionTimestamp.IsZero(), ProvenAt: timeOf(d.Status.ProvenAt), CheckedAt: timeOf(d.Status.CheckedAt),
		Conditions: conditions(d.Status.Conditions), CreatedAt: d.CreationTimestamp.Time,
	}
	if token := d.Status.Token; token != "" {
		out.Proof = &apiclient.DomainProof{Record: apps.ProofRecord(d.Spec.Host), Text: apps.ProofText(token)}
		if out.Proof.URL = apps.ProofURL(d.Spec.Host, token); out.Proof.URL != "" {
			out.Proof.Answer = apps.ProofText(token)
		}
	}
	return out
}
