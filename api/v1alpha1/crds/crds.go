// Package crds embeds the generated CustomResourceDefinitions, so that tests and the
// chart install exactly what the types say.
package crds

import "embed"

// FS holds one YAML file per kind.
//
//go:embed *.yaml
var FS embed.FS
