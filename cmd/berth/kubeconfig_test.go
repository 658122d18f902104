package main

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/berth-dev/berth/internal/apiclient"
)

// Where a public authority signs the edge's certificate, a kubeconfig that names the edge's
// own would be refused.
func TestTheAuthorityIsNamedUnlessTheSystemKnowsTheServer(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // strangers' handshakes are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	for name, c := range map[string]struct {
		server string
		roots  *x509.CertPool
		want   bool
	}{
		"a known authority":   {server.URL, known, true},
		"the edge's own":      {server.URL, nil, false},
		"nobody answers":      {"https://127.0.0.1:1", known, false},
		"what is no address":  {"https://%", known, false},
		"a name not covered":  {"https://localhost:1", known, false},
		"another's authority": {server.URL, x509.NewCertPool(), false},
	} {
		if got := vouchedFor(t.Context(), c.server, c.roots); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	conf := clientcmdapi.NewConfig()
	if err := addContext(t.Context(), conf, apiclient.Kubeconfig{Tenant: "acme", Server: server.URL, CA: "the edge's"}); err != nil {
		t.Fatal(err)
	}
	if got := string(conf.Clusters["berth-tenant-acme"].CertificateAuthorityData); got != "the edge's" {
		t.Errorf("got %q", got)
	}
}
