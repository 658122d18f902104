package apps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// CheckDomain says what of a Domain breaks a rule that its kind cannot check. The platform
// is the domain that its own hosts end in.
func CheckDomain(domain *v1alpha1.Domain, platform string) error {
	spec := &domain.Spec
	if err := inDNSForm("host", spec.Host); err != nil {
		return err
	}
	if err := CheckOutside("host", spec.Host, platform); err != nil {
		return err
	}
	if want := v1alpha1.DomainName(spec.Host); domain.Name != want {
		return errs.New(errs.Invalid, "name", fmt.Sprintf("a domain for %s is not called %s", spec.Host, domain.Name), "call it "+want)
	}
	if spec.RedirectTo == "" {
		return nil
	}
	if err := inDNSForm("redirectTo", spec.RedirectTo); err != nil {
		return err
	}
	switch {
	case IsWildcard(spec.RedirectTo):
		return errs.New(errs.Invalid, "redirectTo", "a wildcard is no place to go to", "name one host")
	case Overlap(spec.Host, spec.RedirectTo):
		return errs.New(errs.Invalid, "redirectTo", fmt.Sprintf("%s would redirect to itself", ShowDomain(spec.RedirectTo)),
			"name a host that this domain does not cover")
	}
	return nil
}

func inDNSForm(field, host string) error {
	parsed, err := ParseDomain(field, host)
	if err != nil || parsed == host {
		return err
	}
	return errs.New(errs.Invalid, field, fmt.Sprintf("%q is not in the form of DNS", host), "write it as "+parsed)
}

// FindTarget finds the host of an app whose backend a domain shares: the app's front, a
// component's first exposed port, or the one that is named.
func FindTarget(app string, template *v1alpha1.AppTemplate, suffix string, spec *v1alpha1.DomainSpec) (Host, error) {
	hosts := Hosts(app, template, suffix)
	at := slices.IndexFunc(hosts, func(h Host) bool {
		if spec.Component == "" {
			return h.Front
		}
		return h.Component == spec.Component && (spec.Port == "" || h.Port.Name == spec.Port)
	})
	switch {
	case at >= 0:
		return hosts[at], nil
	case template == nil:
		return Host{}, errs.New(errs.NotFound, "app", fmt.Sprintf("nothing has been deployed to app %s yet", app), "deploy it: berth apply")
	case spec.Component == "":
		return Host{}, errs.New(errs.NotFound, "app", fmt.Sprintf("app %s exposes no HTTP port", app), "expose one, or name a component and its port")
	case !slices.Contains(ComponentNames(template), spec.Component):
		return Host{}, errs.New(errs.NotFound, "component", fmt.Sprintf("app %s has no component %q", app, spec.Component),
			"choose one of: "+joinNames(ComponentNames(template)))
	}
	var exposed []string
	for _, h := range hosts {
		if h.Component == spec.Component {
			exposed = append(exposed, h.Port.Name)
		}
	}
	if len(exposed) == 0 {
		return Host{}, errs.New(errs.NotFound, "component", fmt.Sprintf("component %s of app %s exposes no port", spec.Component, app),
			"set expose on one of its ports")
	}
	return Host{}, errs.New(errs.NotFound, "port", fmt.Sprintf("component %s of app %s exposes no port %q", spec.Component, app, spec.Port),
		"choose one of: "+strings.Join(exposed, ", "))
}
