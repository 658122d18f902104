package api

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) certificateRoutes(r chi.Router) {
	const one = "/tenants/{tenant}/certificates/{certificate}"
	r.Get("/tenants/{tenant}/certificates", a.short(VerbRead, a.listCertificates))
	r.Post("/tenants/{tenant}/certificates", a.short(VerbWrite, a.addCertificate))
	r.Get(one, a.short(VerbRead, a.getCertificate))
	r.Delete(one, a.short(VerbWrite, a.removeCertificate))
}

func (a *API) listCertificates(w http.ResponseWriter, r *http.Request, _ Principal) error {
	all, err := a.Service.Certificates(r.Context(), chi.URLParam(r, "tenant"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list(all, certificateOf))
	return nil
}

func (a *API) getCertificate(w http.ResponseWriter, r *http.Request, _ Principal) error {
	c, err := a.Service.Certificate(r.Context(), chi.URLParam(r, "tenant"), chi.URLParam(r, "certificate"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, certificateOf(c))
	return nil
}

func (a *API) addCertificate(w http.ResponseWriter, r *http.Request, _ Principal) error {
	var in apiclient.NewCertificate
	if err := decode(r, &in); err != nil {
		return err
	}
	pair := apps.Pair{Certificate: []byte(in.Certificate), Key: []byte(in.Key)}
	c, replaced, err := a.Service.AddCertificate(r.Context(), chi.URLParam(r, "tenant"), in.Name, pair)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if replaced {
		status = http.StatusOK
	}
	writeJSON(w, status, certificateOf(c))
	return nil
}

func (a *API) removeCertificate(w http.ResponseWriter, r *http.Request, _ Principal) error {
	if err := a.Service.RemoveCertificate(r.Context(), chi.URLParam(r, "tenant"), chi.URLParam(r, "certificate")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func certificateOf(c *service.Certificate) apiclient.Certificate {
	out := apiclient.Certificate{
		Name: c.Name, Hosts: c.Facts.Hosts, Issuer: c.Facts.Issuer, NotBefore: c.Facts.NotBefore, NotAfter: c.Facts.NotAfter,
		Domains: c.Domains, CreatedAt: c.Created,
	}
	if out.Hosts == nil {
		out.Hosts = []string{}
	}
	if c.Problem != nil {
		out.Problem = strings.ReplaceAll(c.Problem.Error(), "\n", "; ")
	}
	return out
}
