package kubetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// attempts is how often a start is tried: between choosing a free port and
// listening on it another process may take it.
const attempts = 3

// startServer starts storage and API server and waits until they answer.
func startServer(ctx context.Context, binaries, dir string) (*rest.Config, error) {
	socket := "unix://" + filepath.Join(dir, "kine.sock")
	kine, err := run(filepath.Join(binaries, "kine"), dir,
		"--endpoint=sqlite://"+filepath.Join(dir, "state.db")+sqliteOptions,
		"--listen-address="+socket,
		// The API server then asks kine directly for consistent lists, without waiting up to
		// a second for kine to announce its progress.
		"--emulated-etcd-version=3.5.12",
		"--metrics-bind-address=0",
	)
	if err != nil {
		return nil, err
	}
	if err := kine.await(ctx, dials("unix", filepath.Join(dir, "kine.sock"))); err != nil {
		return nil, err
	}
	credentials, err := newCredentials(dir)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		config, err := startAPIServer(ctx, binaries, dir, socket, credentials)
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "address already in use") {
			return config, err
		}
	}
}

// sqliteOptions trade durability, which no test needs, for speed.
const sqliteOptions = "?_journal=WAL&_synchronous=OFF&cache=shared&_busy_timeout=30000&_txlock=immediate"

func startAPIServer(ctx context.Context, binaries, dir, storage string, c *credentials) (*rest.Config, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	server, err := run(filepath.Join(binaries, "kube-apiserver"), dir,
		"--etcd-servers="+storage,
		"--bind-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(port),
		// Nothing in a test reaches the server through its Service.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--client-ca-file="+c.caFile,
		"--tls-cert-file="+c.serverCertFile,
		"--tls-private-key-file="+c.serverKeyFile,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.accountKeyFile,
		"--service-account-signing-key-file="+c.accountKeyFile,
		"--allow-privileged=true",
		// No controller makes the account "default", without which it would refuse
		// every pod.
		"--disable-admission-plugins=ServiceAccount",
	)
	if err != nil {
		return nil, err
	}
	config := &rest.Config{
		Host:            "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca, CertData: c.adminCert, KeyData: c.adminKey},
		// Tests are not to be slowed down by a limit meant to protect a server.
		QPS:            -1,
		WarningHandler: rest.NoWarnings{},
	}
	if err := server.await(ctx, answers(config)); err != nil {
		server.stop()
		return nil, err
	}
	return config, nil
}

// answers gives a check that the server says it is ready.
func answers(config *rest.Config) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("readyz says %s: %s", response.Status, text)
		}
		return err
	}
}

func dials(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no TCP address", listener.Addr())
	}
	return address.Port, nil
}
