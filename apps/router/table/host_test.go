package table_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/apps/router/table"
)

// authority is the PEM of a fresh authority.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestParseHost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for raw, want := range map[string]string{
		"web.acme.example":              "web.acme.example",
		"WEB.Acme.Example":              "web.acme.example",
		"web.acme.example:8443":         "web.acme.example",
		"web.acme.example.":             "web.acme.example",
		"web.acme.example.:443":         "web.acme.example",
		"db--web.acme.example":          "db--web.acme.example",
		"xn--bcher-kva.example":         "xn--bcher-kva.example",
		long + ".example":               long + ".example",
		"127.0.0.1:80":                  "127.0.0.1",
		"":                              "",
		".":                             "",
		":80":                           "",
		"a..b":                          "",
		".a":                            "",
		"-a.b":                          "",
		"a-.b":                          "",
		"a.b-":                          "",
		"a b":                           "",
		"a/b":                           "",
		"a_b.example":                   "",
		"a\x00.example":                 "",
		"bücher.example":                "",
		"*.example":                     "",
		"user@example":                  "",
		"[::1]:80":                      "",
		"::1":                           "",
		"a:b":                           "",
		"a:123456":                      "",
		"a:80:80":                       "",
		long + "a.example":              "",
		strings.Repeat("a.", 127) + "a": "",
	} {
		got, ok := table.ParseHost(raw)
		if got != want || ok != (want != "") {
			t.Errorf("%q is %q, %v; want %q", raw, got, ok, want)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"web.acme.example:8443", "WEB.", "[::1]", "a..b", "xn--a", "a:0", "\xff", "é.example"} {
		f.Add(seed)
	}
	tbl := newTable()
	tbl.Replace(one(address1))
	f.Fuzz(func(t *testing.T, raw string) {
		host, ok := table.ParseHost(raw)
		if !ok {
			if host != "" {
				t.Errorf("refused, and still gives %q", host)
			}
			return
		}
		if again, ok := table.ParseHost(host); !ok || again != host {
			t.Errorf("%q parses to %q, which parses to %q", raw, host, again)
		}
		if len(host) > 253 || strings.ToLower(host) != host || strings.ContainsAny(host, " :/_*@[]\x00") {
			t.Errorf("%q parses to %q", raw, host)
		}
		if name := tbl.CertificateName(raw); name != "" {
			suffix := strings.TrimPrefix(name, "*")
			if !strings.HasSuffix(host, suffix) || !strings.HasSuffix("."+name, ".berth.localhost") {
				t.Errorf("%q gets the certificate %q", raw, name)
			}
		}
	})
}
