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
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/internal/parts"
)

// debianTools gives a folder with nginx and h2load from Debian's packages. They are unpacked
// and not installed: installing nginx starts it.
func debianTools(ctx context.Context) (string, error) {
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bench", "debian")
	root := filepath.Join(dir, "root")
	if _, err := os.Stat(filepath.Join(root, "usr/sbin/nginx")); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	download := exec.CommandContext(ctx, "sh", "-ec", `apt-get update -qq
apt-get download -qq nginx nghttp2-client libev4 libjemalloc2
rm -rf new && for f in *.deb; do dpkg-deb --extract "$f" new; done
rm -rf root *.deb && mv new root`)
	download.Dir = dir
	_, err = output(download)
	return root, err
}

// tool is one of those programs, run in the node's network.
func (e *edgeBench) tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := e.inside(ctx, filepath.Join(e.tools, name), args...)
	command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(e.tools, "usr/lib/x86_64-linux-gnu"))
	return command
}

// nginx is the peer: TLS in front of the same process, with an access log as the edge has one.
type nginx struct {
	address string
	command *exec.Cmd
}

// nginxPort is nobody else's on the node's loopback.
const nginxPort = 19443

// startNginx starts the peer with so many hosts and waits until it listens.
func (e *edgeBench) startNginx(ctx context.Context, hosts int) (*nginx, error) {
	dir := filepath.Join(e.scratch, "nginx")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	if err := selfSigned(dir, e.host); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(nginxConfig(dir, e.app, e.host, hosts)), 0o600); err != nil {
		return nil, err
	}
	n := &nginx{
		address: net.JoinHostPort("127.0.0.1", strconv.Itoa(nginxPort)),
		command: e.tool(ctx, "usr/sbin/nginx", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf")),
	}
	if err := n.command.Start(); err != nil {
		return nil, err
	}
	err := until(ctx, tick, 20*time.Second, "nginx listens", func() (bool, error) {
		connection, err := e.dialInside(ctx, "tcp", n.address)
		if err != nil {
			return false, err
		}
		return true, connection.Close()
	})
	if err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "error.log"))
		return nil, errors.Join(err, fmt.Errorf("nginx says: %s", said), n.stop())
	}
	return n, nil
}

func nginxConfig(dir, app, host string, hosts int) string {
	var w strings.Builder
	fmt.Fprintf(&w, `daemon off;
user root;
worker_processes auto;
worker_rlimit_nofile 65536;
pid %[1]s/nginx.pid;
events { worker_connections 16384; }
http {
  access_log %[1]s/access.log combined buffer=64k flush=1s;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 256;
  ssl_certificate %[1]s/cert.pem;
  ssl_certificate_key %[1]s/key.pem;
  keepalive_requests 1000000000;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream app { server %[2]s; keepalive 64; keepalive_requests 1000000000; }
`, dir, app)
	for i := range hosts {
		name := host
		if i > 0 {
			name = strconv.Itoa(i) + "." + host
		}
		fmt.Fprintf(&w, `  server {
    listen 127.0.0.1:%d ssl http2;
    server_name %s;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_read_timeout 1h;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
`, nginxPort, name)
	}
	w.WriteString("}\n")
	return w.String()
}

// memory is what the master and its workers hold, in bytes.
func (n *nginx) memory() (int64, error) {
	master := n.command.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range append(strings.Fields(string(children)), strconv.Itoa(master)) {
		number, err := strconv.Atoi(pid)
		if err != nil {
			return 0, err
		}
		p, err := readProcess(number)
		if err != nil {
			return 0, err
		}
		sum += p.pss << 10
	}
	return sum, nil
}

func (n *nginx) stop() error {
	if err := n.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := n.command.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// selfSigned writes a certificate of the kind the edge has.
func selfSigned(dir, host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{host, "*." + host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// loaded is what a load gave.
type loaded struct {
	perSecond float64
	p50, p99  int64 // microseconds
}

// h2load sends as much as one side takes over its connections, and fails if any answer is not 200.
func (e *edgeBench) h2load(ctx context.Context, address, protocol string) (loaded, error) {
	log := filepath.Join(e.scratch, "h2load.log")
	if err := os.RemoveAll(log); err != nil {
		return loaded{}, err
	}
	args := []string{
		"-c", strconv.Itoa(edgeConnections), "-t", "1", "-D", fmt.Sprintf("%.0fs", edgeLoad.Seconds()), "--warm-up-time", "2s",
		"--connect-to", address, "--log-file", log,
	}
	if protocol == "HTTP/1.1" {
		args = append(args, "--h1")
	}
	out, err := output(e.tool(ctx, "usr/bin/h2load", append(args, "https://"+e.host+"/version")...))
	if err != nil {
		return loaded{}, err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return loaded{}, err
	}
	return readH2load(text, out)
}

// readH2load reads h2load's log: the start in microseconds, the status and how long it took, in
// microseconds, of each request. A request that h2load itself stops, as its time is over, has
// the status 0; each connection has one at most.
func readH2load(log, said []byte) (loaded, error) {
	var took []int64
	var first, last int64
	stopped := 0
	for line := range bytes.Lines(log) {
		fields := bytes.Fields(line)
		if len(fields) != 3 {
			return loaded{}, fmt.Errorf("h2load logged %q", line)
		}
		if string(fields[1]) == "0" && stopped < edgeConnections {
			stopped++
			continue
		}
		if string(fields[1]) != "200" {
			return loaded{}, fmt.Errorf("a request was answered with %s\n%s", fields[1], said)
		}
		start, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return loaded{}, err
		}
		micros, err := strconv.ParseInt(string(fields[2]), 10, 64)
		if err != nil {
			return loaded{}, err
		}
		if first == 0 || start < first {
			first = start
		}
		last = max(last, start+micros)
		took = append(took, micros)
	}
	if !bytes.Contains(said, []byte(" 0 failed, 0 errored, 0 timeout")) {
		return loaded{}, fmt.Errorf("not all went well\n%s", said)
	}
	if len(took) < 100 || last <= first {
		return loaded{}, fmt.Errorf("only %d requests were answered\n%s", len(took), said)
	}
	slices.Sort(took)
	at := func(quantile float64) int64 { return took[int(quantile*float64(len(took)-1))] }
	return loaded{perSecond: float64(len(took)) / (float64(last-first) / 1e6), p50: at(0.5), p99: at(0.99)}, nil
}
