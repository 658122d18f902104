package e2e

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/parts"
)

const (
	// certDomain is the domain of TestCertificates' tenant.
	certDomain = "e2e-cert.localhost"
	// certLife is how long the authority's certificates are valid at first: Berth renews at two
	// thirds. After it was away they are valid for longLife.
	certLife = 90 * time.Second
	longLife = 90 * 24 * time.Hour
	// clockBehind is how long after its end a certificate may be met.
	clockBehind = 2 * time.Second
	// manyHosts is how many hosts a tenant may have, and has in the end.
	manyHosts = 500
)

// TestCertificates gets certificates from Let's Encrypt's own test server: issued, refused,
// renewed, kept while the authority is away, replaced by the edge's own when they have expired,
// and issued again by themselves when it is back, all without a failed request. Then 500 hosts
// at once.
func TestCertificates(t *testing.T) {
	a := startAuthority(t)
	berth.tenant(t, "certs", "small")
	berth.apply(t, "certs", helloApp)
	host := "www." + certDomain
	berth.setRecords(t, map[string]string{host: "A " + berth.edgeAddress(t)})
	berth.prove(t, "certs", berth.addDomain(t, "certs", host, "-a", "hello"))

	first := a.issued(t, host, 2*time.Minute, "")
	t.Logf("issued by %s, valid for %s", first.Issuer, first.NotAfter.Sub(first.NotBefore))
	load := startReading(t, ownURL(host, "/version"), 50)
	a.issued(t, host, 2*certLife, first.SerialNumber.String())
	load.end(t)
	if left := time.Until(first.NotAfter); left < 0 {
		t.Errorf("renewed %s after the old one had expired", -left)
	} else {
		t.Logf("renewed %s before its end", left.Round(time.Second))
	}
	t.Run("the authority refuses", authorityRefuses)
	t.Run("the authority is away", func(t *testing.T) { authorityAway(t, a, host) })
	a.start(t, longLife)
	load = startReading(t, ownURL(host, "/version"), 20)
	start := time.Now()
	a.issued(t, host, 6*time.Minute, "")
	t.Logf("issued again %s after the authority was back", time.Since(start).Round(time.Second))
	load.end(t)
	t.Run("500 hosts", func(t *testing.T) { manyCertificates(t, a) })
}

// authorityRefuses asks for a host that the authority cannot look at: its visitors get the
// edge's own certificate, and its owner is told what the authority said.
func authorityRefuses(t *testing.T) {
	host := "lost." + certDomain
	berth.setRecords(t, map[string]string{host: "A " + berth.nodeAddress(t)}) // where nothing answers HTTP
	berth.prove(t, "certs", berth.addDomain(t, "certs", host, "-a", "hello"))
	uncertified(t, host, 3*time.Minute, berthv1.ReasonAuthorityRefused)
	ownAnswers(t, host, "/version", 200, "1")
}

// authorityAway stops the authority until the certificate of a host has expired. Its visitors do
// not notice, and neither do those of a host that never had one.
func authorityAway(t *testing.T, a *authority, host string) {
	t.Helper()
	a.stop(t)
	last, err := presented(host)
	if err != nil {
		t.Fatal(err)
	}
	load, expires := readLate(t, ownURL(host, "/version"), 20), last.NotAfter
	if time.Now().After(expires) {
		t.Fatalf("the certificate ended at %s, before the authority was away", expires)
	}
	without := "new." + certDomain
	berth.prove(t, "certs", berth.addDomain(t, "certs", without, "-a", "hello"))
	uncertified(t, without, 2*time.Minute, berthv1.ReasonAuthorityAway)
	eventually(t, 2*certLife, "the edge's own certificate serves after the last has expired", func() (bool, string) {
		served, err := presented(host)
		if err != nil {
			return false, err.Error()
		}
		own := strings.Contains(served.Issuer.String(), "Berth edge")
		switch {
		case !own && time.Now().After(served.NotAfter.Add(clockBehind)):
			t.Fatalf("an expired certificate is served at %s", time.Now())
		case !own:
			expires = served.NotAfter
		case time.Now().Before(expires):
			t.Errorf("the edge's own certificate serves at %s, and the last one holds until %s", time.Now(), expires)
		}
		return own, served.Issuer.String()
	})
	uncertified(t, host, time.Minute, berthv1.ReasonExpired)
	ownAnswers(t, host, "/version", 200, "1")
	noneWithoutTLS(t, "certs", map[string]int{host: http.StatusPermanentRedirect, without: http.StatusPermanentRedirect})
	t.Log("while the certificate expired:")
	load.end(t)
}

// uncertified waits until a domain says for the reason given that it has no certificate, and
// that its owner is told so.
func uncertified(t *testing.T, host string, within time.Duration, reason string) {
	t.Helper()
	message := ""
	eventually(t, within, host+" has no certificate: "+reason, func() (bool, string) {
		d := berth.domainInfo(t, "certs", host)
		for _, c := range d.Conditions {
			if c.Type == berthv1.ConditionCertified {
				message = c.Message
				return c.Status == "False" && c.Reason == reason, fmt.Sprintf("%s, %s: %s", c.Status, c.Reason, c.Message)
			}
		}
		return false, "no such condition"
	})
	info := berth.berth(t, "domains:info", host, "-t", "certs")
	t.Logf("domains:info says:\n%s", info)
	if first, _, _ := strings.Cut(message, ". "); message == "" || !strings.Contains(info, first) {
		t.Errorf("domains:info does not say %q:\n%s", first, info)
	}
}

// readLate is startReading for visitors whose clock is behind: a certificate may end between
// the moment when the edge gives it and the moment when they look at it.
func readLate(t *testing.T, address string, perSecond int) *load {
	t.Helper()
	l := newLoad(t, http.MethodGet, address, perSecond, nil)
	transport, ok := l.fresh.client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the client for fresh connections has a %T", l.fresh.client.Transport)
	}
	transport.TLSClientConfig.Time = func() time.Time { return time.Now().Add(-clockBehind) }
	l.begin(t)
	return l
}

// manyCertificates asks for the rest of the hosts at once and waits until each has its own.
func manyCertificates(t *testing.T, a *authority) {
	t.Helper()
	var there berthv1.DomainList
	if err := berth.host.List(t.Context(), &there, client.InNamespace(berthv1.ManagementNamespace("certs"))); err != nil {
		t.Fatal(err)
	}
	names := make([]string, manyHosts-len(there.Items))
	for i := range names {
		names[i] = fmt.Sprintf("h%d.%s", i, certDomain)
	}
	start, edge := time.Now(), berth.edgeAddress(t)
	adding, ctx := errgroup.WithContext(t.Context())
	adding.SetLimit(4)
	var mu sync.Mutex
	proofs := map[string]string{}
	for _, name := range names {
		adding.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			out, said, code := berth.try(t, "domains:add", name, "-a", "hello", "-t", "certs", "--json")
			var added domain
			if err := json.Unmarshal([]byte(out), &added); code != 0 || err != nil {
				return fmt.Errorf("domains:add %s: exit code %d: %s%s", name, code, out, said)
			}
			mu.Lock()
			defer mu.Unlock()
			proofs[added.Proof.Record] = fmt.Sprintf("TXT %q", added.Proof.Text)
			proofs[name] = "A " + edge
			return nil
		})
	}
	if err := adding.Wait(); err != nil {
		t.Fatal(err)
	}
	berth.setRecords(t, proofs)
	t.Logf("%d hosts added after %s", len(names), time.Since(start).Round(time.Second))
	eventually(t, 20*time.Minute, "every host has a certificate", func() (bool, string) {
		var all berthv1.CertificateList
		if err := berth.host.List(t.Context(), &all, client.InNamespace(berthv1.CertificateNamespace)); err != nil {
			return false, err.Error()
		}
		missing := maps.Clone(proofs)
		for _, c := range all.Items {
			if c.Status.NotAfter != nil {
				delete(missing, c.Spec.Host)
			}
		}
		waiting := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return missing[name] == "" })
		time.Sleep(2 * time.Second) // a list of all is not asked for ten times a second
		return len(waiting) == 0, fmt.Sprint(len(waiting), " wait, such as ", waiting[:min(3, len(waiting))])
	})
	t.Logf("all issued after %s", time.Since(start).Round(time.Second))
	for _, name := range names {
		eventually(t, 30*time.Second, name+" answers", func() (bool, string) { return berth.answer(ownURL(name, "/version")) })
		if served, err := presented(name); err != nil || !strings.Contains(served.Issuer.String(), a.name) {
			t.Fatalf("%s: %v, signed by %v", name, err, served)
		}
	}
}

// authority is Let's Encrypt's test server in the node's network, and an instance whose
// Berth orders from it.
type authority struct {
	dir, binaries, address, zone string
	// cert and key are files: what it speaks ACME with.
	cert, key string
	server    *exec.Cmd
	// name is in the issuer of all it signs.
	name string
}

// startAuthority starts it and installs Berth with it; afterwards Berth has none again.
func startAuthority(t *testing.T) *authority {
	t.Helper()
	binaries, err := parts.Build(t.Context(), parts.Options{SourceDir: berth.source, Names: parts.Authority})
	if err != nil {
		t.Fatal(err)
	}
	node := berth.nodeAddress(t)
	// Port 443 of the node is nobody's and one that Berth may speak to outside.
	a := &authority{dir: t.TempDir(), binaries: binaries, address: node, zone: node + ":5354", name: "Pebble"}
	a.cert, a.key = selfSigned(t, a.dir, "tls", x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IPAddresses: []net.IP{net.ParseIP(node)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, // it is its own root
	})
	a.start(t, certLife)
	t.Cleanup(func() { a.stop(t) })
	roots, err := os.ReadFile(a.cert)
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(map[string]any{"acme": map[string]any{"directory": "https://" + node + "/dir", "roots": string(roots)}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.dir, "values.yaml")
	if err := os.WriteFile(file, values, 0o600); err != nil {
		t.Fatal(err)
	}
	upgrade := []string{"up", "--context", "berth-" + instanceName, "--source", berth.source, "--pool", "1"}
	berth.berth(t, append(upgrade, "--values", file)...)
	t.Cleanup(func() { berth.berth(t, upgrade...) })
	return a
}

// start starts it with certificates that are valid for so long. It knows nothing of before.
func (a *authority) start(t *testing.T, life time.Duration) {
	t.Helper()
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.address + ":443", "managementListenAddress": a.address + ":15000", "httpPort": 80, "tlsPort": 443,
		"certificate": a.cert, "privateKey": a.key, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "of the scenario", "validityPeriod": int(life.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	a.server = onNode(berth.nodePID(t), filepath.Join(a.binaries, "pebble"),
		"-config", filepath.Join(a.dir, "config.json"), "-dnsserver", a.zone)
	a.server.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	log, err := os.Create(filepath.Join(a.dir, "pebble.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	a.server.Stdout, a.server.Stderr = log, log
	if err := a.server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the authority listens", func() (bool, string) {
		// Its root is another after every start.
		root, err := onNode(berth.nodePID(t), "curl", "-sfk", "https://"+a.address+":15000/roots/0").Output()
		return err == nil && berth.roots.AppendCertsFromPEM(root), fmt.Sprint(err)
	})
}

func (a *authority) stop(t *testing.T) {
	t.Helper()
	if a.server == nil {
		return
	}
	if err := a.server.Process.Kill(); err != nil {
		t.Log(err)
	}
	_ = a.server.Wait() // killed
	a.server = nil
}

// issued waits until the edge presents a certificate of the authority for a host, another than
// the one with the serial number before.
func (a *authority) issued(t *testing.T, host string, within time.Duration, before string) *x509.Certificate {
	t.Helper()
	var last *x509.Certificate
	eventually(t, within, "a certificate for "+host, func() (bool, string) {
		served, err := presented(host)
		if err != nil {
			return false, err.Error()
		}
		last = served
		return strings.Contains(served.Issuer.String(), a.name) && served.SerialNumber.String() != before,
			served.Issuer.String() + " until " + served.NotAfter.String()
	})
	return last
}
