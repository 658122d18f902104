package appfile

import (
	"cmp"
	_ "embed"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Name is what the file is called.
const Name = "berth.yaml"

// MaxBytes is the largest file that is read.
const MaxBytes = 1 << 20

// Schema is the JSON Schema of the file, draft 2020-12.
//
//go:embed schema.json
var Schema []byte

// File is a file that was read.
type File struct {
	App        string
	Components []Component
	Config     map[string]string
	// Secrets are names; their values are set by other means.
	Secrets []string
	// Labels and Edge are nil in a file that names none: it leaves the app's as they are.
	Labels map[string]string
	// Edge never says maintenance: that is a state and no setting.
	Edge *v1alpha1.EdgeSettings
	// DeployTimeoutSeconds is 0 in a file that names none, which means the default.
	DeployTimeoutSeconds int32
}

// Component is one component with its part of the formation.
type Component struct {
	v1alpha1.Component
	Count int32
	OCUs  int32
}

// MissingSecrets are the names in the file that are not among those that are set.
func (f *File) MissingSecrets(set []string) []string {
	var missing []string
	for _, name := range f.Secrets {
		if !slices.Contains(set, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// ToApp makes the App that the file describes, without a namespace. A file without
// config gives a template without: it leaves the app's settings alone, while an empty
// config clears them. So do labels; whether a file speaks of the edge, only Edge tells.
func (f *File) ToApp() *v1alpha1.App {
	template := &v1alpha1.AppTemplate{Config: f.Config}
	var formation []v1alpha1.ComponentFormation
	for i := range f.Components {
		c := &f.Components[i]
		template.Components = append(template.Components, c.Component)
		formation = append(formation, v1alpha1.ComponentFormation{Name: c.Name, Count: c.Count, OCUs: c.OCUs})
	}
	app := &v1alpha1.App{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "App"},
		ObjectMeta: metav1.ObjectMeta{Name: f.App},
		Spec: v1alpha1.AppSpec{
			Template: template.DeepCopy(), Formation: formation,
			Labels: f.Labels, DeployTimeoutSeconds: cmp.Or(f.DeployTimeoutSeconds, defaultTimeoutSeconds),
		},
	}
	if f.Edge != nil {
		app.Spec.Edge = *f.Edge.DeepCopy()
	}
	return app
}
