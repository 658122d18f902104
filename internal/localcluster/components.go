package localcluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// component is one of the node's processes.
type component struct {
	name string
	args []string
	// after names the components that must be ready before this one starts.
	after []string
	// ready returns nil once the component does its work.
	ready func() error
}

// components are the node's processes in the order they are shown.
func (i *Instance) components(partsDir string) []component {
	part := func(name string, args ...string) []string {
		return append([]string{filepath.Join(partsDir, name)}, args...)
	}
	pki := func(name string) string { return i.path("pki", name) }
	api := fmt.Sprintf("https://%s:%d", nodeIP, apiPort)
	kine := i.path("run", "kine.sock")
	return []component{
		{
			name:  "containerd",
			args:  part("containerd", "--config", i.path("config", "containerd.toml")),
			ready: func() error { return socketReady(i.ContainerdSocket()) },
		},
		{
			name:  "registry",
			args:  part("registry", "serve", i.path("config", "registry.yaml")),
			ready: func() error { return httpReady(fmt.Sprintf("http://%s:%d/v2/", nodeIP, registryPort), nil) },
		},
		{
			name: "kine",
			args: part("kine",
				"--listen-address", "unix://"+kine,
				"--endpoint", "sqlite://"+i.path("data", "kine", "state.db")+"?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate",
				// Told an older version, the API server asks kine directly for a consistent list:
				// kine announces progress once a second only, and every list would wait for it.
				"--emulated-etcd-version", "3.5.12",
				"--metrics-bind-address", "0"),
			ready: func() error { return socketReady(kine) },
		},
		{
			name: "kube-apiserver",
			args: part("kube-apiserver",
				"--etcd-servers=unix://"+kine,
				"--bind-address="+nodeIP, "--advertise-address="+nodeIP, fmt.Sprintf("--secure-port=%d", apiPort),
				"--tls-cert-file="+pki("apiserver.crt"), "--tls-private-key-file="+pki("apiserver.key"),
				"--client-ca-file="+pki("ca.crt"),
				"--kubelet-certificate-authority="+pki("ca.crt"),
				"--kubelet-client-certificate="+pki("apiserver-kubelet.crt"), "--kubelet-client-key="+pki("apiserver-kubelet.key"),
				"--kubelet-preferred-address-types=InternalIP",
				"--requestheader-client-ca-file="+pki("ca.crt"), "--requestheader-allowed-names=front-proxy",
				"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
				"--requestheader-extra-headers-prefix=X-Remote-Extra-",
				"--proxy-client-cert-file="+pki("front-proxy.crt"), "--proxy-client-key-file="+pki("front-proxy.key"),
				"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
				"--service-account-key-file="+pki("service-accounts.key"), "--service-account-signing-key-file="+pki("service-accounts.key"),
				"--service-cluster-ip-range="+serviceCIDR,
				"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction,DenyServiceExternalIPs",
				"--allow-privileged=true", "--anonymous-auth=false", "--profiling=false",
				"--audit-policy-file="+i.path("config", "audit-policy.yaml"), "--audit-log-path="+i.path("logs", "audit.log"),
				"--audit-log-maxsize=50", "--audit-log-maxbackup=4",
				"--event-ttl=1h"),
			after: []string{"kine"},
			ready: i.apiReady(api + "/readyz"),
		},
		{
			name: "kube-controller-manager",
			args: part("kube-controller-manager",
				"--kubeconfig="+pki("controller-manager.kubeconfig"),
				"--authentication-kubeconfig="+pki("controller-manager.kubeconfig"), "--authorization-kubeconfig="+pki("controller-manager.kubeconfig"),
				"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
				"--tls-cert-file="+pki("controller-manager.crt"), "--tls-private-key-file="+pki("controller-manager.key"),
				"--use-service-account-credentials=true",
				"--service-account-private-key-file="+pki("service-accounts.key"), "--root-ca-file="+pki("ca.crt"),
				"--cluster-signing-cert-file="+pki("ca.crt"), "--cluster-signing-key-file="+pki("ca.key"),
				"--flex-volume-plugin-dir="+i.path("data", "kubelet", "volume-plugins"),
				// A single node that is not heard, since the API server was away, say, still
				// serves: marked as lost it would only take its pods out of every service.
				"--node-monitor-grace-period=1h",
				"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10",
				"--kube-api-qps=100", "--kube-api-burst=200"),
			after: []string{"kube-apiserver"},
			ready: i.apiReady("https://127.0.0.1:10257/healthz"),
		},
		{
			name: "kube-scheduler",
			args: part("kube-scheduler",
				"--kubeconfig="+pki("scheduler.kubeconfig"),
				"--authentication-kubeconfig="+pki("scheduler.kubeconfig"), "--authorization-kubeconfig="+pki("scheduler.kubeconfig"),
				"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
				"--tls-cert-file="+pki("scheduler.crt"), "--tls-private-key-file="+pki("scheduler.key")),
			after: []string{"kube-apiserver"},
			ready: i.apiReady("https://127.0.0.1:10259/healthz"),
		},
		{
			name: "kubelet",
			args: part("kubelet",
				"--config="+i.path("config", "kubelet.yaml"), "--kubeconfig="+pki("kubelet.kubeconfig"),
				"--root-dir="+i.path("data", "kubelet"), "--cert-dir="+i.path("data", "kubelet", "pki"),
				"--hostname-override="+nodeName, "--node-ip="+nodeIP,
				"--node-labels=berth.dev/pool-control-planes=true,berth.dev/pool-apps=true"),
			// No pod starts before the network policies of all are in force.
			after: []string{"containerd", "kube-apiserver", "node-agent"},
			ready: func() error { return httpReady("http://127.0.0.1:10248/healthz", nil) },
		},
		{
			name:  "kube-proxy",
			args:  part("kube-proxy", "--config="+i.path("config", "kube-proxy.yaml")),
			after: []string{"kube-apiserver"},
			ready: func() error { return httpReady("http://127.0.0.1:10256/healthz", nil) },
		},
		{
			name:  "node-agent",
			args:  []string{"/proc/self/exe", agentCommand, i.Name},
			after: []string{"kube-apiserver"},
			ready: func() error { return httpReady("http://"+agentHealth+"/healthz", nil) },
		},
	}
}

// apiReady asks one of the control plane's servers as the administrator.
func (i *Instance) apiReady(url string) func() error {
	return func() error {
		certificate, err := tls.LoadX509KeyPair(i.path("pki", "admin.crt"), i.path("pki", "admin.key"))
		if err != nil {
			return err
		}
		ca, err := os.ReadFile(i.path("pki", "ca.crt"))
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return errors.New("pki/ca.crt holds no certificate")
		}
		return httpReady(url, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
}

func httpReady(url string, config *tls.Config) error {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: 2 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

func socketReady(path string) error {
	connection, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return err
	}
	return connection.Close()
}
