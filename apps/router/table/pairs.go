package table

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// pairs are certificates from outside with their keys, by host and by what follows the
// * of a wildcard and its dot.
type pairs struct {
	exact    map[string]*pair
	wildcard map[string]*pair
}

// pair is one certificate with its key. A Secret that holds none that fits is kept as a
// pair without certificate, so that it is looked at once.
type pair struct {
	version     string
	certificate *tls.Certificate
}

// newPairs reads the Secrets, each once for as long as it stays the same. What is left of a
// certificate that is gone counts no more: the host may be another tenant's by now.
func newPairs(secrets []corev1.Secret, certificates []v1alpha1.Certificate, old map[string]*pair) (pairs, map[string]*pair) {
	found := pairs{exact: make(map[string]*pair, len(secrets)), wildcard: make(map[string]*pair)}
	parsed := make(map[string]*pair, len(secrets))
	wanted := make(map[types.UID]struct{}, len(certificates))
	for i := range certificates {
		wanted[certificates[i].UID] = struct{}{}
	}
	for i := range secrets {
		secret := &secrets[i]
		if secret.Namespace != v1alpha1.CertificateNamespace {
			continue
		}
		if owner := metav1.GetControllerOfNoCopy(secret); owner != nil {
			if _, is := wanted[owner.UID]; !is {
				continue
			}
		}
		exact := strings.TrimPrefix(secret.Name, v1alpha1.DomainName(""))
		base := strings.TrimPrefix(secret.Name, v1alpha1.DomainName("*."))
		to, key, covered := found.exact, exact, exact
		if base != secret.Name {
			// The name stands for one that nobody has: which it is does not matter.
			to, key, covered = found.wildcard, base, "any."+base
		} else if exact == secret.Name {
			continue
		}
		version := string(secret.UID) + "/" + secret.ResourceVersion
		p := old[secret.Name]
		if p == nil || p.version != version {
			p = &pair{version: version, certificate: readPair(secret.Data, covered)}
		}
		parsed[secret.Name] = p
		if p.certificate != nil {
			to[key] = p
		}
	}
	return found, parsed
}

// readPair is the pair in a Secret's data if it is one and covers the host.
func readPair(data map[string][]byte, host string) *tls.Certificate {
	certificate, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil
	}
	if certificate.Leaf == nil {
		if certificate.Leaf, err = x509.ParseCertificate(certificate.Certificate[0]); err != nil {
			return nil
		}
	}
	if certificate.Leaf.VerifyHostname(host) != nil {
		return nil
	}
	return &certificate
}

// validAt is the pair's certificate if it is valid at that moment.
func (p *pair) validAt(now time.Time) *tls.Certificate {
	if p == nil || now.Before(p.certificate.Leaf.NotBefore) || !now.Before(p.certificate.Leaf.NotAfter) {
		return nil
	}
	return p.certificate
}

// Certificate is the certificate from outside to show for a host now: its own, else that
// of the wildcard over it; nil if neither is there and valid. The host must be in the form
// of ParseHost.
func (t *Table) Certificate(host string, now time.Time) *tls.Certificate {
	known := t.current.Load().pairs
	if certificate := known.exact[host].validAt(now); certificate != nil {
		return certificate
	}
	if host == t.config.Domain {
		return nil // it may lie under a wildcard of a tenant's own
	}
	return known.wildcard[parent(host)].validAt(now)
}

// challenges are what authorities look for now, by host.
func challenges(certificates []v1alpha1.Certificate) map[string]v1alpha1.HTTPChallenge {
	open := make(map[string]v1alpha1.HTTPChallenge)
	for i := range certificates {
		c := &certificates[i]
		if c.Status.Challenge == nil || c.Status.Challenge.Token == "" ||
			c.Namespace != v1alpha1.CertificateNamespace || c.Name != v1alpha1.DomainName(c.Spec.Host) {
			continue
		}
		open[c.Spec.Host] = *c.Status.Challenge
	}
	return open
}
