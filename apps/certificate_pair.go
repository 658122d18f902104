package apps

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/internal/errs"
)

const (
	maxPairBytes = 64 << 10
	maxChain     = 10
	minRSABits   = 2048
	pemBlock     = "CERTIFICATE"
	dateLayout   = "2006-01-02 15:04 MST"
)

// CertificateFacts are what a certificate says about itself.
type CertificateFacts struct {
	// Hosts it is for.
	Hosts []string
	// Issuer is the name of who signed it.
	Issuer              string
	NotBefore, NotAfter time.Time
}

// CheckPair judges a certificate chain and its key, both PEM, for a host and a moment. An
// empty host means any. Every fault is an errs.Error whose field is certificate or key;
// nothing of the key is in it. Where the certificate can be read at all there are facts.
func CheckPair(certPEM, keyPEM []byte, host string, now time.Time) (CertificateFacts, error) {
	chain, err := readChain(certPEM)
	if err != nil {
		return CertificateFacts{}, err
	}
	leaf := chain[0]
	return factsOf(leaf), errors.Join(
		checkKey(leaf, keyPEM),
		checkCovers(leaf, host),
		checkTime(leaf, now),
		checkUse(leaf),
		checkStrength(leaf),
		checkOrder(chain),
	)
}

// ReadCertificate gives the facts of the first certificate of a PEM chain.
func ReadCertificate(certPEM []byte) (CertificateFacts, error) {
	chain, err := readChain(certPEM)
	if err != nil {
		return CertificateFacts{}, err
	}
	return factsOf(chain[0]), nil
}

func factsOf(leaf *x509.Certificate) CertificateFacts {
	issuer := leaf.Issuer.CommonName
	if issuer == "" {
		issuer = leaf.Issuer.String()
	}
	return CertificateFacts{
		Hosts: slices.Clone(leaf.DNSNames), Issuer: issuer, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
}

func readChain(certPEM []byte) ([]*x509.Certificate, error) {
	if len(certPEM) > maxPairBytes {
		return nil, badCertificate("is longer than 64 KiB", "Give the host's certificate and those that lead to its authority only.")
	}
	var chain []*x509.Certificate
	for rest := certPEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, badCertificate("holds a private key", "Keep the key in a file of its own.")
		}
		if block.Type != pemBlock {
			return nil, badCertificate(fmt.Sprintf("holds a block of type %q", block.Type), "Give certificates only, such as fullchain.pem.")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, badCertificate("is damaged", "Give the file as the authority sent it.")
		}
		chain = append(chain, certificate)
	}
	switch {
	case len(chain) == 0:
		return nil, badCertificate("holds no certificate in PEM form", "Give a file that begins with -----BEGIN CERTIFICATE-----.")
	case len(chain) > maxChain:
		return nil, badCertificate("holds more than 10 certificates", "Give the host's certificate and those that lead to its authority only.")
	}
	return chain, nil
}

// checkKey tells apart what is wrong with a key, in words that show nothing of it.
func checkKey(leaf *x509.Certificate, keyPEM []byte) error {
	if len(keyPEM) > maxPairBytes {
		return badKey("is longer than 64 KiB", "Give the key alone.")
	}
	var keys []*pem.Block
	for rest := keyPEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			keys = append(keys, block)
		}
	}
	switch {
	case len(keys) == 0:
		return badKey("holds no private key in PEM form", "Give the file with the line -----BEGIN PRIVATE KEY-----.")
	case len(keys) > 1:
		return badKey("holds several keys", "Give only the one that belongs to the certificate.")
	case keys[0].Type == "ENCRYPTED PRIVATE KEY" || keys[0].Headers["DEK-Info"] != "":
		return badKey("is locked with a passphrase", "Unlock it first: openssl pkey -in key.pem -out unlocked.pem")
	}
	public := publicOf(keys[0])
	if public == nil {
		return badKey("cannot be read", "Give an RSA, ECDSA or Ed25519 key in PEM form.")
	}
	if !public.Equal(leaf.PublicKey) {
		return badKey("does not fit the certificate of "+subject(leaf), "Give the key that the certificate was ordered with.")
	}
	return nil
}

// publicKey is what every public key of the standard library can do.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// publicOf reads a key in any of the forms that TLS servers take; nil means none of them.
func publicOf(block *pem.Block) publicKey {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	signer, signs := key.(crypto.Signer)
	if err != nil || !signs {
		return nil
	}
	public, _ := signer.Public().(publicKey)
	return public
}

func checkCovers(leaf *x509.Certificate, host string) error {
	if host == "" {
		if len(leaf.DNSNames) == 0 {
			return badCertificate("names no host", "Order one with the host as a DNS name; a common name alone counts no more.")
		}
		return nil
	}
	covered := leaf.VerifyHostname(host) == nil
	if strings.HasPrefix(host, "*.") {
		covered = slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return strings.EqualFold(name, host) })
	}
	if covered {
		return nil
	}
	names := "no host"
	if len(leaf.DNSNames) > 0 {
		names = strings.Join(leaf.DNSNames[:min(len(leaf.DNSNames), 5)], ", ")
	}
	return badCertificate("is for "+names+", not for "+host, "Order one that covers "+host+".")
}

func checkTime(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return badCertificate("expired on "+leaf.NotAfter.UTC().Format(dateLayout), "Renew it and give the new one.")
	case now.Before(leaf.NotBefore):
		return badCertificate("is not valid before "+leaf.NotBefore.UTC().Format(dateLayout), "Give it then, or order one that is valid now.")
	}
	return nil
}

func checkUse(leaf *x509.Certificate) error {
	usages := leaf.ExtKeyUsage
	if len(usages) == 0 && len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(usages, x509.ExtKeyUsageServerAuth) || slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil
	}
	return badCertificate("is not meant for servers", "Order one for TLS servers.")
}

func checkStrength(leaf *x509.Certificate) error {
	weak := func(what string) error {
		return badKey(what+" is too weak: browsers refuse it", "Make a key of RSA 2048 or ECDSA P-256 and order a certificate for it.")
	}
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return weak(fmt.Sprintf("RSA with %d bits", bits))
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return weak("ECDSA on " + key.Curve.Params().Name)
		}
	}
	switch leaf.SignatureAlgorithm { //nolint:exhaustive // these are the broken ones
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return badCertificate("is signed with "+leaf.SignatureAlgorithm.String()+", which browsers refuse", "Order a new one.")
	}
	return nil
}

// checkOrder wants each certificate to be signed by the next. That the end is an authority
// browsers know is for the browser to judge: a company may have one of its own.
func checkOrder(chain []*x509.Certificate) error {
	for i, certificate := range chain[:len(chain)-1] {
		next := chain[i+1]
		if !bytes.Equal(certificate.RawIssuer, next.RawSubject) || certificate.CheckSignatureFrom(next) != nil {
			return badCertificate(
				fmt.Sprintf("is out of order: number %d, of %s, is not signed by number %d, of %s", i+1, subject(certificate), i+2, subject(next)),
				"Put the host's certificate first, then the one that signed it, and so on; leave out all others.")
		}
	}
	return nil
}

func subject(certificate *x509.Certificate) string {
	switch {
	case certificate.Subject.CommonName != "":
		return certificate.Subject.CommonName
	case len(certificate.DNSNames) > 0:
		return certificate.DNSNames[0]
	}
	return "an unnamed holder"
}

func badCertificate(message, fix string) error {
	return errs.New(errs.Invalid, "certificate", message, fix)
}

func badKey(message, fix string) error { return errs.New(errs.Invalid, "key", message, fix) }
