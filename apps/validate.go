package apps

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// The bounds of one app.
const (
	maxComponents  = 20
	maxPorts       = 16
	maxVolumes     = 8
	maxCommand     = 64
	maxConfig      = 256
	maxConfigBytes = 512 << 10
	maxOCUsTotal   = 10000
)

// Surroundings is what an app is judged against besides itself. What is left
// empty is not checked.
type Surroundings struct {
	// Plan of the tenant.
	Plan *v1alpha1.Plan
	// Others are the tenant's apps. The app itself may be among them.
	Others []v1alpha1.App
	// Suffix is what the tenant's host names end in.
	Suffix string
}

// Validate says everything that is wrong with an app before it is written, each
// fault as an *errs.Error that names the field as people write it, such as
// components.ui.ports.http.port, and how to mend it. It gives nil for a good app.
func Validate(app *v1alpha1.App, in Surroundings) error {
	v := &validation{}
	if err := tenancy.CheckAppName(app.Name); err != nil {
		v.faults = append(v.faults, err)
	}
	v.formation(app)
	v.labels(app.Spec.Labels)
	v.edge(app.Spec.Edge)
	if app.Spec.Template != nil {
		v.template(app.Spec.Template)
		v.hosts(app, in)
	}
	if in.Plan != nil {
		if err := CheckPlan(in.Plan, app, OthersUse(app, in.Others)); err != nil {
			v.faults = append(v.faults, err)
		}
	}
	return errors.Join(v.faults...)
}

// Faults takes an error of Validate apart.
func Faults(err error) []*errs.Error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*errs.Error
		for _, one := range joined.Unwrap() {
			all = append(all, Faults(one)...)
		}
		return all
	}
	return []*errs.Error{errs.As(err)}
}

// OthersUse is what the tenant's other apps ask for: what they were granted may
// still lag behind, and two apps must not be promised the same room.
func OthersUse(app *v1alpha1.App, others []v1alpha1.App) int32 {
	var total int32
	for i := range others {
		if others[i].Name != app.Name {
			total += max(TotalOCUs(&others[i]), GrantedOCUs(&others[i]))
		}
	}
	return total
}

type validation struct{ faults []error }

func (v *validation) add(code errs.Code, field, fix, message string, args ...any) {
	v.faults = append(v.faults, errs.New(code, field, fmt.Sprintf(message, args...), fix))
}

func (v *validation) invalid(field, fix, message string, args ...any) {
	v.add(errs.Invalid, field, fix, message, args...)
}

func (v *validation) formation(app *v1alpha1.App) {
	seen := map[string]bool{}
	for _, entry := range app.Spec.Formation {
		field := "components." + entry.Name
		if seen[entry.Name] {
			v.invalid(field, "keep one of them", "the formation names %q twice", entry.Name)
		}
		seen[entry.Name] = true
		if entry.Count < 0 || entry.Count > MaxCount {
			v.invalid(field+".count", fmt.Sprintf("choose 0 to %d; 0 stops the component", MaxCount), "%d processes cannot run", entry.Count)
		}
		switch {
		case entry.OCUs < 1:
			v.invalid(field+".ocus", fmt.Sprintf("choose 1 to %d; to stop a component set its count to 0", MaxOCUs),
				"a process cannot have %d OCUs", entry.OCUs)
		case entry.OCUs > MaxOCUs:
			v.invalid(field+".ocus", fmt.Sprintf("choose 1 to %d; for more, raise the count", MaxOCUs),
				"a process cannot have %d OCUs", entry.OCUs)
		case int64(entry.OCUs)*int64(entry.Count) > maxOCUsTotal:
			v.invalid(field, fmt.Sprintf("keep OCUs times count at %d or less", maxOCUsTotal), "the component asks for too many OCUs")
		}
	}
}

func (v *validation) template(template *v1alpha1.AppTemplate) {
	switch n := len(template.Components); {
	case n == 0:
		v.invalid("components", "name at least one component with its image", "the app has no components")
	case n > maxComponents:
		v.invalid("components", fmt.Sprintf("keep to %d", maxComponents), "the app has %d components", n)
	}
	seen := map[string]bool{}
	for _, component := range template.Components {
		field := "components." + component.Name
		if !ValidComponentName(component.Name) {
			v.invalid(field, "use 1 to 30 lower-case letters, digits and single hyphens, a letter first", "%q cannot be the name of a component", component.Name)
		}
		if seen[component.Name] {
			v.invalid(field, "rename one of them", "two components are called %q", component.Name)
		}
		seen[component.Name] = true
		v.component(field, component)
	}
	v.config(template.Config)
}

func (v *validation) component(field string, component v1alpha1.Component) {
	v.image(field+".image", component.Image)
	v.command(field+".command", component.Command)
	if component.User != nil && (*component.User < 1 || *component.User > 65535) {
		v.invalid(field+".user", "choose a number from 1 to 65535, as in the image's USER line", "a process cannot run as user %d", *component.User)
	}
	v.ports(field+".ports", component.Ports)
	v.health(field+".health", component)
	v.volumes(field+".volumes", component.Volumes)
	v.cron(field+".cron", component)
	v.sidecars(field+".sidecars", component)
}

func (v *validation) image(field, image string) {
	if image == "" || strings.ContainsAny(image, " \t\r\n") {
		v.invalid(field, "name an image, such as registry.berth.internal/acme/ui:1", "%q is not an image", image)
	}
}

func (v *validation) command(field string, command []string) {
	if len(command) > maxCommand {
		v.invalid(field, fmt.Sprintf("keep to %d, or put them into a script", maxCommand), "the command has %d parts", len(command))
	}
}

func (v *validation) ports(field string, ports []v1alpha1.Port) {
	if len(ports) > maxPorts {
		v.invalid(field, fmt.Sprintf("keep to %d", maxPorts), "the component has %d ports", len(ports))
	}
	numbers, names := map[int32]string{}, map[string]bool{}
	for _, port := range ports {
		at := field + "." + port.Name
		if !ValidPortName(port.Name) {
			v.invalid(at, "use 1 to 15 lower-case letters, digits and single hyphens, a letter first", "%q cannot be the name of a port", port.Name)
		}
		if names[port.Name] {
			v.invalid(at, "rename one of them", "two ports are called %q", port.Name)
		}
		names[port.Name] = true
		if port.Port < 1 || port.Port > 65535 {
			v.invalid(at+".port", "choose 1 to 65535", "%d is not a port number", port.Port)
		} else if first, taken := numbers[port.Port]; taken {
			v.invalid(at+".port", "give each port a number of its own", "port %q has the number %d already", first, port.Port)
		}
		numbers[port.Port] = port.Name
		if port.Protocol != "" && port.Protocol != v1alpha1.ProtocolHTTP && port.Protocol != v1alpha1.ProtocolTCP {
			v.invalid(at+".protocol", "choose HTTP or TCP", "%q is not a protocol", port.Protocol)
		}
		if port.Host != "" && !port.Expose {
			v.invalid(at+".host", "add expose: true, or leave host out", "a port that is not exposed has no host")
		}
	}
}

func (v *validation) health(field string, component v1alpha1.Component) {
	health := component.Health
	if health == nil {
		return
	}
	known := portNames(component.Ports)
	switch {
	case len(known) == 0:
		v.invalid(field, "add a port, or leave health out", "the component has no port to check")
	case health.Port != "" && !slices.Contains(known, health.Port):
		v.invalid(field+".port", "choose one of: "+joinNames(known), "the component has no port %q", health.Port)
	}
	if health.Path != "" && !strings.HasPrefix(health.Path, "/") {
		v.invalid(field+".path", "start it with /", "%q is not a path", health.Path)
	}
	if health.TimeoutSeconds < 0 || health.TimeoutSeconds > 60 {
		v.invalid(field+".timeoutSeconds", "choose 1 to 60", "a check cannot take %d seconds", health.TimeoutSeconds)
	}
}

func (v *validation) volumes(field string, volumes []v1alpha1.Volume) {
	if len(volumes) > maxVolumes {
		v.invalid(field, fmt.Sprintf("keep to %d", maxVolumes), "the component has %d volumes", len(volumes))
	}
	names, paths := map[string]bool{}, map[string]string{}
	for _, volume := range volumes {
		at := field + "." + volume.Name
		if !ValidComponentName(volume.Name) {
			v.invalid(at, "use 1 to 30 lower-case letters, digits and single hyphens, a letter first", "%q cannot be the name of a volume", volume.Name)
		}
		if names[volume.Name] {
			v.invalid(at, "rename one of them", "two volumes are called %q", volume.Name)
		}
		names[volume.Name] = true
		if len(volume.Path) < 2 || volume.Path[0] != '/' || strings.Contains(volume.Path, ":") {
			v.invalid(at+".path", "name a folder such as /data", "%q cannot hold a volume", volume.Path)
		} else if other, taken := paths[volume.Path]; taken {
			v.invalid(at+".path", "choose another folder", "volume %q is there already", other)
		}
		paths[volume.Path] = volume.Name
		if volume.Size.Sign() <= 0 {
			v.invalid(at+".size", "name a size such as 1Gi", "a volume needs a size")
		}
	}
}

func (v *validation) config(config map[string]string) {
	if len(config) > maxConfig {
		v.invalid("config", fmt.Sprintf("keep to %d", maxConfig), "%d variables are too many", len(config))
	}
	size := 0
	for _, key := range sortedKeys(config) {
		size += len(key) + len(config[key])
		field := "config." + key
		switch {
		case !ValidConfigKey(key):
			v.invalid(field, "use letters, digits and _, and no digit first", "%q cannot be the name of a variable", key)
		case ReservedConfigKey(key):
			v.invalid(field, "leave it out; PORT is the number of the component's first port", "%s is set by the platform", key)
		case strings.ContainsRune(config[key], 0):
			v.invalid(field, "leave it out", "the value holds a zero byte")
		}
	}
	if size > maxConfigBytes {
		v.invalid("config", "keep to 512 KiB; put files into the image or a volume", "the variables hold %d KiB", size>>10)
	}
}
