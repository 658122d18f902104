package tenancy

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/internal/errs"
)

// routerSuffix ends the name of the account of a host's edge.
const routerSuffix = "-router"

// hostPattern is that of spec.controllerName of a HostCluster, which is the host's name.
var hostPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// CheckHostName says why a name cannot be that of a host with a controller of its own; field
// is where it was given. The API server enforces the same rules.
func CheckHostName(field, name string) error {
	if !hostPattern.MatchString(name) {
		return errs.New(errs.Invalid, field, strconv.Quote(name)+" cannot be the name of a host", "use 1 to 40 lower-case letters, digits and hyphens, such as eu")
	}
	if other, is := strings.CutSuffix(name, routerSuffix); is {
		return errs.New(errs.Invalid, field, strconv.Quote(name)+" cannot be the name of a host: the edge of the host "+strconv.Quote(other)+" has it as an account",
			"choose a name that does not end in "+routerSuffix)
	}
	return nil
}

// leaseName is the lease of the management cluster's controller.
const leaseName = "berth-controller"

// LeaseName is the lease that a controller holds in the platform's namespace on the
// management cluster: the one of the management cluster itself, which has no name, or that
// of the hosts that name it.
func LeaseName(controller string) string {
	if controller == "" {
		return leaseName
	}
	return leaseName + "-" + controller
}

// HostTenantRole is the chart's role for a host's controller in the management namespace of
// a tenant on it.
const HostTenantRole = "berth-host-tenant"

// HostAccount is the service account of a host's controller, in the platform's namespace on
// the management cluster. The chart's policy berth-hosts reads the host's name from it.
func HostAccount(host string) string { return "berth-host-" + host }

// HostRouterAccount is the service account of a host's edge, beside it.
func HostRouterAccount(host string) string { return HostAccount(host) + routerSuffix }
