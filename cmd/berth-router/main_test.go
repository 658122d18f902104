package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/berth-dev/berth/internal/kubetest"
)

const patience = 30 * time.Second

// realAuthority fills the folder with an authority that can sign.
func realAuthority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test edge"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().AddDate(10, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: cert}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// kubeconfigOf writes what reaches a server to a file.
func kubeconfigOf(t *testing.T, config *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: "test",
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "test"}},
		Clusters: map[string]*clientcmdapi.Cluster{"test": {
			Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"test": {
			ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

// fetch gives the status and the body, zero while nobody answers.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestTheRouterBecomesReadyServesAndStopsOnASignal(t *testing.T) {
	env := kubetest.Start(t)
	health, metrics, web, lines := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	c, err := parseConfig([]string{
		"--https-address=127.0.0.2:0", "--http-address=" + web, "--tcp-address=127.0.0.1:0", "--metrics-address=" + metrics,
		"--health-address=" + health, "--access-address=" + lines, "--ca-dir=" + realAuthority(t), "--storage-dir=" + t.TempDir(),
		"--kubeconfig=" + kubeconfigOf(t, env.Config), "--shutdown-delay=0s",
	}, environment(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	var logged bytes.Buffer
	go func() { done <- run(context.Background(), c, slog.New(slog.NewTextHandler(&logged, nil))) }()

	tick, limit := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for status := 0; status != http.StatusOK; status, _ = fetch(t, "http://"+health+"/readyz") {
		select {
		case err := <-done:
			t.Fatalf("ended with %v", err)
		case <-limit:
			t.Fatalf("not ready: status %d", status)
		case <-tick.C:
		}
	}
	if status, _ := fetch(t, "http://"+health+"/healthz"); status != http.StatusOK {
		t.Errorf("health is %d", status)
	}
	if _, body := fetch(t, "http://"+metrics+"/metrics"); !strings.Contains(body, "\nberth_router_hosts 2\n") {
		t.Errorf("metrics are %s", body)
	}
	if status, body := fetch(t, "http://"+lines+"/access?tenant=acme&app=shop"); status != http.StatusOK || body != "" {
		t.Errorf("the access log of an app without requests gives %d %q", status, body)
	}
	if status, _ := fetch(t, "http://"+web+"/"); status != http.StatusNotFound {
		t.Errorf("an unknown host gives %d", status)
	}

	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("still running")
	}
	if !strings.Contains(logged.String(), "shutting down") {
		t.Errorf("the log says %s", &logged)
	}
}

func TestAManagementKubeconfigThatCannotBeUsedIsNotQuoted(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(bad, []byte("users:\n- name: x\n  user: {token: s3cret, nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := kubeconfigOf(t, &rest.Config{Host: "https://127.0.0.1:1"})
	_, _, err := clusters(config{kubeconfig: host, controllerName: "eu", management: bad})
	if err == nil || !strings.Contains(err.Error(), "management-kubeconfig") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	management, same, err := clusters(config{kubeconfig: host})
	if err != nil || management == nil || same != nil {
		t.Errorf("one cluster gives %v, %v, %v", management, same, err)
	}
}
