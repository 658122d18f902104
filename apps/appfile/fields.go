package appfile

import (
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// The least and the most a deploy may be given.
const (
	minTimeoutSeconds = 10
	maxTimeoutSeconds = 3600
)

var sizes = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$`)

func (r *reader) file(root *yaml.Node) *File {
	file := &File{}
	r.object(root, "", fields{
		"app":        r.text(&file.App),
		"components": func(value *yaml.Node, field string) { r.components(value, field, file) },
		"config":     func(value *yaml.Node, field string) { r.config(value, field, file) },
		"secrets":    func(value *yaml.Node, field string) { r.secrets(value, field, file) },
		"labels":     func(value *yaml.Node, field string) { r.labels(value, field, file) },
		"edge":       func(value *yaml.Node, field string) { r.edge(value, field, file) },
		"deployTimeoutSeconds": func(value *yaml.Node, field string) {
			r.bounded(&file.DeployTimeoutSeconds, minTimeoutSeconds, maxTimeoutSeconds)(value, field)
		},
	})
	for _, required := range []string{"app", "components"} {
		if _, there := r.lines[required]; !there && root.Kind == yaml.MappingNode {
			r.fault(root, required, "the field is missing", "add "+required+":, or run `berth init` for a first file")
		}
	}
	for _, name := range file.Secrets {
		if _, both := file.Config[name]; both {
			r.faultAt("secrets", fmt.Sprintf("%s is in config too", name), "keep it in one of them; a secret's value belongs into neither")
		}
	}
	return file
}

func (r *reader) components(node *yaml.Node, field string, file *File) {
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		c := Component{Component: v1alpha1.Component{Name: key.Value}, Count: 1, OCUs: 1}
		r.object(value, at, fields{
			"image":    r.text(&c.Image),
			"command":  r.texts(&c.Command),
			"count":    r.integer(&c.Count),
			"ocus":     r.integer(&c.OCUs),
			"user":     r.user(&c.User),
			"ports":    func(value *yaml.Node, field string) { r.ports(value, field, &c) },
			"health":   func(value *yaml.Node, field string) { r.health(value, field, &c) },
			"volumes":  func(value *yaml.Node, field string) { r.volumes(value, field, &c) },
			"cron":     func(value *yaml.Node, field string) { r.cron(value, field, &c) },
			"sidecars": func(value *yaml.Node, field string) { r.sidecars(value, field, &c) },
		})
		r.required(key, value, at, "image", "the component has no image", imageExample)
		file.Components = append(file.Components, c)
	})
}

func (r *reader) user(into **int64) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		var number int32
		before := len(r.faults)
		r.integer(&number)(value, field)
		if len(r.faults) == before {
			*into = new(int64(number))
		}
	}
}

func (r *reader) ports(node *yaml.Node, field string, c *Component) {
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		port := v1alpha1.Port{Name: key.Value, Protocol: v1alpha1.ProtocolHTTP}
		r.object(value, at, fields{
			"port":   r.integer(&port.Port),
			"expose": r.boolean(&port.Expose),
			"host":   r.text(&port.Host),
			"protocol": func(value *yaml.Node, field string) {
				r.text((*string)(&port.Protocol))(value, field)
				if port.Protocol != v1alpha1.ProtocolHTTP && port.Protocol != v1alpha1.ProtocolTCP {
					r.fault(value, field, fmt.Sprintf("%q is not a protocol", port.Protocol), "choose HTTP or TCP")
				}
			},
		})
		r.required(key, value, at, "port", "the port has no number", "add port: with the number the process listens on")
		c.Ports = append(c.Ports, port)
	})
}

func (r *reader) health(node *yaml.Node, field string, c *Component) {
	c.Health = &v1alpha1.Health{}
	r.object(node, field, fields{
		"path": func(value *yaml.Node, field string) {
			r.text(&c.Health.Path)(value, field)
			if len(r.faults) == 0 && c.Health.Path == "" {
				r.fault(value, field, "the path is empty", "write / or leave path out")
			}
		},
		"port":           r.text(&c.Health.Port),
		"timeoutSeconds": r.bounded(&c.Health.TimeoutSeconds, 1, 60),
	})
}

func (r *reader) volumes(node *yaml.Node, field string, c *Component) {
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		volume := v1alpha1.Volume{Name: key.Value}
		r.object(value, at, fields{
			"path": r.text(&volume.Path),
			"size": func(value *yaml.Node, field string) { r.size(value, field, &volume) },
		})
		for _, required := range []string{"path", "size"} {
			r.required(key, value, at, required, "the volume has no "+required, "add path: /data and size: 1Gi, for example")
		}
		c.Volumes = append(c.Volumes, volume)
	})
}

func (r *reader) size(value *yaml.Node, field string, volume *v1alpha1.Volume) {
	var text string
	before := len(r.faults)
	r.text(&text)(value, field)
	if len(r.faults) > before {
		return
	}
	quantity, err := resource.ParseQuantity(text)
	if err != nil || !sizes.MatchString(text) {
		r.fault(value, field, fmt.Sprintf("%q is not a size", text), "write a number with Mi or Gi, such as 1Gi")
		return
	}
	volume.Size = quantity
}

// config takes any scalar as the text it is written as: everything in an environment
// is text.
func (r *reader) config(node *yaml.Node, field string, file *File) {
	file.Config = map[string]string{}
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
			r.fault(value, at, "the value must be text", `write "" for an empty one`)
			return
		}
		file.Config[key.Value] = value.Value
	})
}

func (r *reader) secrets(node *yaml.Node, field string, file *File) {
	r.items(node, field, func(item *yaml.Node) {
		if item.Kind == yaml.MappingNode {
			r.fault(item, field, "a secret's value must not be in the file", "write the name only and set the value with `berth secrets:set`")
			return
		}
		var name string
		r.text(&name)(item, field)
		switch {
		case !apps.ValidConfigKey(name):
			r.fault(item, field, fmt.Sprintf("%q cannot be the name of a variable", name), "use letters, digits and _, and no digit first")
		case apps.ReservedConfigKey(name):
			r.fault(item, field, name+" is set by the platform", "leave it out")
		case slices.Contains(file.Secrets, name):
			r.fault(item, field, fmt.Sprintf("%q is there twice", name), "keep one of them")
		}
		file.Secrets = append(file.Secrets, name)
	})
}

func (r *reader) bounded(into *int32, least, most int32) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		before := len(r.faults)
		r.integer(into)(value, field)
		if len(r.faults) == before && (*into < least || *into > most) {
			r.fault(value, field, fmt.Sprintf("%d is out of range", *into), fmt.Sprintf("choose %d to %d", least, most))
		}
	}
}

func (r *reader) faultAt(field, message, fix string) {
	r.fault(&yaml.Node{Line: r.lineOf(field)}, field, message, fix)
}
