package router_test

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const own = "www.shop.example"

// domain gives a host of the tenant's own the route of a name.
func (e *edge) domain(host, route string) *v1alpha1.Domain {
	tabletest.AddDomain(&e.sources, "acme", host, route)
	e.apply()
	return &e.sources.Domains[len(e.sources.Domains)-1]
}

func TestDomainsAreServedUnderCertificatesOfTheEdge(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	e.domain(own, "web")
	e.domain("*.wild.test", "web")
	e.domain("xn--bcher-kva.invalid", "web")
	for _, http2 := range []bool{false, true} {
		client := e.client(t, http2)
		for _, host := range []string{own, "any.wild.test", "a--b.wild.test", "xn--bcher-kva.invalid"} {
			if got := get(t, client, "https://"+host+"/"); got.status != http.StatusOK || got.body != host {
				t.Errorf("%s answers %d %q", host, got.status, got.body)
			}
		}
	}
	for host, want := range map[string]string{own: own, "any.wild.test": "*.wild.test"} {
		if got, err := e.certificateFor(host); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s shows %v, %v", host, got, err)
		}
	}
	for _, host := range []string{"wild.test", "a.b.wild.test", "shop.example", "other.shop.example"} {
		if got, err := e.certificateFor(host); err == nil {
			t.Errorf("%s gets a handshake with %v", host, got)
		}
	}
	e.sources.Domains[0].Status.Conditions = nil
	e.apply()
	if got, err := e.certificateFor(own); err == nil {
		t.Errorf("a domain whose proof is gone shows %v", got)
	}
}

func TestADomainRedirects(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	for host, to := range map[string]string{"shop.example": own, "other.test": "elsewhere.test"} {
		d := e.domain(host, "")
		d.Spec = v1alpha1.DomainSpec{Host: host, RedirectTo: to}
	}
	e.domain(own, "web")
	client := e.client(t, true)
	for url, want := range map[string]string{
		"https://shop.example/a%2Fb?q=1": "https://www.shop.example:8443/a%2Fb?q=1",
		"https://other.test/a":           "https://elsewhere.test/a",
		"http://shop.example/a":          "https://shop.example:8443/a",
	} {
		got := do(t, client, request(t, http.MethodPost, url, strings.NewReader("x")))
		if got.status != http.StatusPermanentRedirect || got.header.Get("Location") != want {
			t.Errorf("%s gives %d to %q", url, got.status, got.header.Get("Location"))
		}
	}
}

// issuerFor is who signed what a server name is shown.
func (e *edge) issuerFor(t *testing.T, serverName string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		InsecureSkipVerify: true, ServerName: serverName, // what is shown is looked at
	})
	must(t, err)
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].Issuer.CommonName
}

func TestACertificateFromOutsideIsShownWhileItIsValid(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	e.domain(own, "web")
	e.domain("late.test", "web")
	year, past := time.Now().AddDate(1, 0, 0), time.Now().Add(-time.Minute)
	e.sources.Secrets = append(e.sources.Secrets,
		tabletest.Pair(own, year, own), tabletest.Pair("late.test", past, "late.test"),
		tabletest.Pair("*.acme.berth.localhost", year, "*.acme.berth.localhost"),
		tabletest.Pair("unknown.test", year, "unknown.test"))
	e.apply()
	for host, want := range map[string]string{
		own: "outside", shop: "outside", "made-up.acme.berth.localhost": "outside",
		"late.test": "Berth edge issuer", "api.berth.localhost": "Berth edge issuer",
	} {
		if got := e.issuerFor(t, host); got != want {
			t.Errorf("%s is signed by %q, want %q", host, got, want)
		}
	}
	if got, err := e.certificateFor("unknown.test"); err == nil {
		t.Errorf("a host that nobody has gets a handshake with %v", got)
	}
	e.sources.Secrets[0] = tabletest.Pair(own, past, own)
	e.sources.Secrets[0].ResourceVersion = "2"
	e.apply()
	if got := e.issuerFor(t, own); got != "Berth edge issuer" {
		t.Errorf("once its own is over it is signed by %q", got)
	}
	got := e.metric(t)
	if got["berth_router_certificates_shown_total outside"] != 3 || got["berth_router_certificates_shown_total internal"] != 3 {
		t.Errorf("counted %v", got)
	}
}

func TestChallengesOfAuthorities(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	e.sources.Certificates = append(e.sources.Certificates, tabletest.Challenge(own, "token_-1", "token_-1.print"))
	e.apply()
	client := e.client(t, false)
	const path = "/.well-known/acme-challenge/"
	got := get(t, client, "http://"+own+path+"token_-1")
	if got.status != http.StatusOK || got.body != "token_-1.print" || got.header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %d %q", got.status, got.body)
	}
	for name, test := range map[string]struct {
		method, url string
		status      int
	}{
		"another token":        {http.MethodGet, "http://" + own + path + "token_-2", 404},
		"no token":             {http.MethodGet, "http://" + own + path, 404},
		"more than the token":  {http.MethodGet, "http://" + own + path + "token_-1/x", 404},
		"the token, encoded":   {http.MethodGet, "http://" + own + path + "token%5F-1", 404},
		"another host":         {http.MethodGet, "http://shop.example" + path + "token_-1", 404},
		"a host that is there": {http.MethodGet, "http://" + shop + path + "token_-1", 308},
		"another method":       {http.MethodPost, "http://" + own + path + "token_-1", 404},
		"a proof of ownership": {http.MethodGet, "http://" + own + "/.well-known/berth/token_-1", 404},
	} {
		if got := do(t, client, request(t, test.method, test.url, http.NoBody)); got.status != test.status {
			t.Errorf("%s gives %d %q, want %d", name, got.status, got.body, test.status)
		}
	}
	if got := e.metric(t)["berth_router_challenges_total"]; got != 1 {
		t.Errorf("%v were counted", got)
	}
}

// metric is every value by its name and labels.
func (e *edge) metric(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := e.registry.Gather()
	must(t, err)
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}
