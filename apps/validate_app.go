package apps

import (
	"maps"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// hosts checks what can only be seen with the whole app and its neighbours: the
// rules that tie volumes and clocks to the formation, and the host names.
func (v *validation) hosts(app *v1alpha1.App, in Surroundings) {
	formation := Formation(app.Spec.Template, app.Spec.Formation)
	for i, component := range app.Spec.Template.Components {
		if len(component.Volumes) > 0 && formation[i].Count > 1 {
			v.invalid("components."+component.Name+".count", "set count to 1, or take the volume out",
				"a component with a volume runs at most one process")
		}
		if component.Cron != nil && formation[i].Count > 1 {
			v.invalid("components."+component.Name+".count", "set count to 1, or to 0 to leave its runs out", "a cron component runs once at a time")
		}
	}
	seen := map[string]string{}
	for _, host := range Hosts(app.Name, app.Spec.Template, in.Suffix) {
		field := "components." + host.Component + ".ports." + host.Port.Name
		if host.Port.Host != "" {
			field += ".host"
		}
		v.host(field, app, host, in)
		if first, taken := seen[host.Name]; taken {
			v.add(errs.Conflict, field, "give one of them another host", "%s has the host %s already", first, host.Name)
		}
		seen[host.Name] = host.Component + "." + host.Port.Name
	}
}

func (v *validation) host(field string, app *v1alpha1.App, host Host, in Surroundings) {
	if in.Suffix == "" {
		return
	}
	if host.Port.Host != "" {
		if fault, fix := checkHost(host.Name, in.Suffix); fault != "" {
			v.invalid(field, fix, "%s", fault)
			return
		}
	}
	if owner, taken := usedBy(app, host.Name, in); taken {
		v.add(errs.Conflict, field, "choose another host", "app %s uses the host %s already", owner, host.Name)
	}
}

// usedBy finds any other app on a host name. Before something is written age does
// not matter: who was there first keeps it, and that is not the one who asks now.
func usedBy(app *v1alpha1.App, host string, in Surroundings) (string, bool) {
	for i := range in.Others {
		other := &in.Others[i]
		if other.Name == app.Name {
			continue
		}
		for _, theirs := range Hosts(other.Name, other.Spec.Template, in.Suffix) {
			if theirs.Name == host {
				return other.Name, true
			}
		}
	}
	return "", false
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
