package apps

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// asksFor are the ways in which programs of many languages say that a variable is missing.
// The first group is its name.
var asksFor = []*regexp.Regexp{
	regexp.MustCompile(`KeyError: '([A-Z][A-Z0-9_]+)'`),                          // Python
	regexp.MustCompile(`key not found: "([A-Z][A-Z0-9_]+)"`),                     // Ruby
	regexp.MustCompile(`ENV\[["']([A-Z][A-Z0-9_]+)["']\]`),                       // Ruby
	regexp.MustCompile(`process\.env\.([A-Z][A-Z0-9_]+)`),                        // Node
	regexp.MustCompile(`required key ([A-Z][A-Z0-9_]+) missing`),                 // Go
	regexp.MustCompile(`(?i:could not resolve placeholder) '([A-Z][A-Z0-9_]+)'`), // Java
	// missing required environment variable X
	regexp.MustCompile("(?i:(?:missing|required|undefined|unset)[a-z ]{0,40}env(?:ironment)?[ _-]?(?:variable|var)?s?:? )[\"'`$]*([A-Z][A-Z0-9_]+)"),
	// environment variable X is not set
	regexp.MustCompile("(?i:env(?:ironment)?[ _-]?(?:variable|var) )[\"'`$]*([A-Z][A-Z0-9_]+)[\"'`]* (?i:(?:is |was )?(?:not|missing|required|unset|undefined|empty)|must be)"),
	// X is not set, X must be set
	regexp.MustCompile("\\b([A-Z][A-Z0-9_]{2,})[\"'`}]*:? (?i:(?:is |was |has )?(?:not (?:been )?(?:set|defined)|unset|undefined)|(?:must|has to|needs to) be (?:set|defined|given|provided))"),
	// X is required: of words in capitals only those that look like a variable
	regexp.MustCompile("\\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)[\"'`}]*:? (?i:(?:is |was )?(?:missing|required|not found|empty))"),
	regexp.MustCompile("(?i:missing|requires|need to set|please set):? [\"'`$]*([A-Z][A-Z0-9]*_[A-Z0-9_]+)"),
}

// MissingVariables are the variables that a process's output asks for and that are not among
// those that are set, in the order they are asked for.
func MissingVariables(output, set []string) []string {
	var missing []string
	for _, line := range output {
		for _, pattern := range asksFor {
			for _, found := range pattern.FindAllStringSubmatch(line, -1) {
				name := found[1]
				if !slices.Contains(set, name) && !slices.Contains(missing, name) && ValidConfigKey(name) && !ReservedConfigKey(name) {
					missing = append(missing, name)
				}
			}
		}
	}
	return missing
}

// variables finds those that a process asked for in vain.
func (d *diagnosis) variables() {
	for _, found := range slices.Clone(d.out.Findings) {
		for _, name := range MissingVariables(found.Output, d.Variables) {
			one := Finding{
				Component: found.Component, Reason: ReasonMissingVariable,
				Message: fmt.Sprintf("It asks for the variable %s, which is not set.", name),
				Hint:    "Set it with config:set, or as a secret if nobody may see it.",
				Command: d.command("config:set", name+"=VALUE"),
			}
			if was := d.removed(name); was != "" {
				one.Message = fmt.Sprintf("It asks for the variable %s, which v%d had and v%d does not.", name, d.out.Since, d.out.Version)
				if was == "secrets" {
					one.Command = d.command("secrets:set", name)
				}
			}
			d.first(one)
		}
	}
}

// removed tells whether the newest release took a variable away: config, secrets or neither.
func (d *diagnosis) removed(name string) string {
	for _, change := range d.out.Changes {
		if of, key, ok := strings.Cut(change.Field, "."); ok && key == name && change.What == ChangeRemoved && (of == "config" || of == "secrets") {
			return of
		}
	}
	return ""
}

// first puts a finding before the others: it is the cause of one of them.
func (d *diagnosis) first(found Finding) {
	before := d.out.Findings
	d.out.Findings = nil
	d.add(found)
	for _, other := range before {
		d.add(other)
	}
}
