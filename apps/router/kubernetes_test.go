package router_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const tenantAPI = acme + ".k8s.berth.localhost"

// cluster is a tenant's API server with a certificate for the names given, signed by
// an authority of its own.
func (e *edge) cluster(t *testing.T, handler http.HandlerFunc, names ...string) {
	t.Helper()
	ca := newAuthority(t)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, names...)}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point of some tests
	server.StartTLS()
	t.Cleanup(server.Close)
	e.serve("web", shop)
	vc := &e.sources.VirtualClusters[0]
	vc.Status.Endpoint, vc.Status.CABundle = server.Listener.Addr().String(), ca.pem
	e.apply()
}

func TestTenantsAPIServerIsReachedWithItsCredentials(t *testing.T) {
	e := start(t, "")
	e.cluster(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, r.Proto, r.URL.RequestURI(), r.Header.Get("Authorization"),
			r.Header.Get("Impersonate-User"), "front proxy:", r.Header.Get("X-Remote-User"))
	}, "kubernetes.default.svc")
	got := get(t, e.client(t, true), "https://"+tenantAPI+"/api/v1/pods?watch=0", "Authorization", "Bearer token",
		"Impersonate-User", "jane", "X-Remote-User", "root", "X-Remote-Group", "system:masters")
	want := "HTTP/1.1 /api/v1/pods?watch=0 Bearer token jane front proxy: \n"
	if got.status != http.StatusOK || got.body != want {
		t.Errorf("got %d %q, want %q", got.status, got.body, want)
	}
}

func TestATenantsAPIServerMustProveItself(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("the request went through") }
	for name, spoil := range map[string]func(*testing.T, *edge){
		"its certificate names another": func(t *testing.T, e *edge) {
			t.Helper()
			e.cluster(t, never, "kubernetes.other.svc")
		},
		"another authority signed it": func(t *testing.T, e *edge) {
			t.Helper()
			e.cluster(t, never, "kubernetes.default.svc")
			e.sources.VirtualClusters[0].Status.CABundle = newAuthority(t).pem
			e.apply()
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			spoil(t, e)
			got := get(t, e.client(t, true), "https://"+tenantAPI+"/api", "Authorization", "Bearer token")
			var status metav1.Status
			must(t, json.Unmarshal([]byte(got.body), &status))
			if got.status != http.StatusBadGateway || status.Kind != "Status" || status.Code != http.StatusBadGateway {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestWatchesPassEventByEvent(t *testing.T) {
	e := start(t, "")
	events := make(chan string, 1)
	e.cluster(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for {
			select {
			case event := <-events:
				_, _ = io.WriteString(w, event+"\n")
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}, "kubernetes.default.svc")
	events <- "ADDED"
	res, err := e.client(t, true).Do(request(t, http.MethodGet, "https://"+tenantAPI+"/api/v1/pods?watch=1", http.NoBody))
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"ADDED", "MODIFIED", "DELETED"} {
		got, err := lines.ReadString('\n')
		must(t, err)
		if got != want+"\n" {
			t.Errorf("got %q, want %s", got, want)
		}
		switch want {
		case "ADDED":
			events <- "MODIFIED"
		case "MODIFIED":
			events <- "DELETED"
		}
	}
}

// kubectl exec and port-forward upgrade a POST to SPDY.
func TestUpgradesToOtherProtocolsPass(t *testing.T) {
	e := start(t, "")
	e.cluster(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1") ||
			r.Header.Get("X-Stream-Protocol-Version") != "v4.channel.k8s.io" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "SPDY/3.1")
		w.Header().Set("X-Stream-Protocol-Version", "v4.channel.k8s.io")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	}, "kubernetes.default.svc")

	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{RootCAs: e.ca.pool(), ServerName: tenantAPI, MinVersion: tls.VersionTLS12})
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(conn, "POST /api/v1/namespaces/shop/pods/web/exec?command=sh HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"+
		"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n", tenantAPI)
	must(t, err)
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Stream-Protocol-Version") != "v4.channel.k8s.io" {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("status %d, headers %v, %s", res.StatusCode, res.Header, body)
	}
	_ = res.Body.Close()
	_, err = io.WriteString(conn, "ls\n")
	must(t, err)
	got, err := reader.ReadString('\n')
	must(t, err)
	if got != "echo ls\n" {
		t.Errorf("got %q", got)
	}
}
