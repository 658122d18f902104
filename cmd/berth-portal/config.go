package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/internal/logging"
	"github.com/berth-dev/berth/portal/service"
)

// Config is all that the portal is told.
type Config struct {
	Address       string
	HealthAddress string
	Domain        string
	EdgePort      int
	EdgeCAFile    string
	EdgeAddress   string
	AccessService string
	Mirrors       map[string]service.Mirror
	Logging       logging.Config
}

// embeddedRegistry is the name of the embedded registry in image references.
const embeddedRegistry = "registry.berth.internal"

var domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// parse reads flags; their defaults come from the environment.
func parse(args []string) (Config, error) {
	conf := Config{Mirrors: map[string]service.Mirror{}, Logging: logging.FromEnvironment()}
	port, err := strconv.Atoi(env("BERTH_EDGE_PORT", "443"))
	if err != nil {
		return conf, errors.New("BERTH_EDGE_PORT is not a number")
	}
	flags := flag.NewFlagSet("berth-portal", flag.ContinueOnError)
	flags.StringVar(&conf.Address, "address", env("BERTH_ADDRESS", ":8080"), "where to answer, `host:port`")
	flags.StringVar(&conf.HealthAddress, "health-address", env("BERTH_HEALTH_ADDRESS", ":8082"), "where to answer health checks, `host:port`")
	flags.StringVar(&conf.Domain, "domain", env("BERTH_DOMAIN", "berth.localhost"), "what all host names end in")
	flags.IntVar(&conf.EdgePort, "edge-port", port, "port people reach the edge on")
	flags.StringVar(&conf.EdgeCAFile, "edge-ca-file", env("BERTH_EDGE_CA_FILE", "/etc/berth/edge-ca/tls.crt"), "PEM certificate that signs the edge's; no such file means a public one")
	flags.StringVar(&conf.EdgeAddress, "edge-address", env("BERTH_EDGE_ADDRESS", "berth-router.berth-system.svc:443"), "the edge, `host:port`, through which tenants on other host clusters are reached")
	flags.StringVar(&conf.AccessService, "access-log-service", env("BERTH_ACCESS_LOG_SERVICE", ""), "Service in the platform's namespace with a port named access, behind which the edge tells its access log; empty for none")
	flags.Func("registry-mirror", "another address of a registry, `name=http://host:port`; a bare host:port is the embedded registry's (repeatable)", conf.addMirror)
	flags.StringVar(&conf.Logging.Format, "log-format", conf.Logging.Format, "text or json")
	flags.StringVar(&conf.Logging.Level, "log-level", conf.Logging.Level, "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return conf, err
	}
	if flags.NArg() > 0 {
		return conf, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return conf, conf.Validate()
}

func (c *Config) addMirror(text string) error {
	if !strings.Contains(text, "=") {
		text = embeddedRegistry + "=http://" + text
	}
	registry, mirror, err := service.ParseMirror(text)
	if err != nil {
		return err
	}
	c.Mirrors[registry] = mirror
	return nil
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	var all []error
	for name, address := range map[string]string{"address": c.Address, "health-address": c.HealthAddress, "edge-address": c.EdgeAddress} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			all = append(all, fmt.Errorf("--%s: %q is not host:port", name, address))
		}
	}
	if !domainPattern.MatchString(c.Domain) {
		all = append(all, fmt.Errorf("--domain: %q is not a domain", c.Domain))
	}
	if c.EdgePort < 1 || c.EdgePort > 65535 {
		all = append(all, fmt.Errorf("--edge-port: %d is not a port", c.EdgePort))
	}
	return errors.Join(append(all, c.Logging.Validate())...)
}

func env(key, unset string) string { return cmp.Or(os.Getenv(key), unset) }
