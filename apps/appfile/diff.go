package appfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// defaultTimeoutSeconds is what an app without a timeout gets.
const defaultTimeoutSeconds int32 = 300

// Change is one difference between the app that is and the app that is wanted. Old
// is empty for what is added, New for what is removed.
type Change struct {
	// Field as people write it, such as components.ui.ocus.
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// String is the change as one line.
func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s: %s", c.Field, c.New)
	case c.New == "":
		return fmt.Sprintf("- %s: %s", c.Field, c.Old)
	default:
		return fmt.Sprintf("~ %s: %s → %s", c.Field, c.Old, c.New)
	}
}

// Diff lists what differs between an app that exists (nil if none does) and the one
// a file describes. What a file cannot say is not compared.
func Diff(current, desired *v1alpha1.App) []Change {
	old, wanted := flatten(current), flatten(desired)
	var changes []Change
	for _, field := range wanted.order {
		if before, there := old.values[field]; !there || before != wanted.values[field] {
			changes = append(changes, Change{Field: field, Old: before, New: wanted.values[field]})
		}
	}
	for _, field := range old.order {
		if _, stays := wanted.values[field]; !stays {
			changes = append(changes, Change{Field: field, Old: old.values[field]})
		}
	}
	return changes
}

// flat is an app as one value for each field, in the order of the file.
type flat struct {
	order  []string
	values map[string]string
}

func (f *flat) add(field, value string) {
	if value == "" {
		return
	}
	if _, there := f.values[field]; !there {
		f.order = append(f.order, field)
	}
	f.values[field] = value
}

func flatten(app *v1alpha1.App) *flat {
	f := &flat{values: map[string]string{}}
	if app == nil || app.Spec.Template == nil {
		return f
	}
	f.add("app", app.Name)
	formation := apps.Formation(app.Spec.Template, app.Spec.Formation)
	for i := range app.Spec.Template.Components {
		f.component(&app.Spec.Template.Components[i], formation[i])
	}
	for _, key := range slices.Sorted(maps.Keys(app.Spec.Template.Config)) {
		f.add("config."+key, fmt.Sprintf("%q", app.Spec.Template.Config[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(app.Spec.Labels)) {
		f.add("labels."+key, fmt.Sprintf("%q", app.Spec.Labels[key]))
	}
	f.edge(app.Spec.Edge)
	f.add("deployTimeoutSeconds", fmt.Sprint(cmp.Or(app.Spec.DeployTimeoutSeconds, defaultTimeoutSeconds)))
	return f
}

func (f *flat) component(c *v1alpha1.Component, formation v1alpha1.ComponentFormation) {
	at := "components." + c.Name
	f.add(at+".image", c.Image)
	if len(c.Command) > 0 {
		f.add(at+".command", fmt.Sprintf("%q", c.Command))
	}
	f.add(at+".count", fmt.Sprint(formation.Count))
	f.add(at+".ocus", fmt.Sprint(formation.OCUs))
	for _, port := range c.Ports {
		f.add(at+".ports."+port.Name, portWords(port))
	}
	if c.Health != nil {
		f.add(at+".health", healthWords(c.Health))
	}
	for _, volume := range c.Volumes {
		f.add(at+".volumes."+volume.Name, volume.Size.String()+" at "+volume.Path)
	}
	if c.User != nil {
		f.add(at+".user", fmt.Sprint(*c.User))
	}
	if c.Cron != nil {
		f.add(at+".cron", fmt.Sprintf("%q in %s, each run within %d s", c.Cron.Schedule,
			cmp.Or(c.Cron.TimeZone, "UTC"), cmp.Or(c.Cron.TimeoutSeconds, defaultRunSeconds)))
	}
	for _, sidecar := range c.Sidecars {
		f.add(at+".sidecars."+sidecar.Name+".image", sidecar.Image)
		if len(sidecar.Command) > 0 {
			f.add(at+".sidecars."+sidecar.Name+".command", fmt.Sprintf("%q", sidecar.Command))
		}
		f.add(at+".sidecars."+sidecar.Name+".percent", fmt.Sprint(cmp.Or(sidecar.Percent, defaultSidecarPercent)))
	}
}

// edge leaves maintenance out, which no file can say.
func (f *flat) edge(edge v1alpha1.EdgeSettings) {
	f.add("edge.allowedCIDRs", strings.Join(edge.AllowedCIDRs, ", "))
	if edge.MaxBodyMiB != 0 {
		f.add("edge.maxBodyMiB", fmt.Sprint(edge.MaxBodyMiB))
	}
	if edge.AnswerTimeoutSeconds != 0 {
		f.add("edge.answerTimeoutSeconds", fmt.Sprint(edge.AnswerTimeoutSeconds))
	}
}

func portWords(port v1alpha1.Port) string {
	protocol := port.Protocol
	if protocol == "" {
		protocol = v1alpha1.ProtocolHTTP
	}
	words := []string{fmt.Sprintf("%d %s", port.Port, protocol)}
	if port.Expose {
		words = append(words, "exposed")
	}
	if port.Host != "" {
		words = append(words, "as "+port.Host)
	}
	return strings.Join(words, ", ")
}

func healthWords(health *v1alpha1.Health) string {
	timeout := health.TimeoutSeconds
	if timeout == 0 {
		timeout = 2
	}
	target := "a connection"
	if health.Path != "" {
		target = "GET " + health.Path
	}
	port := health.Port
	if port == "" {
		port = "the first port"
	}
	return fmt.Sprintf("%s on %s within %d s", target, port, timeout)
}
