package appfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// Parse reads a file. Its error holds every fault as an *errs.Error (apps.Faults takes
// it apart), each with the line and the field.
func Parse(data []byte) (*File, error) {
	if len(data) > MaxBytes {
		return nil, errs.New(errs.Invalid, Name, fmt.Sprintf("the file is larger than %d KiB", MaxBytes>>10), "keep only the app's description in it")
	}
	root, err := document(data)
	if err != nil {
		return nil, err
	}
	r := &reader{lines: map[string]int{}}
	file := r.file(root)
	if len(r.faults) == 0 {
		r.validate(file)
	}
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	return file, nil
}

// document gives the one mapping that a file must be.
func document(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errs.New(errs.Invalid, Name, "the file is empty", "start with app: <name>, or run `berth init`")
		}
		return nil, syntaxFault(err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxFault(err)
		}
		return nil, errs.New(errs.Invalid, Name, fmt.Sprintf("line %d: a second document begins", second.Line), "keep one app in one file")
	}
	if len(first.Content) != 1 {
		return nil, errs.New(errs.Invalid, Name, "the file is empty", "start with app: <name>, or run `berth init`")
	}
	return first.Content[0], nil
}

var syntaxLine = regexp.MustCompile(`line \d+`)

func syntaxFault(err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ")
	if !syntaxLine.MatchString(text) {
		text = "line 1: " + text
	}
	return errs.New(errs.Invalid, Name, text, "check the indentation and the colons of that line; a value that begins with * or @ needs quotes")
}

// validate applies the rules that every app obeys, and names the lines.
func (r *reader) validate(file *File) {
	err := apps.Validate(file.ToApp(), apps.Surroundings{})
	for _, fault := range apps.Faults(err) {
		r.faults = append(r.faults, errs.New(fault.Code, fault.Field, fmt.Sprintf("line %d: %s", r.lineOf(fault.Field), fault.Message), fault.Fix))
	}
}

// lineOf finds the line of a field, or of the nearest thing around it.
func (r *reader) lineOf(field string) int {
	for field != "" {
		if line, known := r.lines[field]; known {
			return line
		}
		cut := strings.LastIndexByte(field, '.')
		field = field[:max(cut, 0)]
	}
	return 1
}

func (r *reader) fault(node *yaml.Node, field, message, fix string) {
	r.faults = append(r.faults, errs.New(errs.Invalid, field, fmt.Sprintf("line %d: %s", node.Line, message), fix))
}
