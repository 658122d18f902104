package apps

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// The ways a field may differ between two templates.
const (
	ChangeAdded   = "added"
	ChangeRemoved = "removed"
	ChangeChanged = "changed"
)

// TemplateChange is one field that differs between two templates. Old and New are empty
// where the values are not to be shown, as those of variables.
type TemplateChange struct {
	// Field as people write it, such as components.web.image.
	Field string
	// What is added, removed or changed.
	What     string
	Old, New string
}

// TemplateChanges are what a template changes of another, in the order of the newer one.
// Of variables only the names are told; the secret ones are not compared.
func TemplateChanges(old, next *v1alpha1.AppTemplate) []TemplateChange {
	before, after := fieldsOf(old), fieldsOf(next)
	var out []TemplateChange
	for _, field := range after.order {
		was, had := before.values[field]
		switch now := after.values[field]; {
		case !had:
			out = append(out, TemplateChange{Field: field, What: ChangeAdded, New: now})
		case was != now:
			out = append(out, TemplateChange{Field: field, What: ChangeChanged, Old: was, New: now})
		}
	}
	for _, field := range before.order {
		if _, stays := after.values[field]; !stays {
			out = append(out, TemplateChange{Field: field, What: ChangeRemoved, Old: before.values[field]})
		}
	}
	for i := range out {
		if strings.HasPrefix(out[i].Field, "config.") {
			out[i].Old, out[i].New = "", ""
		}
	}
	return out
}

// templateFields is a template as one value for each field.
type templateFields struct {
	order  []string
	values map[string]string
}

func fieldsOf(template *v1alpha1.AppTemplate) *templateFields {
	f := &templateFields{values: map[string]string{}}
	for i := range template.Components {
		f.component(&template.Components[i])
	}
	for _, key := range slices.Sorted(maps.Keys(template.Config)) {
		// The prefix tells an empty value from none.
		f.add("config."+key, "="+template.Config[key])
	}
	return f
}

func (f *templateFields) add(field, value string) {
	if value != "" {
		f.order = append(f.order, field)
		f.values[field] = value
	}
}

func (f *templateFields) component(c *v1alpha1.Component) {
	at := "components." + c.Name
	f.add(at+".image", c.Image)
	f.add(at+".command", quoted(c.Command))
	for _, port := range c.Ports {
		value := fmt.Sprintf("%d %s", port.Port, cmp.Or(port.Protocol, v1alpha1.ProtocolHTTP))
		if port.Expose {
			value += " exposed"
		}
		if port.Host != "" {
			value += " as " + port.Host
		}
		f.add(at+".ports."+port.Name, value)
	}
	if h := c.Health; h != nil {
		value := "a connection"
		if h.Path != "" {
			value = "GET " + h.Path
		}
		f.add(at+".health", fmt.Sprintf("%s on %s within %d s", value, cmp.Or(h.Port, "the first port"), cmp.Or(h.TimeoutSeconds, 2)))
	}
	for _, volume := range c.Volumes {
		f.add(at+".volumes."+volume.Name, volume.Size.String()+" at "+volume.Path)
	}
	if c.User != nil {
		f.add(at+".user", fmt.Sprint(*c.User))
	}
	if c.Cron != nil {
		f.add(at+".cron", strings.TrimSpace(c.Cron.Schedule+" "+c.Cron.TimeZone))
		f.add(at+".cron.timeoutSeconds", fmt.Sprint(cmp.Or(c.Cron.TimeoutSeconds, 3600)))
	}
	for _, sidecar := range c.Sidecars {
		beside := at + ".sidecars." + sidecar.Name
		f.add(beside+".image", sidecar.Image)
		f.add(beside+".command", quoted(sidecar.Command))
		f.add(beside+".percent", fmt.Sprint(cmp.Or(sidecar.Percent, 10)))
	}
}

func quoted(command []string) string {
	if len(command) == 0 {
		return ""
	}
	return fmt.Sprintf("%q", command)
}
