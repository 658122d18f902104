package main

import (
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/apps/proof"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/logging"
	"github.com/berth-dev/berth/tenancy/vcluster"
)

// config is all that can be set from outside.
type config struct {
	// domain that host names of tenants and of the platform end in.
	domain string
	// edgePort is the port of the edge as people reach it.
	edgePort int
	// namespace the platform runs in.
	namespace string
	// management is where the platform's objects are, if not where it runs.
	management managementConfig
	// chart is the folder of vCluster's chart.
	chart  string
	images vcluster.Images
	// proof says how the ownership of tenants' domains is looked at.
	proof proof.Options
	// acme is where certificates come from.
	acme acmeConfig

	leaderElect    bool
	metricsAddress string
	healthAddress  string

	log logging.Config
}

// parse reads the flags. Each has a default from the environment: --edge-port from
// BERTH_EDGE_PORT.
func parse(args []string, output io.Writer) (config, error) {
	var (
		c        config
		images   = vcluster.DefaultImages()
		flags    = flag.NewFlagSet("berth-controller", flag.ContinueOnError)
		problems []error
	)
	flags.SetOutput(output)
	text := func(into *string, name, fallback, usage string) {
		flags.StringVar(into, name, fromEnvironment(name, fallback), usage)
	}
	text(&c.domain, "domain", "berth.localhost", "domain that all host names end in")
	text(&c.namespace, "namespace", "berth-system", "namespace the platform runs in")
	c.management.flags(text)
	text(&c.chart, "vcluster-chart", "/charts/vcluster", "folder of the vCluster chart, version "+vcluster.ChartVersion)
	text(&c.images.Syncer, "vcluster-image", images.Syncer, "image of vCluster's syncer, the open-source edition")
	text(&c.images.Kubernetes, "kubernetes-image", images.Kubernetes, "image with the binaries of a control plane")
	text(&c.images.CoreDNS, "coredns-image", images.CoreDNS, "image of a tenant's DNS server")
	text(&c.proof.Resolver, "domain-resolver", "", "host:port of the DNS server asked for proofs of domains, empty for the system's; not used with controller-name")
	private := flags.String("domain-private-cidrs", fromEnvironment("domain-private-cidrs", ""),
		"addresses proofs may be fetched from besides public ones, with commas between them; not used with controller-name")
	if err := c.acme.flags(flags, text); err != nil {
		problems = append(problems, err)
	}
	text(&c.metricsAddress, "metrics-address", ":9090", "address that serves metrics, 0 for none")
	text(&c.healthAddress, "health-address", ":8081", "address that serves /healthz")

	port, err := strconv.Atoi(fromEnvironment("edge-port", "443"))
	if err != nil {
		problems = append(problems, errs.New(errs.Invalid, "BERTH_EDGE_PORT", "is not a number", "give a port from 1 to 65535"))
	}
	flags.IntVar(&c.edgePort, "edge-port", port, "port of the edge as people reach it")
	elect, err := strconv.ParseBool(fromEnvironment("leader-elect", "true"))
	if err != nil {
		problems = append(problems, errs.New(errs.Invalid, "BERTH_LEADER_ELECT", "is neither true nor false", "give one of them"))
	}
	flags.BoolVar(&c.leaderElect, "leader-elect", elect, "work only while holding the lease")

	c.log = logging.FromEnvironment()
	flags.StringVar(&c.log.Format, "log-format", c.log.Format, "format of log lines, text or json")
	flags.StringVar(&c.log.Level, "log-level", c.log.Level, "least level that is logged: debug, info, warn or error")

	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		problems = append(problems, errs.New(errs.Invalid, flags.Arg(0), "is not expected", "give flags only; -help lists them"))
	}
	if c.proof.PrivateCIDRs, err = parseCIDRs(*private); err != nil {
		problems = append(problems, err)
	}
	return c, errors.Join(append(problems, c.Validate())...)
}

func parseCIDRs(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, errs.New(errs.Invalid, "domain-private-cidrs", strconv.Quote(part)+" is no block of addresses", "give some such as 10.0.0.0/16")
		}
		all = append(all, prefix)
	}
	return all, nil
}

var domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// Validate says what is wrong with the configuration, all of it at once.
func (c config) Validate() error {
	var problems []error
	if !domainPattern.MatchString(c.domain) {
		problems = append(problems, errs.New(errs.Invalid, "domain", strconv.Quote(c.domain)+" is not a domain", "give one such as berth.example.com"))
	}
	if c.edgePort < 1 || c.edgePort > 65535 {
		problems = append(problems, errs.New(errs.Invalid, "edge-port", strconv.Itoa(c.edgePort)+" is not a port", "give one from 1 to 65535"))
	}
	if c.proof.Resolver != "" {
		if host, port, err := net.SplitHostPort(c.proof.Resolver); err != nil || host == "" || port == "" {
			problems = append(problems, errs.New(errs.Invalid, "domain-resolver", strconv.Quote(c.proof.Resolver)+" is not a DNS server", "give host:port, such as 10.0.0.2:53"))
		}
	}
	if c.namespace == "" {
		problems = append(problems, errs.New(errs.Invalid, "namespace", "is empty", "give the namespace the platform runs in"))
	}
	if info, err := os.Stat(c.chart); err != nil || !info.IsDir() {
		problems = append(problems, errs.New(errs.Invalid, "vcluster-chart", strconv.Quote(c.chart)+" is not a folder", "give the folder of the vCluster chart"))
	}
	if c.management.name != "" && !c.leaderElect {
		problems = append(problems, errs.New(errs.Invalid, "leader-elect", "is false, but a controller with a name is heard by its lease",
			"leave it true, or leave controller-name and management-kubeconfig out"))
	}
	if c.management.name != "" && c.acme.directory != "" {
		problems = append(problems, errs.New(errs.Invalid, "acme-directory", "is given, but the management cluster's controller orders certificates",
			"give it to that one, and leave it out here"))
	}
	return errors.Join(append(problems, c.images.Validate(), c.management.Validate(), c.acme.Validate(), c.log.Validate())...)
}

// fromEnvironment gives the default of a flag.
func fromEnvironment(flag, fallback string) string {
	if value, set := os.LookupEnv("BERTH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))); set {
		return value
	}
	return fallback
}
