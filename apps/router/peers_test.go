package router_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const peerName = "edge.berth.localhost"

// issueFor is a certificate of an authority for a use and names, valid until a moment.
func (a *authority) issueFor(tb testing.TB, use x509.ExtKeyUsage, until time.Time, names ...string) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), DNSNames: names, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// peer is another edge's certificate.
func (a *authority) peer(tb testing.TB) tls.Certificate {
	tb.Helper()
	return a.issueFor(tb, x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour), peerName)
}

// asPeer is a client that sends what another edge would, with a certificate if it has one.
func (e *edge) asPeer(tb testing.TB, certificates ...tls.Certificate) *http.Client {
	tb.Helper()
	client := e.client(tb, false)
	config := client.Transport.(*http.Transport).TLSClientConfig
	config.ServerName = peerName
	if len(certificates) > 0 {
		// Shown whether the edge would like it or not.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	return client
}

// kept is the pair that an edge keeps for a name, which it must have been asked for.
func kept(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	var found tls.Certificate
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != name+".crt" {
			return err
		}
		found, err = tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".crt")+".key")
		return err
	}))
	if found.PrivateKey == nil {
		t.Fatalf("no certificate for %s is kept", name)
	}
	return found
}

func TestOnlyEdgesAreAnsweredUnderTheNameOfEdges(t *testing.T) {
	dir := t.TempDir()
	e := startIn(t, dir)
	e.serve("web", shop, app(t, say("shop")))
	for _, name := range []string{shop, "api.berth.localhost"} {
		if _, err := e.certificateFor(name); err != nil {
			t.Fatal(err)
		}
	}
	// The handshake fails, and its certificate is there.
	_, _ = e.asPeer(t).Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody)) //nolint:bodyclose // there is none
	client, hour := x509.ExtKeyUsageClientAuth, time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		certificates []tls.Certificate
		let          bool
	}{
		"another edge":                           {[]tls.Certificate{e.ca.peer(t)}, true},
		"an edge by what edges issue themselves": {[]tls.Certificate{kept(t, dir, peerName)}, true},
		"nobody":                                 {nil, false},
		"another authority's":                    {[]tls.Certificate{newAuthority(t).peer(t)}, false},
		"an app's certificate":                   {[]tls.Certificate{kept(t, dir, "wildcard_.acme.berth.localhost")}, false},
		"a wildcard over the name":               {[]tls.Certificate{kept(t, dir, "wildcard_.berth.localhost")}, false},
		"another name":                           {[]tls.Certificate{e.ca.issueFor(t, client, hour, shop)}, false},
		"another name beside it":                 {[]tls.Certificate{e.ca.issueFor(t, client, hour, peerName, shop)}, false},
		"no name":                                {[]tls.Certificate{e.ca.issueFor(t, client, hour)}, false},
		"one that is no client's":                {[]tls.Certificate{e.ca.issueFor(t, x509.ExtKeyUsageServerAuth, hour, peerName)}, false},
		"one that is over":                       {[]tls.Certificate{e.ca.issueFor(t, client, time.Now().Add(-time.Hour), peerName)}, false},
	} {
		for version, limit := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+" over "+version, func(t *testing.T) {
				peer := e.asPeer(t, test.certificates...)
				peer.Transport.(*http.Transport).TLSClientConfig.MaxVersion = limit
				res, err := peer.Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody, "X-Forwarded-For", "192.0.2.1"))
				if err == nil {
					_ = res.Body.Close()
				}
				if (err == nil) != test.let || err == nil && res.StatusCode != http.StatusOK {
					t.Errorf("answered %v, %v", res, err)
				}
			})
		}
	}
}

func TestNoBrowserIsAskedForACertificate(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	for serverName, want := range map[string]bool{shop: false, "api.berth.localhost": false, peerName: true, "EDGE.berth.localhost": true} {
		asked := false
		conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
			RootCAs: e.ca.pool(), ServerName: serverName, MinVersion: tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &tls.Certificate{}, nil
			},
		})
		if err == nil {
			_ = conn.Close()
		}
		if asked != want {
			t.Errorf("under %s: asked %v, %v", serverName, asked, err)
		}
	}
}

// A pair from outside that covers the name of edges says nothing about who is one.
func TestEdgesShowTheirOwnAuthoritysCertificateToEachOther(t *testing.T) {
	e := start(t, "")
	e.sources.Secrets = append(e.sources.Secrets,
		tabletest.Pair("*.berth.localhost", time.Now().Add(time.Hour), "*.berth.localhost"),
		tabletest.Pair(peerName, time.Now().Add(time.Hour), peerName))
	e.serve("web", shop, app(t, say("shop")))
	if got := get(t, e.asPeer(t, e.ca.peer(t)), "https://"+shop+"/", "X-Forwarded-For", "192.0.2.1"); got.body != "shop" {
		t.Errorf("got %d %q", got.status, got.body)
	}
}

func TestWhatAnotherEdgeSaysIsBelieved(t *testing.T) {
	e, out := logged(t)
	var seen http.Header
	e.serve("web", shop, app(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	route := &e.sources.Routes[0]
	route.Spec.Edge.AllowedCIDRs = []string{"192.0.2.0/24", "2001:db8::/32"}
	e.apply()
	peer := e.asPeer(t, e.ca.peer(t))
	for address, status := range map[string]int{
		"192.0.2.1": http.StatusOK, "2001:db8::1": http.StatusOK, "203.0.113.1": http.StatusForbidden,
		"": http.StatusBadRequest, "unknown": http.StatusBadRequest, "192.0.2.1, 192.0.2.2": http.StatusBadRequest,
	} {
		seen = nil
		got := get(t, peer, "https://"+shop+"/", "X-Forwarded-For", address, "X-Forwarded-Proto", "https", "X-Forwarded-Host", shop, "X-Request-Id", "first-1")
		if got.status != status || got.header.Get("X-Request-Id") != "first-1" {
			t.Errorf("for %q: %d, id %q", address, got.status, got.header.Get("X-Request-Id"))
		}
		if status != http.StatusOK {
			continue
		}
		for _, unsteady := range []string{"Accept-Encoding", "User-Agent", "Via"} {
			seen.Del(unsteady)
		}
		want := http.Header{
			"X-Forwarded-For": {address}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {shop}, "X-Request-Id": {"first-1"},
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
	}
	if got := e.metric(t); got["berth_router_requests_total peer 2xx"] != 2 || got["berth_router_requests_total app 2xx"] != 0 {
		t.Errorf("counted as %v", got)
	}
	route.Spec.Edge.AllowedCIDRs = nil
	e.apply()
	get(t, e.client(t, false), "https://"+shop+"/own", "X-Forwarded-For", "192.0.2.1")
	if line := out.next(t); line.Path != "/own" || line.Client != "127.0.0.1" {
		t.Errorf("what the first edge notes was noted again: %+v", line)
	}
}

func TestThereIsNoSecondHop(t *testing.T) {
	e := startWith(t, "", nothing)
	e.serve("web", shop, app(t, func(http.ResponseWriter, *http.Request) { t.Error("it was served") }))
	tabletest.Move(&e.sources, acme, e.HTTPSAddr().String()) // to ourselves
	tabletest.AddDomain(&e.sources, "acme", "www.acme.example", "web")
	redirect := tabletest.OwnDomain("acme", "acme.example.net", "")
	redirect.Spec.RedirectTo = "www.acme.example"
	e.sources.Domains = append(e.sources.Domains, redirect)
	e.sources.DomainClaims = append(e.sources.DomainClaims, tabletest.Claim(redirect))
	e.apply()
	peer := e.asPeer(t, e.ca.peer(t))
	for _, host := range []string{shop, "www.acme.example", "acme.example.net", "made-up.berth.localhost", peerName} {
		if got := get(t, peer, "https://"+host+"/", "X-Forwarded-For", "192.0.2.1"); got.status != http.StatusLoopDetected {
			t.Errorf("%s answers another edge %d %q", host, got.status, got.body)
		}
	}
	// An address that leads back here ends the same way.
	if got := get(t, e.client(t, false), "https://"+shop+"/"); got.status != http.StatusLoopDetected || !strings.HasPrefix(got.body, "On its way") {
		t.Errorf("a circle answers %d %q", got.status, got.body)
	}
	if got := e.metric(t); got["berth_router_requests_total peer 5xx"] != 6 || got["berth_router_requests_total app 5xx"] != 1 {
		t.Errorf("counted as %v", got)
	}
}

func TestAPeersLimitsHoldHereToo(t *testing.T) {
	e := start(t, app(t, say("portal")))
	e.serve("web", shop, app(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the app got a whole body")
		}
	})).Spec.Edge.MaxBodyMiB = 1
	e.apply()
	peer := e.asPeer(t, e.ca.peer(t))
	peer.Transport.(*http.Transport).ExpectContinueTimeout = patience
	body := io.MultiReader(strings.NewReader(strings.Repeat("a", 1<<20+1)))
	if got := do(t, peer, request(t, http.MethodPost, "https://"+shop+"/", body, "X-Forwarded-For", "192.0.2.1", "Expect", "100-continue")); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large a body gives %d %q", got.status, got.body)
	}
	if got := get(t, peer, "https://api.berth.localhost/", "X-Forwarded-For", "192.0.2.1"); got.body != "portal" {
		t.Errorf("the portal answers %d %q", got.status, got.body)
	}
}
