package localcluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is made anew at a start.
	renewBefore = 90 * 24 * time.Hour
)

// authority signs the certificates of one cluster.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// leaf describes one certificate of the cluster.
type leaf struct {
	file          string
	commonName    string
	organizations []string
	addresses     []string
}

func leaves() []leaf {
	server := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", nodeIP, kubernetesServiceIP,
	}
	return []leaf{
		{file: "apiserver", commonName: "kube-apiserver", addresses: server},
		{file: "apiserver-kubelet", commonName: "kube-apiserver-kubelet-client", organizations: []string{"system:masters"}},
		{file: "front-proxy", commonName: "front-proxy"},
		{file: "kubelet", commonName: "system:node:" + nodeName, organizations: []string{"system:nodes"}, addresses: []string{nodeName, nodeIP}},
		{file: "controller-manager", commonName: "system:kube-controller-manager", addresses: []string{"127.0.0.1"}},
		{file: "scheduler", commonName: "system:kube-scheduler", addresses: []string{"127.0.0.1"}},
		{file: "kube-proxy", commonName: "system:kube-proxy"},
		{file: "fargate", commonName: "berth:fargate", addresses: []string{"127.0.0.1"}},
		{file: "node-agent", commonName: "berth:node-agent", organizations: []string{"system:masters"}},
		{file: "admin", commonName: "berth:admin", organizations: []string{"system:masters"}},
	}
}

// ensurePKI makes the certificates an instance lacks or that end soon, and the
// kubeconfigs that use them.
func (i *Instance) ensurePKI(apiPortOutside int) error {
	ca, err := i.ensureAuthority()
	if err != nil {
		return err
	}
	for _, leaf := range leaves() {
		if err := ca.ensureLeaf(i.path("pki"), leaf); err != nil {
			return fmt.Errorf("certificate %s: %w", leaf.file, err)
		}
	}
	if err := i.ensureServiceAccountKey(); err != nil {
		return err
	}
	inside := fmt.Sprintf("https://%s:%d", nodeIP, apiPort)
	for _, name := range []string{"kubelet", "controller-manager", "scheduler", "kube-proxy", "node-agent"} {
		if err := i.writeKubeconfig(i.path("pki", name+".kubeconfig"), name, inside); err != nil {
			return err
		}
	}
	outside := fmt.Sprintf("https://127.0.0.1:%d", apiPortOutside)
	for _, path := range []string{i.adminKubeconfig(), i.Kubeconfig()} {
		if err := i.writeKubeconfig(path, "admin", outside); err != nil {
			return err
		}
	}
	return nil
}

func (i *Instance) ensureAuthority() (*authority, error) {
	certificatePath, keyPath := i.path("pki", "ca.crt"), i.path("pki", "ca.key")
	if certificate, key, err := readPair(certificatePath, keyPath); err == nil {
		return &authority{certificate, key}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(pkix.Name{CommonName: "berth-" + i.Name}, caLifetime)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key}, writePair(certificatePath, keyPath, der, key)
}

func (ca *authority) ensureLeaf(dir string, want leaf) error {
	certificatePath, keyPath := filepath.Join(dir, want.file+".crt"), filepath.Join(dir, want.file+".key")
	certificate, _, err := readPair(certificatePath, keyPath)
	if err == nil && time.Until(certificate.NotAfter) > renewBefore && certificate.CheckSignatureFrom(ca.certificate) == nil && want.is(certificate) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificateTemplate(pkix.Name{CommonName: want.commonName, Organization: want.organizations}, leafLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, address := range want.addresses {
		if ip := net.ParseIP(address); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, address)
		}
	}
	if len(want.addresses) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return err
	}
	return writePair(certificatePath, keyPath, der, key)
}

// is tells whether a certificate is for the names that are wanted.
func (l leaf) is(certificate *x509.Certificate) bool {
	have := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		have = append(have, ip.String())
	}
	want := slices.Clone(l.addresses)
	slices.Sort(have)
	slices.Sort(want)
	return certificate.Subject.CommonName == l.commonName && slices.Equal(certificate.Subject.Organization, l.organizations) && slices.Equal(have, want)
}

func certificateTemplate(subject pkix.Name, lifetime time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand does not fail on Linux
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(lifetime),
	}
}

func (i *Instance) ensureServiceAccountKey() error {
	path := i.path("pki", "service-accounts.key")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(path, key)
}

func (i *Instance) writeKubeconfig(path, user, server string) error {
	var material [3][]byte
	for n, file := range []string{"ca.crt", user + ".crt", user + ".key"} {
		data, err := os.ReadFile(i.path("pki", file))
		if err != nil {
			return err
		}
		material[n] = data
	}
	name := "berth-" + i.Name
	config := clientcmdapi.Config{
		CurrentContext: name,
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: server, CertificateAuthorityData: material[0]}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: material[1], ClientKeyData: material[2]}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
	}
	data, err := clientcmd.Write(config)
	if err != nil {
		return err
	}
	return writeFile(path, data, 0o600)
}

// readPair reads a certificate and its key. A start that is killed while it writes a new
// pair can leave two that do not belong together, which is an error.
func readPair(certificatePath, keyPath string) (*x509.Certificate, crypto.Signer, error) {
	certificatePEM, err := os.ReadFile(certificatePath)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, nil, fmt.Errorf("%s and its key: %w: delete both to make them anew", certificatePath, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s: its key cannot sign", certificatePath)
	}
	return pair.Leaf, key, nil
}

func writePair(certificatePath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	if err := writeKey(keyPath, key); err != nil {
		return err
	}
	return writeFile(certificatePath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
