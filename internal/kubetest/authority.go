package kubetest

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/parts"
)

// RefusedDomain is a domain under which the authority issues nothing.
const RefusedDomain = "blocked.example"

// Authority is a running certificate authority that speaks ACME: Let's Encrypt's own test
// server. It finds every host name at 127.0.0.1 and asks DNS of a server whose TXT
// records the test sets. It refuses one nonce in twenty, as any may.
type Authority struct {
	// Directory is where the protocol begins.
	Directory string
	// Roots, PEM, sign the certificate it serves Directory with.
	Roots []byte

	tb       testing.TB
	binaries string
	dir      string
	// dns answers the authority's questions; records is where a test sets the answers.
	dns, records string
	server       *process
}

// StartAuthority starts an authority that looks for answers to HTTP-01 at httpPort. It ends
// with the test.
func StartAuthority(tb testing.TB, httpPort int) *Authority {
	tb.Helper()
	binaries, err := parts.Build(tb.Context(), parts.Options{Names: parts.Authority, Progress: parts.Print(os.Stderr)})
	if err != nil {
		tb.Fatalf("building the certificate authority: %v", err)
	}
	a := &Authority{tb: tb, binaries: binaries, dir: tb.TempDir()}
	if err := a.prepare(httpPort); err != nil {
		tb.Fatalf("preparing the certificate authority: %v", err)
	}
	a.Start()
	return a
}

// Stop ends the authority. All that it knew is lost, accounts too.
func (a *Authority) Stop() {
	if a.server != nil {
		a.server.stop()
		a.server = nil
	}
}

// Start starts it again at the same address.
func (a *Authority) Start() {
	a.tb.Helper()
	// It would wait up to 15 seconds before it looks at an answer.
	server, err := runWith([]string{"PEBBLE_VA_NOSLEEP=1"}, filepath.Join(a.binaries, "pebble"), a.dir,
		"-config="+filepath.Join(a.dir, "config.json"), "-dnsserver="+a.dns)
	if err != nil {
		a.tb.Fatal(err)
	}
	a.server = server
	a.tb.Cleanup(server.stop)
	if err := server.await(a.tb.Context(), dials("tcp", strings.TrimSuffix(strings.TrimPrefix(a.Directory, "https://"), "/dir"))); err != nil {
		a.tb.Fatal(err)
	}
}

// SetTXT makes a name, with its final dot, have one TXT record; an empty value removes it.
func (a *Authority) SetTXT(ctx context.Context, name, value string) error {
	path := "/set-txt"
	if value == "" {
		path = "/clear-txt"
	}
	body, err := json.Marshal(map[string]string{"host": name, "value": value})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.records+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// prepare starts the DNS server and writes what the authority reads.
func (a *Authority) prepare(httpPort int) error {
	ctx := a.tb.Context()
	ca, caKey, err := issue(nil, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return err
	}
	leaf, leafKey, err := issue(ca, caKey, &x509.Certificate{
		Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	key, err := keyPEM(leafKey)
	if err != nil {
		return err
	}
	addresses, err := freeAddresses(ctx, 3)
	if err != nil {
		return err
	}
	a.Roots, a.Directory, a.dns, a.records = certPEM(ca), "https://"+addresses[0]+"/dir", addresses[1], addresses[2]
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": addresses[0], "httpPort": httpPort, "keyAlgorithm": "ecdsa",
		"certificate": filepath.Join(a.dir, "tls.crt"), "privateKey": filepath.Join(a.dir, "tls.key"),
		"domainBlocklist": []string{RefusedDomain}, "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"config.json": config, "tls.crt": certPEM(leaf), "tls.key": key} {
		if err := os.WriteFile(filepath.Join(a.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	names, err := run(filepath.Join(a.binaries, "pebble-challtestsrv"), a.dir,
		"-dnsserver="+a.dns, "-management="+a.records, "-defaultIPv6=", "-http01=", "-https01=", "-tlsalpn01=", "-doh=")
	if err != nil {
		return err
	}
	a.tb.Cleanup(names.stop)
	return names.await(ctx, func(ctx context.Context) error {
		return errors.Join(dials("tcp", a.dns)(ctx), dials("tcp", a.records)(ctx))
	})
}

// freeAddresses are addresses on loopback that nobody listens on, all different.
func freeAddresses(ctx context.Context, n int) ([]string, error) {
	var config net.ListenConfig
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // Only then can the next be another.
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}
