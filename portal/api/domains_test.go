package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (w *world) domain(host string) *v1alpha1.Domain {
	w.t.Helper()
	d := &v1alpha1.Domain{}
	key := client.ObjectKey{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: v1alpha1.DomainName(host)}
	if err := w.kube.Get(w.t.Context(), key, d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestADomainIsAddedSeenCheckedAndRemoved(t *testing.T) {
	w := newWorld(t)
	path := "/tenants/" + w.tenant + "/domains"
	must[apiclient.App](w, http.MethodPost, "/tenants/"+w.tenant+"/apps", apiclient.NewApp{Name: "shop"})

	made := must[apiclient.Domain](w, http.MethodPost, path, apiclient.NewDomain{Host: "Bücher.Example.", App: "shop"})
	const host = "xn--bcher-kva.example"
	if made.Host != host || made.Display != "bücher.example" || made.URL != "https://"+host+":8443" ||
		made.PointTo != "shop."+w.tenant+".berth.localhost" || made.Proof != nil || made.Ready {
		t.Errorf("made: %+v", made)
	}
	if again := w.refused(http.MethodPost, path, apiclient.NewDomain{Host: host, App: "shop"}); again.Status != http.StatusConflict {
		t.Errorf("added twice: %+v", again)
	}

	d := w.domain(host)
	d.Status.Token = "the-token"
	w.status(d)
	// It is found as anybody writes it.
	for _, typed := range []string{host, "bücher.example", "BÜCHER.example", host + "."} {
		seen := must[apiclient.Domain](w, http.MethodGet, path+"/"+url.PathEscape(typed), nil)
		want := &apiclient.DomainProof{
			Record: "_berth." + host, Text: "berth-domain=the-token",
			URL: "http://" + host + "/.well-known/berth/the-token", Answer: "berth-domain=the-token",
		}
		if diff := cmp.Diff(want, seen.Proof); diff != "" {
			t.Errorf("%s: %s", typed, diff)
		}
	}

	if checked := must[apiclient.Domain](w, http.MethodPost, path+"/"+host+"/check", nil); !checked.Checking {
		t.Errorf("not checking: %+v", checked)
	}
	if _, asked := w.domain(host).Annotations[apps.AnnotationCheckDomain]; !asked {
		t.Error("nobody was asked to look")
	}
	if all := must[apiclient.List[apiclient.Domain]](w, http.MethodGet, path, nil); len(all.Items) != 1 || all.Items[0].Host != host {
		t.Errorf("list: %+v", all)
	}

	if status, raw := w.do(http.MethodDelete, path+"/"+host, nil); status != http.StatusAccepted {
		t.Errorf("remove: %d %s", status, raw)
	}
	d = w.domain(host)
	if d.DeletionTimestamp == nil {
		t.Error("it is not being removed")
	}
	d.Finalizers = nil
	if err := w.kube.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if gone := w.refused(http.MethodGet, path+"/"+host, nil); gone.Status != http.StatusNotFound || gone.Field != "host" {
		t.Errorf("after it is gone: %+v", gone)
	}
}

func TestAWildcardIsProvenByItsRecordAlone(t *testing.T) {
	w := newWorld(t)
	path := "/tenants/" + w.tenant + "/domains"
	made := must[apiclient.Domain](w, http.MethodPost, path, apiclient.NewDomain{Host: "*.example.com", RedirectTo: "Example.com"})
	if made.URL != "" || made.RedirectTo != "example.com" || made.PointTo != w.tenant+".berth.localhost" {
		t.Errorf("made: %+v", made)
	}
	d := w.domain("*.example.com")
	d.Status.Token = "the-token"
	w.status(d)
	for _, typed := range []string{"*.example.com", "%2A.example.com"} {
		seen := must[apiclient.Domain](w, http.MethodGet, path+"/"+typed, nil)
		if diff := cmp.Diff(&apiclient.DomainProof{Record: "_berth.example.com", Text: "berth-domain=the-token"}, seen.Proof); diff != "" {
			t.Errorf("%s: %s", typed, diff)
		}
	}
}

func TestADomainThatCannotBeIsRefused(t *testing.T) {
	w := newWorld(t)
	path := "/tenants/" + w.tenant + "/domains"
	image, _ := w.push("shop/web", "")
	must[apiclient.Changed](w, http.MethodPut, w.path("shop")+"/template", put(image))
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: apps.UploadSecret("mine")}})
	must[apiclient.Domain](w, http.MethodPost, path, apiclient.NewDomain{
		Host: "as.it.should.be.example.com", App: "shop", Component: "web", Port: "http", Certificate: "mine",
	})
	for name, test := range map[string]struct {
		in    apiclient.NewDomain
		field string
		code  string
	}{
		"a public suffix":         {apiclient.NewDomain{Host: "*.co.uk", App: "shop"}, "host", "invalid"},
		"an address":              {apiclient.NewDomain{Host: "192.0.2.1", App: "shop"}, "host", "invalid"},
		"the platform's":          {apiclient.NewDomain{Host: "shop.acme.berth.localhost", App: "shop"}, "host", "invalid"},
		"leads nowhere":           {apiclient.NewDomain{Host: "a.example.com"}, "app", "invalid"},
		"leads to two places":     {apiclient.NewDomain{Host: "a.example.com", App: "shop", RedirectTo: "b.example.com"}, "redirectTo", "invalid"},
		"redirects to itself":     {apiclient.NewDomain{Host: "a.example.com", RedirectTo: "A.example.com"}, "redirectTo", "invalid"},
		"redirects to no host":    {apiclient.NewDomain{Host: "a.example.com", RedirectTo: "https://b.example.com"}, "redirectTo", "invalid"},
		"a redirect's component":  {apiclient.NewDomain{Host: "a.example.com", RedirectTo: "b.example.com", Component: "web"}, "component", "invalid"},
		"a port of nothing":       {apiclient.NewDomain{Host: "a.example.com", App: "shop", Port: "http"}, "port", "invalid"},
		"no such app":             {apiclient.NewDomain{Host: "a.example.com", App: "nope"}, "app", "not_found"},
		"no such component":       {apiclient.NewDomain{Host: "a.example.com", App: "shop", Component: "nope"}, "component", "invalid"},
		"no such port":            {apiclient.NewDomain{Host: "a.example.com", App: "shop", Component: "web", Port: "nope"}, "port", "invalid"},
		"a certificate not there": {apiclient.NewDomain{Host: "a.example.com", App: "shop", Certificate: "nope"}, "certificate", "invalid"},
		"no certificate's name":   {apiclient.NewDomain{Host: "a.example.com", App: "shop", Certificate: "../mine"}, "certificate", "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			refusal := w.refused(http.MethodPost, path, test.in)
			if refusal.Field != test.field || refusal.Code != test.code || refusal.Fix == "" {
				t.Errorf("refused with %+v, want %s of %s", refusal, test.code, test.field)
			}
		})
	}
	if all := must[apiclient.List[apiclient.Domain]](w, http.MethodGet, path, nil); len(all.Items) != 1 {
		t.Errorf("there are %d domains", len(all.Items))
	}
	if other := w.refused(http.MethodGet, "/tenants/nobody/domains/a.example.com", nil); other.Field != "tenant" || !strings.Contains(other.Detail, "no tenant") {
		t.Errorf("of no tenant: %+v", other)
	}
}
