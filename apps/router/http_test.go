package router_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostReachesItsApp(t *testing.T) {
	e := start(t, app(t, say("portal")))
	e.serve("web", shop, app(t, say("shop")))
	e.serve("db", "db--web.acme.berth.localhost", app(t, say("db")))
	e.serve("deep", "a.b.acme.berth.localhost", app(t, say("deep")))
	for _, http2 := range []bool{false, true} {
		client := e.client(t, http2)
		for host, want := range map[string]string{
			shop: "shop", "WEB.acme.berth.localhost": "shop", "db--web.acme.berth.localhost": "db",
			"a.b.acme.berth.localhost": "deep", "api.berth.localhost": "portal", "berth.berth.localhost": "portal",
		} {
			got := get(t, client, "https://"+host+"/")
			if got.status != http.StatusOK || got.body != want || (got.proto == 2) != http2 {
				t.Errorf("%s over HTTP/%d answers %d %q, want %q", host, got.proto, got.status, got.body, want)
			}
		}
	}
}

func TestTheEdgeAnswersItself(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	e.serve("empty", "empty.acme.berth.localhost")
	e.serve("off", "off.acme.berth.localhost", app(t, say("off"))).Spec.Edge.Maintenance = true
	e.serve("dead", "dead.acme.berth.localhost", nowhere(t))
	e.apply()
	client := e.client(t, true)
	for name, test := range map[string]struct {
		host       string
		status     int
		retryAfter string
		text       string
	}{
		"404 for an unknown host of a tenant":   {"nope.acme.berth.localhost", 404, "", "Nothing lives here"},
		"404 for an unknown host of the domain": {"nope.berth.localhost", 404, "", "Nothing lives here"},
		"404 for the domain itself":             {"berth.localhost", 404, "", "Nothing lives here"},
		"503 without a ready endpoint":          {"empty.acme.berth.localhost", 503, "5", "Not ready yet"},
		"503 in maintenance":                    {"off.acme.berth.localhost", 503, "120", "Down for maintenance"},
		"503 for a portal that is not there":    {"api.berth.localhost", 503, "5", "Not ready yet"},
		"502 when nothing can be connected to":  {"dead.acme.berth.localhost", 502, "5", "No answer"},
	} {
		t.Run(name, func(t *testing.T) {
			url := "https://" + test.host + "/"
			plain := get(t, client, url)
			if plain.status != test.status || plain.header.Get("Retry-After") != test.retryAfter {
				t.Errorf("status %d, Retry-After %q", plain.status, plain.header.Get("Retry-After"))
			}
			if plain.header.Get("Server") != "" || plain.header.Get("X-Request-Id") == "" {
				t.Errorf("headers are %v", plain.header)
			}
			if !strings.HasPrefix(plain.header.Get("Content-Type"), "text/plain") || !strings.HasPrefix(plain.body, test.text) {
				t.Errorf("text is %q", plain.body)
			}
			page := get(t, client, url, "Accept", "text/html,application/xhtml+xml")
			if !strings.Contains(page.body, "<h1>"+test.text+"</h1>") || strings.Contains(page.body, "http") {
				t.Errorf("page is %q", page.body)
			}
			var doc struct {
				Error struct{ Code, Message, RequestID string }
			}
			programs := get(t, client, url, "Accept", "application/json", "X-Request-Id", "mine-1")
			must(t, json.Unmarshal([]byte(programs.body), &doc))
			if doc.Error.Code == "" || !strings.HasPrefix(doc.Error.Message, test.text) || doc.Error.RequestID != "mine-1" {
				t.Errorf("document is %s", programs.body)
			}
			head := do(t, client, request(t, http.MethodHead, url, http.NoBody))
			if head.status != test.status || head.body != "" {
				t.Errorf("HEAD gives %d %q", head.status, head.body)
			}
		})
	}
}

func TestPlainHTTPIsRedirected(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	client := e.client(t, false)
	for url, want := range map[string]string{
		"http://" + shop + "/a%2Fb?q=1&r=%20": "https://web.acme.berth.localhost:8443/a%2Fb?q=1&r=%20",
		"http://" + shop + "//evil.example/":  "https://web.acme.berth.localhost:8443//evil.example/",
		"http://api.berth.localhost/":         "https://api.berth.localhost:8443/",
		"http://example.com/":                 "",
		"http://web.globex.berth.localhost/":  "",
	} {
		got := do(t, client, request(t, http.MethodPost, url, strings.NewReader("x")))
		wantStatus := http.StatusPermanentRedirect
		if want == "" {
			wantStatus = http.StatusNotFound
		}
		if got.status != wantStatus || got.header.Get("Location") != want {
			t.Errorf("%s gives %d to %q", url, got.status, got.header.Get("Location"))
		}
	}
}

func TestHeadersAnAppSees(t *testing.T) {
	e := start(t, "")
	var seen http.Header
	var host string
	e.serve("web", shop, app(t, func(_ http.ResponseWriter, r *http.Request) { seen, host = r.Header, r.Host }))
	got := get(t, e.client(t, false), "https://"+shop+"/",
		"X-Forwarded-For", "10.9.9.9", "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil.example", "X-Forwarded-Port", "1",
		"X-Forwarded-Prefix", "/evil", "Forwarded", "for=10.9.9.9", "X-Real-Ip", "10.9.9.9", "X-Remote-User", "root",
		"X-Request-Id", "bad id\"", "Authorization", "Bearer mine", "X-Mine", "1", "User-Agent", "test", "Accept-Encoding", "br")
	if got.status != http.StatusOK || host != shop {
		t.Fatalf("status %d, host %q", got.status, host)
	}
	id := seen.Get("X-Request-Id")
	if id == "" || strings.Contains(id, " ") || got.header.Get("X-Request-Id") != id {
		t.Errorf("the app got the id %q, the client %q", id, got.header.Get("X-Request-Id"))
	}
	seen.Del("X-Request-Id")
	want := http.Header{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {shop},
		"Authorization": {"Bearer mine"}, "X-Mine": {"1"}, "User-Agent": {"test"}, "Accept-Encoding": {"br"}, "Via": {"1.1 Caddy"},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestAnAppsOwnRequestIDIsKept(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Request-Id", "app") }))
	got := get(t, e.client(t, false), "https://"+shop+"/")
	if diff := cmp.Diff([]string{"app"}, got.header.Values("X-Request-Id")); diff != "" {
		t.Error(diff)
	}
}

func TestARequestForAnotherHostThanTheConnectionsIsSentBack(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	e.serve("other", "other.acme.berth.localhost", app(t, say("other")))
	for _, http2 := range []bool{false, true} {
		r := request(t, http.MethodGet, "https://"+shop+"/", http.NoBody)
		r.Host = "other.acme.berth.localhost"
		if got := do(t, e.client(t, http2), r); got.status != http.StatusMisdirectedRequest {
			t.Errorf("status %d %q, want 421", got.status, got.body)
		}
	}
}

func TestAClientThatDialsAnAddressIsForTheHostOfItsHandshake(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	r := request(t, http.MethodGet, "https://"+shop+"/", http.NoBody)
	r.Host = "127.0.0.1:8443"
	if got := do(t, e.client(t, false), r); got.status != http.StatusOK || got.body != "shop" {
		t.Errorf("status %d %q, want the host of the handshake", got.status, got.body)
	}
}

func TestARefusedConnectionIsRetriedElsewhere(t *testing.T) {
	e := start(t, "")
	var got atomic.Int64
	alive := app(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "order" {
			got.Add(1)
		}
	})
	e.serve("web", shop, nowhere(t), alive, nowhere(t))
	client := e.client(t, false)
	const n = 20
	for range n {
		a := do(t, client, request(t, http.MethodPost, "https://"+shop+"/", strings.NewReader("order")))
		if a.status != http.StatusOK {
			t.Fatalf("status %d", a.status)
		}
	}
	if got.Load() != n {
		t.Errorf("the app got %d whole orders, want %d", got.Load(), n)
	}
}

// breaker takes connections, reads a request and breaks off without an answer.
func breaker(t *testing.T, requests *atomic.Int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				requests.Add(1)
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestARequestThatWasSentIsNeverSentAgain(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			e := start(t, "")
			var requests atomic.Int64
			e.serve("web", shop, breaker(t, &requests), breaker(t, &requests))
			got := do(t, e.client(t, false), request(t, method, "https://"+shop+"/", strings.NewReader("order")))
			if got.status != http.StatusBadGateway || requests.Load() != 1 {
				t.Errorf("status %d after %d requests, want 502 after 1", got.status, requests.Load())
			}
		})
	}
}

func TestMetricsCountByClass(t *testing.T) {
	e := start(t, app(t, say("portal")))
	e.serve("web", shop, nowhere(t), app(t, say("shop")))
	client := e.client(t, false)
	for range 4 {
		get(t, client, "https://"+shop+"/")
	}
	get(t, client, "https://api.berth.localhost/")
	get(t, client, "https://made-up.berth.localhost/")
	got := e.metric(t)
	for name, want := range map[string]float64{
		"berth_router_requests_total app 2xx": 4, "berth_router_requests_total platform 2xx": 1,
		"berth_router_requests_total unknown 4xx": 1, "berth_router_response_start_seconds app": 4,
		"berth_router_hosts": 3, "berth_router_endpoints": 4, "berth_router_tcp_hosts": 0, "berth_router_routes_refused": 0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["berth_router_connect_failures_total app"] < 1 {
		t.Error("the refused connection was not counted")
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	got := get(t, e.client(t, false), "https://"+shop+"/", "X-Large", strings.Repeat("a", 128<<10))
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", got.status)
	}
	if got := get(t, e.client(t, false), "https://"+shop+"/", "X-Large", strings.Repeat("a", 16<<10)); got.body != "shop" {
		t.Errorf("16 KiB of headers give %d", got.status)
	}
}

func TestManyHostsAtOnce(t *testing.T) {
	e := start(t, "")
	backend := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	client := e.client(t, true)
	errs := make(chan error)
	const n = 20
	for i := range n {
		e.serve(fmt.Sprint("app", i), fmt.Sprintf("app%d.acme.berth.localhost", i), backend)
	}
	for i := range n {
		go func() {
			host := fmt.Sprintf("app%d.acme.berth.localhost", i)
			r, err := client.Get("https://" + host + "/") // the client has a timeout
			if err != nil {
				errs <- err
				return
			}
			body, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if err == nil && string(body) != host {
				err = fmt.Errorf("%s answers %q", host, body)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
