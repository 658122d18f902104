package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// nameField is the argument of the command line that names the host.
const nameField = "NAME"

// validate says what is wrong in what the options say, all of it at once.
func (o *Options) validate() error {
	problems := []error{tenancy.CheckHostName(nameField, o.Name)}
	wrong := func(field, what, fix string) { problems = append(problems, errs.New(errs.Invalid, field, what, fix)) }
	if len(o.Region) > 63 {
		wrong("--region", strconv.Quote(o.Region)+" is longer than 63 characters", "say where the host is, such as --region eu-central-1")
	}
	if o.EdgeAddress != "" && !isHostPort(o.EdgeAddress) {
		wrong("--edge-address", strconv.Quote(o.EdgeAddress)+" is not host:port", "say where other edges reach the host's, such as --edge-address edge.eu.example.com:443")
	}
	if at, err := url.Parse(o.Server); err != nil || at.Scheme != "https" || at.Hostname() == "" || at.User != nil || at.RawQuery != "" {
		wrong("--server", "it is no https address", "give the management cluster's API server as the host reaches it, such as --server https://management.example.com:6443")
	}
	for field, blocks := range map[string][]string{
		"--api-server-cidr": o.Host.Network.APIServerCIDRs, "--egress-cidr": o.Host.Network.EgressCIDRs, "--denied-cidr": o.Host.Network.DeniedCIDRs,
	} {
		for _, block := range blocks {
			if _, err := netip.ParsePrefix(block); err != nil {
				wrong(field, strconv.Quote(block)+" is no block of addresses", "write it as 10.0.0.0/16")
			}
		}
	}
	for _, peer := range o.Peers {
		if _, err := netip.ParsePrefix(peer.CIDR); err != nil || peer.Port < 1 || peer.Port > 65535 {
			wrong("--peer-cidr", fmt.Sprintf("%s with port %d is no block of addresses with a port", strconv.Quote(peer.CIDR), peer.Port),
				"write it as 198.51.100.8/31, or as 198.51.100.8/31:8443 where the port is another than 443")
		}
	}
	return errors.Join(problems...)
}

// complete says what is missing, in the options of a host as it will be.
func (o *Options) complete() error {
	var problems []error
	missing := func(field, what, fix string) { problems = append(problems, errs.New(errs.Invalid, field, what, fix)) }
	if o.Region == "" {
		missing("--region", "it is not known where the host is", "say it, such as --region eu-central-1")
	}
	if len(o.Host.Network.APIServerCIDRs) == 0 {
		missing("--api-server-cidr", "the addresses of the host's own API server are not known",
			"give those behind its Service: the subnets of its network interfaces on EKS, such as --api-server-cidr 10.0.0.0/24")
	}
	return errors.Join(problems...)
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
