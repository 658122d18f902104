package router_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const (
	acme     = "acmeacme"
	shop     = "web.acme.berth.localhost"
	patience = 20 * time.Second
)

// authority is a certificate authority on disk, as the edge gets it from a Secret.
type authority struct {
	cert              *x509.Certificate
	key               *ecdsa.PrivateKey
	certFile, keyFile string
	pem               []byte
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test edge"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(tb, err)
	cert, err := x509.ParseCertificate(der)
	must(tb, err)
	rawKey, err := x509.MarshalECPrivateKey(key)
	must(tb, err)
	dir := tb.TempDir()
	a := &authority{
		cert: cert, key: key, certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key"),
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}
	must(tb, os.WriteFile(a.certFile, a.pem, 0o600))
	must(tb, os.WriteFile(a.keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: rawKey}), 0o600))
	return a
}

// issue is a server certificate for names.
func (a *authority) issue(tb testing.TB, names ...string) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// edge is a running edge on loopback with a table that tests fill.
type edge struct {
	*router.Edge
	ca       *authority
	table    *table.Table
	sources  table.Sources
	registry *prometheus.Registry
	// expectsCut says that the test ends with answers cut off.
	expectsCut bool
}

// start runs an edge for one test. Caddy allows one per process, so these tests are
// not parallel.
func start(tb testing.TB, platform string) *edge {
	tb.Helper()
	return startWith(tb, platform, func(*router.Config) {})
}

// startWith runs an edge whose configuration a test changes.
func startWith(tb testing.TB, platform string, change func(*router.Config)) *edge {
	tb.Helper()
	e := &edge{
		ca:       newAuthority(tb),
		table:    table.New(table.Config{Domain: tabletest.Domain, Platform: platform}),
		registry: prometheus.NewRegistry(),
	}
	config := router.Config{
		// Caddy takes two listeners on one host and port 0 for a mistake.
		HTTPSAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.2:0", TCPAddress: "127.0.0.1:0", PublicHTTPSPort: 8443,
		CACertFile: e.ca.certFile, CAKeyFile: e.ca.keyFile, StorageDir: tb.TempDir(),
		TenantServerName: "kubernetes.default.svc", DrainTimeout: patience,
	}
	change(&config)
	var err error
	e.Edge, err = router.Start(tb.Context(), config, e.table, slog.New(slog.DiscardHandler), e.registry)
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil && !e.expectsCut {
			tb.Errorf("shutting down: %v", err)
		}
	})
	return e
}

// startIn runs an edge that stores its certificates in a folder.
func startIn(tb testing.TB, dir string) *edge {
	tb.Helper()
	return startWith(tb, "", func(c *router.Config) { c.StorageDir = dir })
}

// serve sends a host to addresses and returns its route, which may be changed before
// the next call of e.apply.
func (e *edge) serve(name, host string, addresses ...string) *v1alpha1.Route {
	tabletest.Add(&e.sources, "acme", acme, name, host, addresses...)
	e.apply()
	return &e.sources.Routes[len(e.sources.Routes)-1]
}

func (e *edge) apply() { e.table.Replace(e.sources) }

// only replaces everything served by one host.
func (e *edge) only(addresses ...string) {
	e.sources = table.Sources{}
	e.serve("web", shop, addresses...)
}

// client trusts the edge and connects to it for every host. It speaks HTTP/2 if asked.
func (e *edge) client(tb testing.TB, http2 bool) *http.Client {
	tb.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := e.HTTPSAddr().String()
			if _, port, _ := net.SplitHostPort(address); port == "80" {
				to = e.HTTPAddr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
		TLSClientConfig:     &tls.Config{RootCAs: e.ca.pool(), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   http2,
		MaxIdleConnsPerHost: 64,
	}
	client := &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tb.Cleanup(transport.CloseIdleConnections)
	return client
}

// app is a backend that answers with a handler.
func app(tb testing.TB, handler http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.DisableGeneralOptionsHandler = true // its handler is asked, whatever for
	server.Start()
	tb.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// nowhere is an address that refuses connections.
func nowhere(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	must(tb, listener.Close())
	return listener.Addr().String()
}

// request makes a request with headers given as name, value, name, value…
func request(tb testing.TB, method, url string, body io.Reader, headers ...string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	must(tb, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	proto  int
}

func do(tb testing.TB, client *http.Client, r *http.Request) answer {
	tb.Helper()
	res, err := client.Do(r)
	must(tb, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(tb, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(body), proto: res.ProtoMajor}
}

func get(tb testing.TB, client *http.Client, url string, headers ...string) answer {
	tb.Helper()
	return do(tb, client, request(tb, http.MethodGet, url, http.NoBody, headers...))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// startSecond tries to run an edge beside the one that runs.
func startSecond(tb testing.TB) (*router.Edge, error) {
	tb.Helper()
	return router.Start(tb.Context(), router.Config{}, table.New(table.Config{Domain: tabletest.Domain}),
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}
