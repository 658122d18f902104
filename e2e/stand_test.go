package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/images"
)

// stand is the running Berth that scenarios use.
type stand struct {
	source string
	cli    string
	home   string
	up     upResult
	roots  *x509.CertPool
	http   *http.Client
	host   client.Client
	kube   string // kubectl
	// running ends the commands that still run when the scenarios are interrupted.
	running context.Context
}

// upResult is what `berth up --json` prints.
type upResult struct {
	Domain     string `json:"domain"`
	URL        string `json:"url"`
	HTTPSPort  int    `json:"httpsPort"`
	HTTPPort   int    `json:"httpPort"`
	Registry   string `json:"registry"`
	CA         string `json:"ca"`
	CLIConfig  string `json:"cliConfig"`
	Kubeconfig string `json:"kubeconfig"`
	Logs       string `json:"logs"`
	ZoneFile   string `json:"zoneFile"`
	Total      int64  `json:"totalMilliseconds"`
}

// connect makes the clients that scenarios use.
func (s *stand) connect() error {
	s.roots = x509.NewCertPool()
	if err := s.trust(s.up.CA); err != nil {
		return err
	}
	s.http = s.edgeClient(&tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12})
	config, err := clientcmd.BuildConfigFromFlags("", s.up.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), berthv1.AddToScheme(scheme)); err != nil {
		return err
	}
	s.host, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// trust lets the scenarios' client talk to an edge whose certificates this authority signs.
func (s *stand) trust(path string) error {
	ca, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !s.roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s holds no certificate", path)
	}
	return nil
}

// another makes a stand for a second instance with Berth in it, which has the test images
// then. The load of scenarios goes through the first one's client, which must be idle now:
// it learns to trust the edge of the other.
func (s *stand) another(t *testing.T, up upResult) *stand {
	t.Helper()
	other := &stand{source: s.source, cli: s.cli, home: s.home, kube: s.kube, running: s.running, up: up}
	if err := errors.Join(other.connect(), other.pushTestApp(), s.trust(up.CA)); err != nil {
		t.Fatal(err)
	}
	return other
}

// edgeClient is a client that finds every host name at the instance's edge, since the
// resolver of the machine does not know them.
func (s *stand) edgeClient(config *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
}

// testImage is the reference of a version of the test app.
func testImage(version string) string { return "registry.berth.internal/test/app:" + version }

// pushTestApp makes the images that scenarios deploy.
func (s *stand) pushTestApp() error {
	binary := filepath.Join(s.source, "bin", "testapp")
	build := exec.Command("go", "build", "-o", binary, "./e2e/testapp")
	build.Dir = s.source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the test app: %w\n%s", err, out)
	}
	entry, err := images.Binary("/testapp", binary)
	if err != nil {
		return err
	}
	for version, env := range map[string][]string{
		"1": nil, "2": nil, "3": nil, "unhealthy": {"UNHEALTHY=1"},
	} {
		image, err := images.Scratch(images.Config{Entrypoint: []string{"/testapp"}, Env: append(env, "VERSION="+version)}, entry)
		if err != nil {
			return err
		}
		if err := images.Push(context.Background(), s.up.Registry, testImage(version), image); err != nil {
			return err
		}
	}
	return nil
}

// command is a call of the command line with the instance's configuration. When the
// scenarios are interrupted it is told to end.
func (s *stand) command(args ...string) *exec.Cmd {
	command := exec.CommandContext(s.running, s.cli, args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Env = append(os.Environ(), "BERTH_HOME="+s.home, "BERTH_CONFIG="+s.up.CLIConfig)
	return command
}

// berth runs the command line and returns what it prints; the scenario ends if it fails.
func (s *stand) berth(t *testing.T, args ...string) string {
	t.Helper()
	out, errOut, code := s.try(t, args...)
	if code != 0 {
		t.Fatalf("berth %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// try runs the command line and returns what it prints and its exit code.
func (s *stand) try(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	command := s.command(args...)
	command.Stdout, command.Stderr = &out, &errOut
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		t.Fatalf("berth %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), code
}

// decode reads what a command printed with --json.
func decode(t *testing.T, out string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// kubectl runs kubectl with a kubeconfig and returns what it prints, on both streams.
func (s *stand) kubectl(kubeconfig string, args ...string) (string, error) {
	command := exec.Command(s.kube, append([]string{"--kubeconfig", kubeconfig}, args...)...)
	command.Env = append(os.Environ(), "BERTH_HOME="+s.home, "BERTH_CONFIG="+s.up.CLIConfig)
	out, err := command.CombinedOutput()
	return string(out), err
}

// get fetches a page from the edge.
func (s *stand) get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := s.http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// answer says what an address answers, and whether it is a page. Unlike get it takes no for
// an answer.
func (s *stand) answer(url string) (bool, string) {
	response, err := s.http.Get(url)
	if err != nil {
		return false, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Sprintf("%s: %s", response.Status, body)
	}
	return true, string(body)
}

// url is the address of an app at the edge.
func (s *stand) url(host, path string) string {
	return fmt.Sprintf("https://%s.%s:%d%s", host, s.up.Domain, s.up.HTTPSPort, path)
}

// eventually asks until the answer is yes; what says what is waited for.
func eventually(t *testing.T, within time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		done, seen := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s; last seen: %s", within, what, seen)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tenant makes a tenant for one scenario and removes it afterwards.
func (s *stand) tenant(t *testing.T, name, plan string) {
	t.Helper()
	s.berth(t, "tenants:create", name, "--plan", plan)
	t.Cleanup(func() { s.berth(t, "tenants:delete", name, "--confirm", name) })
}

// apply writes an app file and applies it.
func (s *stand) apply(t *testing.T, tenant, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "berth.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.berth(t, "apply", "-t", tenant, "-f", path)
}

// tryApply writes an app file and applies it, and returns what is said and the exit code.
func (s *stand) tryApply(t *testing.T, tenant, text string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "berth.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.try(t, append([]string{"apply", "-t", tenant, "-f", path}, args...)...)
}
