package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/berth-dev/berth/internal/apiclient"
)

// certRoutes keeps uploaded certificates; one named used is a domain's.
func (p *fakePortal) certRoutes() {
	certs := map[string]apiclient.Certificate{}
	find := func(r *http.Request) (apiclient.Certificate, error) {
		one, ok := certs[r.PathValue("cert")]
		if !ok {
			return one, &apiclient.Problem{Status: 404, Field: "certificate", Detail: "the tenant has no such certificate", Fix: "See the list with: berth certs"}
		}
		return one, nil
	}
	p.HandleFunc("GET /v1/tenants/acme/certificates", p.answer(func(*http.Request) (any, error) {
		var out apiclient.List[apiclient.Certificate]
		for _, one := range certs {
			out.Items = append(out.Items, one)
		}
		return out, nil
	}))
	p.HandleFunc("POST /v1/tenants/acme/certificates", p.answer(func(r *http.Request) (any, error) {
		var in apiclient.NewCertificate
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		if !strings.Contains(in.Key, "PRIVATE KEY") {
			return nil, &apiclient.Problem{Status: 422, Field: "key", Detail: "holds no private key in PEM form", Fix: "Give the file of the key."}
		}
		one := apiclient.Certificate{
			Name: in.Name, Hosts: []string{"shop.example"}, Issuer: "A Company", NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		if in.Name == "used" {
			one.Domains = []string{"shop.example"}
		}
		certs[in.Name] = one
		return one, nil
	}))
	p.HandleFunc("GET /v1/tenants/acme/certificates/{cert}", p.answer(func(r *http.Request) (any, error) { return find(r) }))
	p.HandleFunc("DELETE /v1/tenants/acme/certificates/{cert}", p.answer(func(r *http.Request) (any, error) {
		one, err := find(r)
		if err == nil && len(one.Domains) > 0 {
			return nil, &apiclient.Problem{Status: 409, Field: "certificate", Detail: "it is used by shop.example", Fix: "Remove the domain first."}
		}
		delete(certs, one.Name)
		return nil, err
	}))
}
