package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) kubeconfigCommands() []*cobra.Command {
	var file string
	write := &cobra.Command{
		Use: "kubeconfig", Short: "Write a kubeconfig for the tenant's cluster",
		Long: `Write access to the tenant's own Kubernetes cluster into a kubeconfig: a context named
berth-tenant-<tenant>, which becomes the current one. It holds no secret: kubectl asks
this program for a token of at most one hour whenever it needs one.`,
		Example: "  berth kubeconfig --tenant acme\n  kubectl get pods --all-namespaces",
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.kubeconfig(cmd.Context(), file) },
	}
	write.Flags().StringVar(&file, "file", "", "kubeconfig to write to (default: the first of KUBECONFIG, or ~/.kube/config)")
	return []*cobra.Command{write, {
		Use: "kubeconfig:token", Short: "Print a token for the tenant's cluster, for kubectl",
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, tenant, err := c.tenantClient()
			if err != nil {
				return err
			}
			credential, err := client.KubeconfigToken(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.out, strings.TrimSpace(string(credential)))
			return err
		},
	}}
}

func (c *cli) kubeconfig(ctx context.Context, file string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	where, err := client.Kubeconfig(ctx, tenant)
	if err != nil {
		return err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if file == "" {
		file = rules.GetDefaultFilename()
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	conf, err := clientcmd.LoadFromFile(file)
	if errors.Is(err, os.ErrNotExist) {
		conf, err = clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if err := addContext(ctx, conf, where); err != nil {
		return err
	}
	raw, err := clientcmd.Write(*conf)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if err := writePrivate(file, raw); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return c.show(map[string]string{"file": file, "context": conf.CurrentContext, "server": where.Server}, func(w io.Writer) {
		fmt.Fprintf(w, "%s\nThe context %s is the current one. Try: kubectl --kubeconfig %s get namespaces\n", file, conf.CurrentContext, file)
	})
}

// addContext puts the tenant's cluster into a kubeconfig and makes it the current one.
func addContext(ctx context.Context, conf *clientcmdapi.Config, where apiclient.Kubeconfig) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	name := "berth-tenant-" + where.Tenant // berth-<instance> is an instance's
	cluster := clientcmdapi.NewCluster()
	cluster.Server, cluster.CertificateAuthorityData = where.Server, []byte(where.CA)
	if server, host, ok := loopback(ctx, where.Server); ok {
		cluster.Server, cluster.TLSServerName = server, host
	} else if vouchedFor(ctx, where.Server, nil) {
		cluster.CertificateAuthorityData = nil
	}
	user := clientcmdapi.NewAuthInfo()
	user.Exec = &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: self,
		Args:            []string{"kubeconfig:token", "--tenant", where.Tenant},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "The berth command is needed to get a token.",
	}
	if path := os.Getenv("BERTH_CONFIG"); path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		user.Exec.Env = []clientcmdapi.ExecEnvVar{{Name: "BERTH_CONFIG", Value: path}}
	}
	entry := clientcmdapi.NewContext()
	entry.Cluster, entry.AuthInfo = name, name
	conf.Clusters[name], conf.AuthInfos[name], conf.Contexts[name] = cluster, user, entry
	conf.CurrentContext = name
	return nil
}

// vouchedFor says whether a server shows a certificate that the roots, or without any the
// system's, know: kubectl would refuse it for another authority.
func vouchedFor(ctx context.Context, server string, roots *x509.CertPool) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return false
	}
	_ = conn.Close() // it has told what was asked
	return true
}

// loopback gives the address of a server on this machine whose name the system cannot
// find: kubectl has no resolver of its own for names below localhost.
func loopback(ctx context.Context, server string) (address, host string, ok bool) {
	u, err := url.Parse(server)
	if err != nil || !strings.HasSuffix(u.Hostname(), ".localhost") {
		return "", "", false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err == nil {
		return "", "", false
	}
	host = u.Hostname()
	port := u.Port()
	if port == "" {
		port = "443"
	}
	u.Host = net.JoinHostPort("127.0.0.1", port)
	return u.String(), host, true
}
