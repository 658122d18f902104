package tabletest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// OwnDomain is a tenant's own host, proven, that shares the route of a name.
func OwnDomain(tenant, host, route string) v1alpha1.Domain {
	return v1alpha1.Domain{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.ManagementNamespace(tenant), Name: v1alpha1.DomainName(host), UID: types.UID("domain-" + host),
		},
		Spec: v1alpha1.DomainSpec{Host: host, App: "shop"},
		Status: v1alpha1.DomainStatus{
			Route: route,
			Conditions: []metav1.Condition{{
				Type: v1alpha1.ConditionOwned, Status: metav1.ConditionTrue, Reason: "Proven", LastTransitionTime: metav1.NewTime(Epoch),
			}},
		},
	}
}

// Claim gives domains of one registrable name, its last two labels, to their tenants.
func Claim(domains ...v1alpha1.Domain) v1alpha1.DomainClaim {
	labels := strings.Split(domains[0].Spec.Host, ".")
	claim := v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: strings.Join(labels[len(labels)-2:], ".")}}
	for i := range domains {
		tenant := strings.TrimPrefix(domains[i].Namespace, v1alpha1.ManagementNamespace(""))
		claim.Spec.Holders = append(claim.Spec.Holders, v1alpha1.DomainHolder{
			Host: domains[i].Spec.Host, Tenant: tenant, TenantUID: types.UID("tenant-" + tenant), DomainUID: domains[i].UID,
		})
	}
	return claim
}

// AddDomain adds a domain and its claim. No other may have the same registrable name.
func AddDomain(s *table.Sources, tenant, host, route string) {
	domain := OwnDomain(tenant, host, route)
	s.Domains = append(s.Domains, domain)
	s.DomainClaims = append(s.DomainClaims, Claim(domain))
}

// Pair is the Secret of a host's certificate, signed by itself, for names, valid from
// Epoch until a moment.
func Pair(host string, until time.Time, names ...string) corev1.Secret {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "outside"}, DNSNames: names, NotBefore: Epoch, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host),
			UID: types.UID("pair-" + host), ResourceVersion: "1",
		},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}),
		},
	}
}

// Challenge is the Certificate of a host that an authority looks at now.
func Challenge(host, token, keyAuthorization string) v1alpha1.Certificate {
	return v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host)},
		Spec:       v1alpha1.CertificateSpec{Host: host, Tenant: "acme"},
		Status: v1alpha1.CertificateStatus{
			Challenge: &v1alpha1.HTTPChallenge{Token: token, KeyAuthorization: keyAuthorization},
		},
	}
}
