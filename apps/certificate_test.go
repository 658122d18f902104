package apps_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

var certNow = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// signed is a certificate with its key, and what may sign others.
type signed struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func (s signed) cert() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate.Raw})
}

func (s signed) keyPEM(tb testing.TB) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// sign makes a certificate of 90 days; without a parent it signs itself.
func sign(tb testing.TB, parent *signed, key crypto.Signer, change func(*x509.Certificate)) signed {
	tb.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			tb.Fatal(err)
		}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: certNow.AddDate(0, 0, -1), NotAfter: certNow.AddDate(0, 0, 89),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	by, byKey := template, key
	if parent != nil {
		by, byKey = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return signed{certificate, key}
}

func authority(tb testing.TB, parent *signed, name string) *signed {
	tb.Helper()
	made := sign(tb, parent, nil, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid = pkix.Name{CommonName: name}, true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
	})
	return &made
}

func named(hosts ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = hosts }
}

func TestCheckPair(t *testing.T) {
	root := authority(t, nil, "Test Root")
	middle := authority(t, root, "Test Middle")
	good := sign(t, middle, nil, named("shop.example", "www.shop.example"))
	other := sign(t, middle, nil, named("other.example"))
	wild := sign(t, middle, nil, named("*.shop.example"))
	use := sign(t, middle, nil, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"shop.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := sign(t, middle, short, named("shop.example"))
	chain := slices.Concat(good.cert(), middle.cert())
	ecParameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	tests := map[string]struct {
		cert, key []byte
		host      string
		now       time.Time
		fault     string
	}{
		"a chain in order with its key is good":            {chain, good.keyPEM(t), "shop.example", certNow, ""},
		"a host may be asked for in no particular":         {chain, good.keyPEM(t), "", certNow, ""},
		"a chain may end with its root":                    {slices.Concat(chain, root.cert()), good.keyPEM(t), "shop.example", certNow, ""},
		"parameters before an EC key do not disturb":       {chain, slices.Concat(ecParameters, good.keyPEM(t)), "shop.example", certNow, ""},
		"a wildcard covers one label":                      {wild.cert(), wild.keyPEM(t), "a.shop.example", certNow, ""},
		"a wildcard covers the wildcard":                   {wild.cert(), wild.keyPEM(t), "*.shop.example", certNow, ""},
		"a wildcard does not cover two labels":             {wild.cert(), wild.keyPEM(t), "a.b.shop.example", certNow, "certificate: is for *.shop.example, not for a.b.shop.example"},
		"a wildcard does not cover its base":               {wild.cert(), wild.keyPEM(t), "shop.example", certNow, "not for shop.example"},
		"a host does not cover the wildcard over it":       {chain, good.keyPEM(t), "*.shop.example", certNow, "not for *.shop.example"},
		"another certificate's key does not fit":           {chain, other.keyPEM(t), "shop.example", certNow, "key: does not fit the certificate of shop.example"},
		"several keys are refused":                         {chain, slices.Concat(good.keyPEM(t), other.keyPEM(t)), "shop.example", certNow, "key: holds several keys"},
		"a key with a passphrase is refused":               {chain, locked, "shop.example", certNow, "key: is locked with a passphrase"},
		"no key is refused":                                {chain, nil, "shop.example", certNow, "key: holds no private key"},
		"a damaged key is refused":                         {chain, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "shop.example", certNow, "key: cannot be read"},
		"no certificate is refused":                        {[]byte("hello"), good.keyPEM(t), "shop.example", certNow, "certificate: holds no certificate"},
		"a key among the certificates is refused":          {slices.Concat(chain, good.keyPEM(t)), good.keyPEM(t), "shop.example", certNow, "certificate: holds a private key"},
		"too long a file is refused":                       {bytes.Repeat([]byte("x"), 65<<10), good.keyPEM(t), "shop.example", certNow, "certificate: is longer than 64 KiB"},
		"a chain out of order is refused":                  {slices.Concat(good.cert(), root.cert(), middle.cert()), good.keyPEM(t), "shop.example", certNow, "certificate: is out of order: number 1, of shop.example, is not signed by number 2, of Test Root"},
		"the signer before the host's is refused":          {slices.Concat(middle.cert(), good.cert()), good.keyPEM(t), "shop.example", certNow, "key: does not fit the certificate of Test Middle"},
		"an expired one is refused":                        {chain, good.keyPEM(t), "shop.example", certNow.AddDate(0, 0, 90), "certificate: expired on 2030-03-31 12:00 UTC"},
		"one that is not valid yet is refused":             {chain, good.keyPEM(t), "shop.example", certNow.AddDate(0, 0, -2), "certificate: is not valid before 2029-12-31 12:00 UTC"},
		"one for clients is refused":                       {use.cert(), use.keyPEM(t), "shop.example", certNow, "certificate: is not meant for servers"},
		"a weak key is refused":                            {weak.cert(), weak.keyPEM(t), "shop.example", certNow, "key: RSA with 1024 bits is too weak"},
		"every fault is told, not only the first, at once": {chain, other.keyPEM(t), "x.example", certNow, "not for x.example"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := apps.CheckPair(test.cert, test.key, test.host, test.now)
			if test.fault == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Fatalf("got %v, want %q", err, test.fault)
			}
			var fault *errs.Error
			if !errors.As(err, &fault) || fault.Fix == "" || fault.Code != errs.Invalid {
				t.Errorf("%v says no fix", err)
			}
		})
	}
}

func TestCheckPairGivesTheFacts(t *testing.T) {
	root := authority(t, nil, "Test Root")
	leaf := sign(t, root, nil, named("shop.example"))
	got, err := apps.CheckPair(leaf.cert(), leaf.keyPEM(t), "shop.example", certNow)
	if err != nil {
		t.Fatal(err)
	}
	want := apps.CertificateFacts{
		Hosts: []string{"shop.example"}, Issuer: "Test Root", NotBefore: certNow.AddDate(0, 0, -1), NotAfter: certNow.AddDate(0, 0, 89),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	expired, err := apps.CheckPair(leaf.cert(), leaf.keyPEM(t), "shop.example", certNow.AddDate(1, 0, 0))
	if err == nil || cmp.Diff(want, expired) != "" {
		t.Errorf("an expired one tells %+v, %v", expired, err)
	}
}

func FuzzCheckPair(f *testing.F) {
	leaf := sign(f, nil, nil, named("shop.example"))
	f.Add(leaf.cert(), leaf.keyPEM(f), "shop.example")
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte{}, "*.")
	f.Fuzz(func(t *testing.T, cert, key []byte, host string) {
		facts, err := apps.CheckPair(cert, key, host, certNow)
		if err == nil && (facts.NotAfter.Before(certNow) || len(facts.Hosts) == 0) {
			t.Errorf("took %+v", facts)
		}
	})
}

func TestRenewAt(t *testing.T) {
	from := certNow
	for name, life := range map[string]time.Duration{"of 90 days": 90 * 24 * time.Hour, "of six days": 6 * 24 * time.Hour, "of an hour": time.Hour} {
		t.Run("a certificate "+name+" is renewed when a third is left, spread over a tenth or a day", func(t *testing.T) {
			seen := map[time.Time]bool{}
			for _, host := range []string{"a.example", "b.example", "c.example", "*.a.example"} {
				at := apps.RenewAt(from, from.Add(life), host)
				least := from.Add(life * 2 / 3)
				if at.Before(least) || at.After(least.Add(min(life/10, 24*time.Hour))) {
					t.Errorf("%s: %s after two thirds", host, at.Sub(least))
				}
				if again := apps.RenewAt(from, from.Add(life), host); !again.Equal(at) {
					t.Errorf("%s: then %s, now %s", host, at, again)
				}
				seen[at] = true
			}
			if len(seen) != 4 {
				t.Errorf("four hosts have %d moments", len(seen))
			}
		})
	}
}

func TestNextOrderIsNeverAtOnce(t *testing.T) {
	if got := apps.NextOrder(certNow.AddDate(0, -3, 0), certNow, "a.example", certNow); !got.Equal(certNow.Add(time.Hour)) {
		t.Errorf("got %s", got.Sub(certNow))
	}
	if got := apps.NextOrder(certNow, certNow.Add(90*time.Second), "a.example", certNow); got.After(certNow.Add(70 * time.Second)) {
		t.Errorf("one of 90 seconds is renewed after %s", got.Sub(certNow))
	}
}

func TestRetryOrder(t *testing.T) {
	refused := func(after time.Duration) error { return apps.Refused("no", after, nil) }
	tests := map[string]struct {
		failures int32
		err      error
		want     time.Duration
	}{
		"the first waits a minute":                  {1, refused(0), time.Minute},
		"each waits twice as long":                  {4, refused(0), 8 * time.Minute},
		"none waits more than a day":                {1000, refused(0), 24 * time.Hour},
		"an authority that asks for time gets it":   {1, refused(3 * time.Hour), 3 * time.Hour},
		"an authority that is away is asked sooner": {1000, errors.New("connection refused"), 15 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := apps.RetryOrder(test.failures, test.err); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestOnlyThePlatformsOwnZoneIsProvenByDNS(t *testing.T) {
	for host, want := range map[string]bool{
		"*.acme.berth.example": true, "*.berth.example": true, "*.k8s.berth.example": true,
		"*.shop.example": false, "*.otherberth.example": false, "www.berth.example": false,
	} {
		if got := apps.Provable(host, "berth.example"); got != want {
			t.Errorf("%s: %t", host, got)
		}
	}
}
