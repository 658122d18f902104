package apps

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

var (
	componentName = regexp.MustCompile(`^[a-z]([a-z0-9]|-[a-z0-9])*$`)
	configKey     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostLabel     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

	// reservedHosts are the first labels no app may choose.
	reservedHosts = []string{"berth", "eyk", "k8s", "api", "www"}
	// reservedKeys are set by the platform in every process.
	reservedKeys = []string{"PORT"}
)

const (
	maxNameLength     = 30
	maxPortNameLength = 15
)

// ValidComponentName says whether a component or a volume may be called so.
func ValidComponentName(name string) bool {
	return len(name) <= maxNameLength && componentName.MatchString(name)
}

// ValidPortName says whether a port may be called so.
func ValidPortName(name string) bool {
	return len(name) <= maxPortNameLength && componentName.MatchString(name)
}

// ValidConfigKey says whether the environment may have a variable of that name.
func ValidConfigKey(key string) bool { return configKey.MatchString(key) }

// ReservedConfigKey says whether the platform sets the variable itself.
func ReservedConfigKey(key string) bool {
	return slices.Contains(reservedKeys, key) || strings.HasPrefix(key, "BERTH_")
}

// ComponentNames are the names of a template's components, in its order.
func ComponentNames(template *v1alpha1.AppTemplate) []string {
	if template == nil {
		return nil
	}
	names := make([]string, 0, len(template.Components))
	for _, component := range template.Components {
		names = append(names, component.Name)
	}
	return names
}

// ComponentOf finds a component of a template, which may be nil.
func ComponentOf(template *v1alpha1.AppTemplate, name string) (*v1alpha1.Component, bool) {
	if template == nil {
		return nil, false
	}
	for i := range template.Components {
		if template.Components[i].Name == name {
			return &template.Components[i], true
		}
	}
	return nil, false
}

// UnknownComponent refuses a component that the app does not have. The field is what
// the person named it in.
func UnknownComponent(field string, app *v1alpha1.App, component string) error {
	return errs.New(errs.Invalid, field, fmt.Sprintf("app %s has no component %q", app.Name, component),
		"choose one of: "+joinNames(ComponentNames(app.Spec.Template)))
}

func portNames(ports []v1alpha1.Port) []string {
	names := make([]string, 0, len(ports))
	for _, port := range ports {
		names = append(names, port.Name)
	}
	return names
}

func joinNames(names []string) string {
	if len(names) == 0 {
		return "(there are none)"
	}
	return strings.Join(names, ", ")
}
