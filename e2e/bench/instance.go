package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/localcluster"
)

// instance is the running Berth that is measured.
type instance struct {
	up   upResult
	host client.WithWatch
	edge *http.Client
	// nodePID is the node's first process, whose network namespace pods are reached from.
	nodePID, supervisorPID int
}

// upResult is what `berth up --json` prints.
type upResult struct {
	Domain     string `json:"domain"`
	HTTPSPort  int    `json:"httpsPort"`
	Registry   string `json:"registry"`
	CA         string `json:"ca"`
	CLIConfig  string `json:"cliConfig"`
	Kubeconfig string `json:"kubeconfig"`
}

// command is a program run in the source tree.
func (b *bench) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = b.source, os.Environ()
	return command
}

// berth is a call of the command line for the instance.
func (b *bench) berth(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, b.cli, args...)
	command.Env = append(os.Environ(), "BERTH_HOME="+b.home)
	if b.instance != nil {
		command.Env = append(command.Env, "BERTH_CONFIG="+b.up.CLIConfig)
	}
	return command
}

// output runs a command; its error holds what the command said.
func output(command *exec.Cmd) ([]byte, error) {
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w\n%s%s", command, err, out, exit.Stderr)
	}
	return out, err
}

// bringUp runs `berth up` and gives what it says.
func (b *bench) bringUp(ctx context.Context) (upResult, error) {
	var result upResult
	command := b.berth(ctx, "up", "--name", b.name, "--source", b.source, "--pool", "1", "--json")
	out, err := output(command)
	if err != nil {
		return result, err
	}
	return result, json.Unmarshal(out, &result)
}

// down stops the instance, and removes what it kept if forget is set.
func (b *bench) down(ctx context.Context, forget bool) error {
	args := []string{"down", "--name", b.name}
	if forget {
		args = append(args, "--delete")
	}
	b.instance = nil
	_, err := output(b.berth(ctx, args...))
	return err
}

// ensureUp makes sure that the instance runs and that there are clients for it.
func (b *bench) ensureUp(ctx context.Context) error {
	if b.instance != nil {
		return nil
	}
	b.say("bringing up an instance")
	result, err := b.bringUp(ctx)
	if err != nil {
		return err
	}
	opened, err := b.open()
	if err != nil {
		return err
	}
	running := opened.Running()
	if running == nil {
		return errors.New("the instance does not run")
	}
	i := &instance{up: result, nodePID: running.NodePID, supervisorPID: running.SupervisorPID}
	if i.host, err = hostClient(result.Kubeconfig); err != nil {
		return err
	}
	if i.edge, err = edgeClient(result.CA); err != nil {
		return err
	}
	b.instance = i
	return nil
}

// open finds the instance in its own home, which the environment names.
func (b *bench) open() (*localcluster.Instance, error) {
	if err := os.Setenv("BERTH_HOME", b.home); err != nil {
		return nil, err
	}
	return localcluster.Open(b.name)
}

func hostClient(kubeconfig string) (client.WithWatch, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	scheme := kruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), berthv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// edgeClient finds every host name at the instance's edge, since the resolver of the
// machine does not know them.
func edgeClient(caPath string) (*http.Client, error) {
	ca, err := os.ReadFile(caPath)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", caPath)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}, nil
}

// dialInside connects from inside the node's network.
func (i *instance) dialInside(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is never unlocked: it ends with this goroutine, and with it the
		// namespace it entered.
		runtime.LockOSThread()
		connection, err := dialIn(ctx, i.nodePID, network, address)
		done <- result{connection, err}
	}()
	r := <-done
	return r.connection, r.err
}

func dialIn(ctx context.Context, pid int, network, address string) (net.Conn, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("entering the node's network: %w", err)
	}
	// An address in numbers is dialled by this goroutine, on this thread.
	dialer := net.Dialer{Timeout: 2 * time.Second, FallbackDelay: -1}
	return dialer.DialContext(ctx, network, address)
}

// inside makes a command run in the node's network.
func (i *instance) inside(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", i.nodePID), name}, args...)...)
}

// until asks again and again until the answer is yes.
func until(ctx context.Context, every, within time.Duration, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last error
	for {
		done, err := ok()
		if done {
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not within %s: %s", within, what), last)
		case <-ticker.C:
		}
	}
}
