package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// domainRoutes serve domains from memory. A token is there at the second look, as the
// platform draws it a moment later; a host is proven if its name says so.
func (p *fakePortal) domainRoutes() {
	domains := map[string]*apiclient.Domain{}
	find := func(r *http.Request) (*apiclient.Domain, error) {
		d, ok := domains[r.PathValue("host")]
		if !ok {
			return nil, &apiclient.Problem{Status: http.StatusNotFound, Field: "host", Detail: "there is no such domain", Fix: "See: berth domains"}
		}
		return d, nil
	}
	const path = "/v1/tenants/acme/domains"
	p.HandleFunc("GET "+path, p.answer(func(*http.Request) (any, error) {
		out := apiclient.List[apiclient.Domain]{Items: []apiclient.Domain{}}
		for _, d := range domains {
			out.Items = append(out.Items, *d)
		}
		return out, nil
	}))
	p.HandleFunc("POST "+path, p.answer(func(r *http.Request) (any, error) {
		var in apiclient.NewDomain
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
		d := &apiclient.Domain{
			Host: in.Host, Display: in.Host, App: in.App, Component: in.Component, Port: in.Port, RedirectTo: in.RedirectTo,
			PointTo: in.App + ".acme.berth.localhost",
			Conditions: []apiclient.Condition{{
				Type: v1alpha1.ConditionOwned, Status: "False", Reason: v1alpha1.ReasonNotProven, Message: "The proof was not found yet.",
			}},
		}
		if !strings.HasPrefix(in.Host, "*") {
			d.URL = "https://" + in.Host
		}
		domains[in.Host] = d
		return d, nil
	}))
	p.HandleFunc("GET "+path+"/{host}", p.answer(func(r *http.Request) (any, error) {
		d, err := find(r)
		if err != nil {
			return nil, err
		}
		d.Proof, d.Checking = &apiclient.DomainProof{Record: "_berth." + strings.TrimPrefix(d.Host, "*."), Text: "berth-domain=tok"}, false
		if d.URL != "" {
			d.Proof.URL, d.Proof.Answer = "http://"+d.Host+"/.well-known/berth/tok", "tok"
		}
		return d, nil
	}))
	p.HandleFunc("POST "+path+"/{host}/check", p.answer(func(r *http.Request) (any, error) {
		d, err := find(r)
		if err != nil {
			return nil, err
		}
		d.Checking = true
		if strings.Contains(d.Host, "proven") {
			d.Owned, d.Ready = true, true
			d.Conditions = []apiclient.Condition{{Type: v1alpha1.ConditionOwned, Status: "True", Message: "The proof is there."}}
		}
		return d, nil
	}))
	p.HandleFunc("DELETE "+path+"/{host}", p.answer(func(r *http.Request) (any, error) {
		d, err := find(r)
		if err == nil {
			delete(domains, d.Host)
		}
		return nil, err
	}))
}
