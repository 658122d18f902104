package router_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

func nothing(*router.Config) {}

// other is the edge of another host, which takes requests from edges alone and answers
// with a handler.
func (e *edge) other(tb testing.TB, shows tls.Certificate, handler http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{shows}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: e.ca.pool(),
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point of some tests
	server.StartTLS()
	tb.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// relay joins a connection with a backend, as the edge of its host does.
func relay(t *testing.T, w http.ResponseWriter, backend string) {
	t.Helper()
	app, err := net.Dial("tcp", backend)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = app.Close() }()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: berth-stream\r\n\r\n")
	go func() {
		_, _ = io.Copy(app, buffered)
		_ = app.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, app)
}

// moved serves the shop through another host's edge.
func (e *edge) moved(tb testing.TB, handler http.HandlerFunc) {
	tb.Helper()
	address := e.other(tb, e.ca.issue(tb, peerName), handler)
	// Addresses of processes are another host's: nobody here may ask them.
	e.serve("web", shop, app(tb, func(http.ResponseWriter, *http.Request) { tb.Error("an address of another host was asked") }))
	tabletest.Move(&e.sources, acme, address)
	e.apply()
}

func TestARequestForAnotherHostGoesToItsEdge(t *testing.T) {
	e, out := logged(t)
	var seen *http.Request
	var body string
	e.moved(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		seen, body = r, string(raw)
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "tea")
	})
	// A wildcard over the name of edges is there already, and is not shown for it.
	if _, err := e.certificateFor("api.berth.localhost"); err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		got := do(t, e.client(t, http2), request(t, http.MethodPost, "https://"+shop+"/a%2Fb?q=1", strings.NewReader("order"),
			"X-Forwarded-For", forged, "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil.example", "X-Forwarded-Port", "1",
			"Forwarded", "for="+forged, "X-Real-Ip", forged, "X-Remote-User", "root", "X-Request-Id", "mine-1", "Authorization", "Bearer mine"))
		if got.status != http.StatusTeapot || got.body != "tea" || body != "order" {
			t.Fatalf("answered %d %q for %q", got.status, got.body, body)
		}
		certificate := seen.TLS.PeerCertificates[0]
		if seen.TLS.ServerName != peerName || !cmp.Equal(certificate.DNSNames, []string{peerName}) || seen.Proto != "HTTP/1.1" {
			t.Errorf("asked %s by %s as %v", seen.TLS.ServerName, seen.Proto, certificate.DNSNames)
		}
		if seen.Host != shop || seen.RequestURI != "/a%2Fb?q=1" {
			t.Errorf("asked for %s%s", seen.Host, seen.RequestURI)
		}
		for _, unsteady := range []string{"Accept-Encoding", "User-Agent", "Content-Length", "Via"} {
			seen.Header.Del(unsteady)
		}
		want := http.Header{
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {shop},
			"X-Request-Id": {"mine-1"}, "Authorization": {"Bearer mine"},
		}
		if diff := cmp.Diff(want, seen.Header); diff != "" {
			t.Error(diff)
		}
		if line := out.next(t); line.Status != http.StatusTeapot || line.Client != "127.0.0.1" || line.Path != "/a%2Fb" || line.RequestID != "mine-1" {
			t.Errorf("noted %+v", line)
		}
	}
}

func TestAClientThatDialsAnAddressReachesAnotherHostsEdgeByTheHostOfItsHandshake(t *testing.T) {
	e := start(t, "")
	e.moved(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	r := request(t, http.MethodGet, "https://"+shop+"/", http.NoBody)
	r.Host = "127.0.0.1:8443"
	if got := do(t, e.client(t, false), r); got.body != shop {
		t.Errorf("asked for %q", got.body)
	}
}

func TestNobodyElseIsSentWhatIsForAnotherEdge(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("the request went through") }
	e := start(t, "")
	e.serve("web", shop, app(t, never))
	client := e.client(t, false)
	for name, test := range map[string]struct {
		address string
		status  int
		text    string
	}{
		"one with another authority's certificate": {e.other(t, newAuthority(t).issue(t, peerName), never), http.StatusServiceUnavailable, "Its host is away"},
		"one with an app's certificate":            {e.other(t, e.ca.issue(t, "*.acme.berth.localhost"), never), http.StatusServiceUnavailable, "Its host is away"},
		"one without TLS":                          {app(t, never), http.StatusServiceUnavailable, "Its host is away"},
		"nobody":                                   {nowhere(t), http.StatusServiceUnavailable, "Its host is away"},
		"one that is not known":                    {"", http.StatusServiceUnavailable, "No way there"},
	} {
		t.Run(name, func(t *testing.T) {
			tabletest.Move(&e.sources, acme, test.address)
			e.apply()
			if got := get(t, client, "https://"+shop+"/"); got.status != test.status || !strings.HasPrefix(got.body, test.text) {
				t.Errorf("answered %d %q", got.status, got.body)
			}
		})
	}
}

func TestTheFirstEdgeJudges(t *testing.T) {
	e := start(t, "")
	e.moved(t, func(http.ResponseWriter, *http.Request) { t.Error("the request went through") })
	client := e.client(t, false)
	// A client that writes on while it is refused may see a reset in place of the answer.
	client.Transport.(*http.Transport).ExpectContinueTimeout = patience
	edge := &e.sources.Routes[0].Spec.Edge
	edge.MaxBodyMiB = 1
	e.apply()
	if got := do(t, client, request(t, http.MethodPost, "https://"+shop+"/", strings.NewReader(strings.Repeat("a", 2<<20)), "Expect", "100-continue")); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body gives %d", got.status)
	}
	edge.Maintenance = true
	e.apply()
	if got := get(t, client, "https://"+shop+"/"); got.status != http.StatusServiceUnavailable || !strings.HasPrefix(got.body, "Down for maintenance") {
		t.Errorf("maintenance gives %d %q", got.status, got.body)
	}
	edge.AllowedCIDRs = []string{"192.0.2.0/24"}
	e.apply()
	if got := get(t, client, "https://"+shop+"/", "X-Forwarded-For", "192.0.2.1"); got.status != http.StatusForbidden {
		t.Errorf("a client from elsewhere gets %d", got.status)
	}
}

func TestAnAppOnAnotherHostThatTakesTooLongIsGivenUp(t *testing.T) {
	e := start(t, "")
	e.moved(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	e.sources.Routes[0].Spec.Edge.AnswerTimeoutSeconds = 1
	e.apply()
	if got := get(t, e.client(t, false), "https://"+shop+"/"); got.status != http.StatusGatewayTimeout {
		t.Errorf("answered %d %q", got.status, got.body)
	}
}

func TestWebSocketsPassToAnotherHost(t *testing.T) {
	e := start(t, "")
	e.moved(t, echo(t, make(chan error, 1)))
	conn := e.webSocket(t)
	for i := range 3 {
		must(t, ask(conn, fmt.Sprint("message ", i)))
	}
}

func TestATenantsAPIServerOnAnotherHostIsReachedThroughItsEdge(t *testing.T) {
	e := start(t, "")
	e.cluster(t, func(http.ResponseWriter, *http.Request) { t.Error("an address of another host was asked") }, "kubernetes.default.svc")
	address := e.other(t, e.ca.issue(t, peerName), func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, r.Host, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("Impersonate-User"), "front proxy:", r.Header.Get("X-Remote-User"))
	})
	tabletest.Move(&e.sources, acme, address)
	e.apply()
	got := get(t, e.client(t, true), "https://"+tenantAPI+"/api/v1/pods", "Authorization", "Bearer token", "Impersonate-User", "jane", "X-Remote-User", "root")
	if want := tenantAPI + " /api/v1/pods Bearer token jane front proxy: \n"; got.body != want {
		t.Errorf("got %d %q, want %q", got.status, got.body, want)
	}
	e.sources.HostClusters[1].Spec.EdgeAddress = ""
	e.apply()
	if got := get(t, e.client(t, true), "https://"+tenantAPI+"/api"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"kind":"Status"`) {
		t.Errorf("without a way there: %d %q", got.status, got.body)
	}
}
