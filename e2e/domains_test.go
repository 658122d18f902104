package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// The domain of TestDomains' tenant. Everything under localhost is at 127.0.0.1 for
// resolvers of people, too.
const ownDomain = "e2e-shop.localhost"

// TestDomains serves an app on hosts of the tenant's own: proven by DNS, with letters of any
// script, by a wildcard, as a redirect, with an uploaded certificate, and by a file at the host.
// What is not proven is not served, and nothing without TLS; another tenant gets neither the host
// nor one that overlaps, whatever token it has.
func TestDomains(t *testing.T) {
	berth.berth(t, "tenants:create", "owner", "--plan", "small")
	berth.tenant(t, "thief", "small")
	berth.apply(t, "owner", helloApp)
	berth.apply(t, "thief", helloApp)
	www := "www." + ownDomain

	t.Run("not before it is proven", func(t *testing.T) {
		added := berth.addDomain(t, "owner", www, "-a", "hello")
		unproven(t, "owner", www)
		if served, what := berth.answer(ownURL(www, "/version")); served || !strings.Contains(what, "tls") {
			t.Errorf("an unproven host is answered: %s", what)
		}
		berth.prove(t, "owner", added)
		ownAnswers(t, www, "/version", 200, "1")
	})
	t.Run("letters of any script", func(t *testing.T) {
		added := berth.addDomain(t, "owner", "bücher."+ownDomain, "-a", "hello")
		if added.Host != "xn--bcher-kva."+ownDomain {
			t.Errorf("bücher is %s in DNS", added.Host)
		}
		berth.prove(t, "owner", added)
		ownAnswers(t, added.Host, "/version", 200, "1")
	})
	t.Run("a wildcard stands for one label", func(t *testing.T) {
		berth.prove(t, "owner", berth.addDomain(t, "owner", "*.any."+ownDomain, "-a", "hello"))
		ownAnswers(t, "a.any."+ownDomain, "/version", 200, "1")
		if served, what := berth.answer(ownURL("b.a.any."+ownDomain, "/version")); served {
			t.Errorf("two labels are served: %s", what)
		}
	})
	t.Run("a redirect keeps path and query", func(t *testing.T) {
		berth.prove(t, "owner", berth.addDomain(t, "owner", ownDomain, "--redirect-to", www))
		redirects(t, ownURL(ownDomain, "/a?b=c"), ownURL(www, "/a?b=c"))
	})
	t.Run("no request without TLS", func(t *testing.T) {
		redirects(t, fmt.Sprintf("http://%s:%d/version", www, berth.up.HTTPPort), ownURL(www, "/version"))
		berth.addDomain(t, "owner", "unproven."+ownDomain, "-a", "hello")
		noneWithoutTLS(t, "owner", map[string]int{
			www: http.StatusPermanentRedirect, "a.any." + ownDomain: http.StatusPermanentRedirect, ownDomain: http.StatusPermanentRedirect,
			"hello.owner." + berth.up.Domain: http.StatusPermanentRedirect,
			"unproven." + ownDomain:          http.StatusNotFound, "b.a.any." + ownDomain: http.StatusNotFound,
		})
	})
	t.Run("another tenant gets nothing of it", stealDomains)
	t.Run("settings of the app hold for its own hosts", func(t *testing.T) {
		in := []string{"-t", "owner", "-a", "hello"}
		berth.berth(t, append([]string{"access:allow", "203.0.113.0/24"}, in...)...)
		ownAnswers(t, www, "/version", 403, "")
		berth.berth(t, append([]string{"access:clear"}, in...)...)
		berth.berth(t, append([]string{"maintenance:on", "--message", "Back at <noon>."}, in...)...)
		ownAnswers(t, www, "/version", 503, "Back at <noon>.")
		berth.berth(t, append([]string{"maintenance:off"}, in...)...)
		ownAnswers(t, www, "/version", 200, "1")
	})
	t.Run("an uploaded certificate", uploadedCertificate)
	t.Run("proven by a file", provenByFile)
	t.Run("removed and added again the old proof is void", func(t *testing.T) {
		berth.berth(t, "domains:remove", www, "-t", "owner")
		eventually(t, 15*time.Second, www+" is not served", func() (bool, string) {
			served, what := berth.answer(ownURL(www, "/version"))
			return !served, what
		})
		berth.addDomain(t, "owner", www, "-a", "hello") // the old record is still there
		unproven(t, "owner", www)
	})
	berth.berth(t, "tenants:delete", "owner", "--confirm", "owner")
	var claims berthv1.DomainClaimList
	if err := berth.host.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	for _, claim := range claims.Items {
		for _, holder := range claim.Spec.Holders {
			if holder.Tenant == "owner" {
				t.Errorf("%s is held by a tenant that is gone", holder.Host)
			}
		}
	}
}

// stealDomains has another tenant ask for what is the owner's.
func stealDomains(t *testing.T) {
	www := "www." + ownDomain
	var owners berthv1.Domain
	key := client.ObjectKey{Namespace: berthv1.ManagementNamespace("owner"), Name: berthv1.DomainName(www)}
	if err := berth.host.Get(t.Context(), key, &owners); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{www, "*." + ownDomain, "x.any." + ownDomain} {
		said, stole := "", false
		out, errOut, code := berth.try(t, "domains:add", "--json", host, "-a", "hello", "-t", "thief")
		said = out + errOut
		if code == 0 {
			// Proven with a token of its own: the thief may even have the DNS for a moment.
			added := berth.domainInfo(t, "thief", host)
			berth.setTXT(t, added.Proof.Record, added.Proof.Text)
			out, errOut, code = berth.try(t, "domains:check", host, "-t", "thief")
			said, stole = out+errOut, code == 0
			// It would have the host, by right, as soon as the owner lets go of it.
			berth.berth(t, "domains:remove", host, "-t", "thief")
		}
		if stole || !strings.Contains(said, "held") && !strings.Contains(said, "another") {
			t.Errorf("%s: the thief is told %q", host, said)
		}
	}
	// A host of nobody's, with the owner's token in its record.
	free := "free-" + ownDomain
	berth.addDomain(t, "thief", free, "-a", "hello")
	berth.setTXT(t, "_berth."+free, "berth-domain="+owners.Status.Token)
	unproven(t, "thief", free)
	ownAnswers(t, www, "/version", 200, "1")
}

// domainInfo reads a domain.
func (s *stand) domainInfo(t *testing.T, tenant, host string) domain {
	t.Helper()
	var d domain
	decode(t, s.berth(t, "domains:info", host, "-t", tenant, "--json"), &d)
	return d
}

// uploadedCertificate serves a host with a pair of the tenant's own; one that does not fit
// is refused.
func uploadedCertificate(t *testing.T) {
	host := "cert." + ownDomain
	dir := t.TempDir()
	own := x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "Owner's own"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	expired := own
	expired.NotAfter = time.Now().Add(-time.Hour)
	cert, key := selfSigned(t, dir, "good", own)
	oldCert, oldKey := selfSigned(t, dir, "old", expired)
	for name, files := range map[string][2]string{"expired": {oldCert, oldKey}, "key of another": {cert, oldKey}, "not a certificate": {key, key}} {
		if out, said, code := berth.try(t, "certs:add", "mine", "--cert", files[0], "--key", files[1], "-t", "owner"); code == 0 {
			t.Errorf("%s: taken: %s%s", name, out, said)
		}
	}
	berth.berth(t, "certs:add", "mine", "--cert", cert, "--key", key, "-t", "owner")
	berth.prove(t, "owner", berth.addDomain(t, "owner", host, "-a", "hello", "--certificate", "mine"))
	eventually(t, 15*time.Second, "the edge serves the uploaded certificate", func() (bool, string) {
		served, err := presented(host)
		if err != nil {
			return false, err.Error()
		}
		return served.SerialNumber.Int64() == 4711, served.Issuer.String()
	})
	if _, said, code := berth.try(t, "certs:remove", "mine", "-t", "owner"); code == 0 || !strings.Contains(said, host) {
		t.Errorf("a certificate in use is removed, or it is not said who uses it: %s", said)
	}
}

// selfSigned writes a certificate and its key into files and gives their paths.
func selfSigned(t *testing.T, dir, name string, template x509.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: certificate}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// presented is the certificate that the edge presents for a host, whoever signed it.
func presented(host string) (*x509.Certificate, error) {
	connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", berth.up.HTTPSPort), &tls.Config{
		ServerName: host, InsecureSkipVerify: true, // the certificate itself is what is looked at
	})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}

// ownURL is an address on a host of the tenant's own.
func ownURL(host, path string) string {
	return fmt.Sprintf("https://%s:%d%s", host, berth.up.HTTPSPort, path)
}

// ownAnswers waits until a host of the tenant's own answers as wanted.
func ownAnswers(t *testing.T, host, path string, code int, body string) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%s%s answers %d %s", host, path, code, body), func() (bool, string) {
		served, what := berth.answer(ownURL(host, path))
		if code == http.StatusOK {
			return served && strings.Contains(what, body), what
		}
		return strings.HasPrefix(what, fmt.Sprint(code)) && strings.Contains(what, body), what
	})
}

// redirects waits until an address redirects for good.
func redirects(t *testing.T, from, to string) {
	t.Helper()
	once := *berth.http
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	eventually(t, 15*time.Second, from+" leads to "+to, func() (bool, string) {
		response, err := once.Get(from)
		if err != nil {
			return false, err.Error()
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusPermanentRedirect && response.Header.Get("Location") == to,
			fmt.Sprint(response.Status, " ", response.Header.Get("Location"))
	})
}
