package appfile

import (
	"go.yaml.in/yaml/v3"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// What a file gets that leaves them out.
const (
	defaultRunSeconds     = 3600
	defaultSidecarPercent = 10

	imageExample = "add image: with the name of one, such as registry.berth.internal/acme/ui:1"
)

func (r *reader) cron(node *yaml.Node, field string, c *Component) {
	c.Cron = &v1alpha1.Cron{TimeoutSeconds: defaultRunSeconds}
	r.object(node, field, fields{
		"schedule":       r.text(&c.Cron.Schedule),
		"timeZone":       r.text(&c.Cron.TimeZone),
		"timeoutSeconds": r.bounded(&c.Cron.TimeoutSeconds, 10, 86400),
	})
	r.required(node, node, field, "schedule", "the times to run at are missing", `add schedule: "0 3 * * *", for example, for every night at three`)
}

func (r *reader) sidecars(node *yaml.Node, field string, c *Component) {
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		sidecar := v1alpha1.Sidecar{Name: key.Value, Percent: defaultSidecarPercent}
		r.object(value, at, fields{
			"image":   r.text(&sidecar.Image),
			"command": r.texts(&sidecar.Command),
			"percent": r.bounded(&sidecar.Percent, 5, 90),
		})
		r.required(key, value, at, "image", "the sidecar has no image", imageExample)
		c.Sidecars = append(c.Sidecars, sidecar)
	})
}

func (r *reader) labels(node *yaml.Node, field string, file *File) {
	file.Labels = map[string]string{}
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		var text string
		r.text(&text)(value, at)
		file.Labels[key.Value] = text
	})
}

func (r *reader) edge(node *yaml.Node, field string, file *File) {
	file.Edge = &v1alpha1.EdgeSettings{}
	r.object(node, field, fields{
		"allowedCIDRs":         r.texts(&file.Edge.AllowedCIDRs),
		"maxBodyMiB":           r.bounded(&file.Edge.MaxBodyMiB, 0, 10240),
		"answerTimeoutSeconds": r.bounded(&file.Edge.AnswerTimeoutSeconds, 0, 3600),
	})
}

// required faults a mapping that lacks a field; at is the mapping's own field.
func (r *reader) required(where, node *yaml.Node, at, name, message, fix string) {
	if _, there := r.lines[join(at, name)]; !there && node.Kind == yaml.MappingNode {
		r.fault(where, join(at, name), message, fix)
	}
}
