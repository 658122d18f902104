package apps

import (
	"regexp"
	"slices"
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
