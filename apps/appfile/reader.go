package appfile

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader walks the file's nodes and collects faults.
type reader struct {
	faults []error
	lines  map[string]int
}

// fields says how to read each field that a mapping may have.
type fields map[string]func(value *yaml.Node, field string)

// object reads a mapping whose fields are known.
func (r *reader) object(node *yaml.Node, field string, known fields) {
	r.entries(node, field, func(key, value *yaml.Node, at string) {
		read, ok := known[key.Value]
		if !ok {
			r.fault(key, at, fmt.Sprintf("unknown field %q", key.Value), suggestion(key.Value, slices.Sorted(maps.Keys(known))))
			return
		}
		read(value, at)
	})
}

// entries visits a mapping's entries in the file's order.
func (r *reader) entries(node *yaml.Node, field string, visit func(key, value *yaml.Node, at string)) {
	if node.Kind != yaml.MappingNode {
		r.wrongKind(node, field, "a mapping, with one `name: value` on each line")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			r.fault(key, cmp.Or(field, Name), "a field's name must be plain text", "write it as name: value")
			continue
		}
		at := join(field, key.Value)
		r.lines[at] = key.Line
		if seen[key.Value] {
			r.fault(key, at, fmt.Sprintf("%q is there twice", key.Value), "keep one of them")
			continue
		}
		seen[key.Value] = true
		if value.Kind == yaml.AliasNode {
			r.fault(value, at, "anchors and aliases are not read", "write the value out")
			continue
		}
		visit(key, value, at)
	}
}

// items visits a sequence's items.
func (r *reader) items(node *yaml.Node, field string, visit func(value *yaml.Node)) {
	if node.Kind != yaml.SequenceNode {
		r.wrongKind(node, field, "a list, such as [a, b]")
		return
	}
	for _, item := range node.Content {
		visit(item)
	}
}

func (r *reader) text(into *string) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" {
			r.wrongKind(value, field, "text")
			return
		}
		*into = value.Value
	}
}

func (r *reader) boolean(into *bool) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!bool" || value.Decode(into) != nil {
			r.wrongKind(value, field, "true or false")
		}
	}
}

func (r *reader) integer(into *int32) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		var number int64
		if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!int" {
			r.wrongKind(value, field, "a whole number")
			return
		}
		if value.Decode(&number) != nil || number > math.MaxInt32 || number < math.MinInt32 {
			r.fault(value, field, fmt.Sprintf("the number %s is out of range", value.Value), "choose a smaller one")
			return
		}
		*into = int32(number)
	}
}

func (r *reader) texts(into *[]string) func(*yaml.Node, string) {
	return func(value *yaml.Node, field string) {
		r.items(value, field, func(item *yaml.Node) {
			var text string
			r.text(&text)(item, field)
			*into = append(*into, text)
		})
	}
}

func (r *reader) wrongKind(node *yaml.Node, field, wanted string) {
	field = cmp.Or(field, Name) // The whole file has no field to name.
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		r.fault(node, field, "the value is missing", "give it "+wanted+", or leave the field out")
		return
	}
	fix := "write " + wanted
	if wanted == "text" && node.Kind == yaml.ScalarNode {
		fix = fmt.Sprintf("put it in quotes: %q", node.Value)
	}
	r.fault(node, field, "the value must be "+wanted, fix)
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

// suggestion names the known word that is nearest to one that is not known.
func suggestion(word string, known []string) string {
	best, distance := "", 3
	for _, candidate := range known {
		if d := editDistance(strings.ToLower(word), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "choose one of: " + strings.Join(known, ", ")
}

// editDistance counts the letters to add, drop or change to get from a to b.
func editDistance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if len(from) > 64 || len(to) > 64 {
		return 64
	}
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			cost := 1
			if from[i] == to[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(to)]
}
