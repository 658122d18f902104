package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/access"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/logging"
)

// config is everything the router is told. Each flag --some-name has its default from
// the environment variable BERTH_SOME_NAME.
type config struct {
	controllerName   string
	management       string
	httpsAddress     string
	httpAddress      string
	tcpAddress       string
	publicHTTPSPort  int
	domain           string
	apiUpstream      string
	tenantServerName string
	caDir            string
	storageDir       string
	metricsAddress   string
	healthAddress    string
	accessAddress    string
	accessLog        bool
	proxyCIDRs       string
	shutdownDelay    time.Duration
	drainTimeout     time.Duration
	kubeconfig       string
	log              logging.Config
}

// parseConfig reads the command line over the environment and checks the result.
func parseConfig(args []string, env func(string) string, out io.Writer) (config, error) {
	c := config{log: logging.FromEnvironment()}
	fs := flag.NewFlagSet("berth-router", flag.ContinueOnError)
	fs.SetOutput(out)
	text := func(to *string, name, value, usage string) { fs.StringVar(to, name, value, usage) }
	text(&c.controllerName, "controller-name", "", "name of the controller of the host cluster we run in, as its HostCluster says; empty on the management cluster")
	text(&c.management, "management-kubeconfig", "", "kubeconfig of the management cluster; empty where the host cluster is that")
	text(&c.httpsAddress, "https-address", ":8443", "address to serve HTTPS on")
	text(&c.httpAddress, "http-address", ":8080", "address to serve redirects to HTTPS on")
	text(&c.tcpAddress, "tcp-address", ":8444", "address to serve TLS streams on; empty for none")
	fs.IntVar(&c.publicHTTPSPort, "public-https-port", 8443, "port people reach HTTPS by, for redirects")
	text(&c.domain, "domain", "berth.localhost", "domain every host lies under")
	text(&c.apiUpstream, "api-upstream", "", "portal behind api.<domain> and berth.<domain>: host:port or http://host:port; on the management cluster only")
	text(&c.tenantServerName, "tenant-server-name", "kubernetes.default.svc", "name that tenants' API servers are verified by")
	text(&c.caDir, "ca-dir", "/etc/berth/edge-ca", "folder with tls.crt and tls.key of the authority that signs certificates")
	text(&c.storageDir, "storage-dir", "/data", "folder that keeps certificates and the last table between restarts")
	text(&c.metricsAddress, "metrics-address", ":9090", "address to serve /metrics on")
	text(&c.healthAddress, "health-address", ":8081", "address to serve /healthz and /readyz on")
	text(&c.accessAddress, "access-address", "", "address to serve the newest lines of the access log on, for the portal alone; empty for none")
	fs.BoolVar(&c.accessLog, "access-log", true, "write the access log to standard output")
	text(&c.proxyCIDRs, "proxy-protocol-cidrs", "", "networks of load balancers that send the PROXY protocol, separated by commas; empty for none")
	fs.DurationVar(&c.shutdownDelay, "shutdown-delay", 2*time.Second, "how long to go on after readiness is withdrawn")
	fs.DurationVar(&c.drainTimeout, "drain-timeout", 50*time.Second, "how long a shutdown waits for answers that have begun")
	text(&c.kubeconfig, "kubeconfig", "", "kubeconfig of the host cluster; empty inside of it")
	text(&c.log.Format, "log-format", c.log.Format, "text or json")
	text(&c.log.Level, "log-level", c.log.Level, "debug, info, warn or error")
	if err := fromEnvironment(fs, env); err != nil {
		return c, err
	}
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, errs.New(errs.Invalid, fs.Arg(0), "unknown argument", "give options as --name=value")
	}
	return c, c.Validate()
}

// fromEnvironment sets every flag whose variable is set.
func fromEnvironment(fs *flag.FlagSet, env func(string) string) error {
	var failed error
	fs.VisitAll(func(f *flag.Flag) {
		name := "BERTH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := env(name)
		if value == "" {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			failed = errors.Join(failed, errs.New(errs.Invalid, name, fmt.Sprintf("%q: %v", value, err), "see --"+f.Name))
		}
	})
	return failed
}

// Validate says everything that is wrong, not only the first thing.
func (c config) Validate() error {
	var found error
	wrong := func(field, message, fix string) {
		found = errors.Join(found, errs.New(errs.Invalid, field, message, fix))
	}
	if (c.controllerName == "") != (c.management == "") {
		wrong("controller-name", "goes together with management-kubeconfig: one is given without the other",
			"give both on the host of another management cluster, and none on the management cluster")
	}
	if c.controllerName != "" && c.apiUpstream != "" {
		wrong("api-upstream", "the portal is on the management cluster", "leave it out: the edge there is asked")
	}
	for field, address := range map[string]string{
		"https-address": c.httpsAddress, "http-address": c.httpAddress, "tcp-address": c.tcpAddress,
		"metrics-address": c.metricsAddress, "health-address": c.healthAddress, "access-address": c.accessAddress,
	} {
		if address == "" && (field == "tcp-address" || field == "access-address") {
			continue
		}
		if !isAddress(address) {
			wrong(field, fmt.Sprintf("%q is no address", address), "give host:port or :port")
		}
	}
	if c.publicHTTPSPort < 1 || c.publicHTTPSPort > 65535 {
		wrong("public-https-port", "is no port number", "give a number from 1 to 65535")
	}
	if host, ok := table.ParseHost(c.domain); !ok || host != c.domain {
		wrong("domain", fmt.Sprintf("%q is no domain in lower case", c.domain), "give one such as berth.example.com")
	}
	if c.apiUpstream != "" && !isAddress(c.platform()) {
		wrong("api-upstream", fmt.Sprintf("%q is no address", c.apiUpstream), "give host:port of the portal's plain HTTP")
	}
	for _, file := range []string{c.caCert(), c.caKey()} {
		if _, err := os.Stat(file); err != nil {
			wrong("ca-dir", "there is no "+file, "mount the authority's Secret there")
		}
	}
	for _, cidr := range c.proxies() {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			wrong("proxy-protocol-cidrs", fmt.Sprintf("%q is no network", cidr), "give networks such as 10.0.0.0/16")
		}
	}
	if c.storageDir == "" {
		wrong("storage-dir", "is empty", "name a folder that can be written to")
	}
	if c.shutdownDelay < 0 || c.drainTimeout <= 0 {
		wrong("drain-timeout", "there is no time to finish answers in", "give a duration such as 50s")
	}
	return errors.Join(found, c.log.Validate())
}

func isAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// platform is the portal's host:port.
func (c config) platform() string {
	return strings.TrimSuffix(strings.TrimPrefix(c.apiUpstream, "http://"), "/")
}

// proxies are the networks that may send the PROXY protocol.
func (c config) proxies() []string {
	if c.proxyCIDRs == "" {
		return nil
	}
	return strings.Split(c.proxyCIDRs, ",")
}

func (c config) caCert() string { return filepath.Join(c.caDir, "tls.crt") }
func (c config) caKey() string  { return filepath.Join(c.caDir, "tls.key") }

// router is the part of the configuration that the edge takes.
func (c config) router(lines *access.Log) router.Config {
	return router.Config{
		HTTPSAddress: c.httpsAddress, HTTPAddress: c.httpAddress, TCPAddress: c.tcpAddress,
		PublicHTTPSPort: c.publicHTTPSPort, CACertFile: c.caCert(), CAKeyFile: c.caKey(),
		StorageDir: c.storageDir, TenantServerName: c.tenantServerName, DrainTimeout: c.drainTimeout,
		ProxyProtocolCIDRs: c.proxies(), Access: lines,
	}
}
