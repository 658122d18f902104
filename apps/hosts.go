package apps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// Host is one host name of an app and the port behind it.
type Host struct {
	// Route is the name of the Route object.
	Route     string
	Name      string
	Component string
	Port      v1alpha1.Port
	// Front marks the host that is the app's own address.
	Front bool
}

// Hosts gives the host names of an app, in the order of its components and ports.
// The suffix is the tenant's, as tenancy.HostSuffix makes it.
func Hosts(app string, template *v1alpha1.AppTemplate, suffix string) []Host {
	if template == nil {
		return nil
	}
	var hosts []Host
	frontComponent, frontPort := front(template)
	for _, component := range template.Components {
		first := true
		for _, port := range component.Ports {
			if !port.Expose {
				continue
			}
			host := Host{
				Route:     app + "-" + component.Name + "-" + port.Name,
				Component: component.Name,
				Port:      port,
				Front:     component.Name == frontComponent && port.Name == frontPort,
			}
			host.Name = hostName(app, component.Name, port, suffix, host.Front, first && component.Name != frontComponent)
			hosts = append(hosts, host)
			first = false
		}
	}
	return hosts
}

func hostName(app, component string, port v1alpha1.Port, suffix string, front, first bool) string {
	tenant, domain, _ := strings.Cut(suffix, ".")
	switch {
	case port.Host != "":
		return strings.ToLower(port.Host)
	case front:
		return tenancy.AppHost(app, tenant, domain)
	case first:
		return tenancy.ComponentHost(component, app, tenant, domain)
	default:
		return tenancy.PortHost(port.Name, component, app, tenant, domain)
	}
}

// front names the component and port that are the app's own address: the
// component web if it exposes HTTP, else the first that does.
func front(template *v1alpha1.AppTemplate) (component, port string) {
	for _, candidate := range template.Components {
		for _, p := range candidate.Ports {
			if !p.Expose || p.Protocol == v1alpha1.ProtocolTCP {
				continue
			}
			if candidate.Name == "web" {
				return candidate.Name, p.Name
			}
			if component == "" {
				component, port = candidate.Name, p.Name
			}
		}
	}
	return component, port
}

// HostTaken finds the app that has a better right to a host name: another one of
// the tenant that uses it and is older, or of the same age and first by name.
func HostTaken(app *v1alpha1.App, host, suffix string, others []v1alpha1.App) (string, bool) {
	for i := range others {
		other := &others[i]
		if other.Name == app.Name || !older(other, app) {
			continue
		}
		for _, theirs := range Hosts(other.Name, other.Spec.Template, suffix) {
			if theirs.Name == host {
				return other.Name, true
			}
		}
	}
	return "", false
}

// older decides between two apps that want the same host. An app that is not
// written yet has no time of creation and is the younger one.
func older(a, b *v1alpha1.App) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	if b.CreationTimestamp.IsZero() {
		return true
	}
	return !a.CreationTimestamp.IsZero() && a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// checkHost says what is wrong with a host name someone chose, or nothing. One
// label under the suffix is what the tenant's certificate covers.
func checkHost(host, suffix string) (fault, fix string) {
	label, under := strings.CutSuffix(host, "."+suffix)
	switch {
	case !under:
		return fmt.Sprintf("%q is not under %s", host, suffix), fmt.Sprintf("choose <name>.%s, or leave host out to get a name", suffix)
	case !hostLabel.MatchString(label):
		return fmt.Sprintf("%q is not one plain name under %s", host, suffix),
			"use lower-case letters, digits and hyphens, at most 63, without a further dot"
	case slices.Contains(reservedHosts, label) || strings.HasSuffix(label, "-builder") || strings.Contains(label, "--"):
		return fmt.Sprintf("%q is kept for the platform", host), "choose another name"
	}
	return "", ""
}
