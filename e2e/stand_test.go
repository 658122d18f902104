package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

var (
	keep  = flag.Bool("keep", false, "leave the instance running for a look")
	kills = flag.Int("kills", 5, "how often each scenario of kills repeats")
)

// instanceName keeps the scenarios away from an instance of the machine's user.
const instanceName = "e2e"

// stand is the running Berth that scenarios use.
type stand struct {
	cli  string
	home string
	up   upResult
	http *http.Client
	host client.Client
	kube string // kubectl
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
	Total      int64  `json:"totalMilliseconds"`
}

var berth *stand

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	stand, err := newStand()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bringing Berth up:", err)
		return 1
	}
	berth = stand
	code := m.Run()
	if *keep {
		fmt.Fprintf(os.Stderr, "left running: export BERTH_HOME=%s BERTH_CONFIG=%s KUBECONFIG=%s\n", stand.home, stand.up.CLIConfig, stand.up.Kubeconfig)
		return code
	}
	if err := stand.command("down", "--name", instanceName, "--delete").Run(); err != nil {
		fmt.Fprintln(os.Stderr, "taking Berth down:", err)
		return 1
	}
	return code
}

// newStand builds the command line and brings up a fresh instance, which it takes down
// again when it cannot be used.
func newStand() (*stand, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the embedded cluster needs root")
	}
	source, err := parts.FindSource("")
	if err != nil {
		return nil, err
	}
	s := &stand{cli: filepath.Join(source, "bin", "berth"), home: "/var/lib/berth-e2e"}
	build := exec.Command("go", "build", "-o", s.cli, "./cmd/berth")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the command line: %w\n%s", err, out)
	}
	// What an earlier, killed run left is in the way of nobody but us.
	for _, name := range []string{instanceName, "e2e-int", "e2e-kill", "e2e-two"} {
		if out, err := s.command("down", "--name", name, "--delete").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("removing an earlier instance %s: %w\n%s", name, err, out)
		}
	}
	up := s.command("up", "--name", instanceName, "--source", source, "--pool", "1", "--json")
	up.Stderr = os.Stderr
	out, err := up.Output()
	if err != nil {
		return nil, fmt.Errorf("berth up: %w", err)
	}
	if err := s.prepare(source, out); err != nil {
		if !*keep {
			// Its state stays until the next run: the logs may say what was wrong.
			err = errors.Join(err, s.command("down", "--name", instanceName).Run())
		}
		return nil, err
	}
	return s, nil
}

// prepare makes what scenarios need of an instance that is up, from what `up` printed.
func (s *stand) prepare(source string, printed []byte) error {
	if err := json.Unmarshal(printed, &s.up); err != nil {
		return fmt.Errorf("berth up --json: %w\n%s", err, printed)
	}
	dir, err := parts.Build(context.Background(), parts.Options{SourceDir: source, Names: []string{"kubectl"}})
	if err != nil {
		return err
	}
	s.kube = filepath.Join(dir, "kubectl")
	return errors.Join(s.connect(), s.pushTestApp(source))
}

// connect makes the clients that scenarios use.
func (s *stand) connect() error {
	ca, err := os.ReadFile(s.up.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s holds no certificate", s.up.CA)
	}
	s.http = s.edgeClient(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
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
func (s *stand) pushTestApp(source string) error {
	binary := filepath.Join(source, "bin", "testapp")
	build := exec.Command("go", "build", "-o", binary, "./e2e/testapp")
	build.Dir = source
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

// command is a call of the command line with the instance's configuration.
func (s *stand) command(args ...string) *exec.Cmd {
	command := exec.Command(s.cli, args...)
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
