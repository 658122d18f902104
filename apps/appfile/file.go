package appfile

import (
	_ "embed"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
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
	Secrets              []string
	DeployTimeoutSeconds int32
}

// Component is one component with its part of the formation.
type Component struct {
	v1alpha1.Component
	Count int32
	OCUs  int32
}

// Images names every image of the file once, in the order of the components.
func (f *File) Images() []string {
	var images []string
	for i := range f.Components {
		if image := f.Components[i].Image; !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	return images
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

// ToApp makes the App that the file describes, without a namespace. Images gives the
// reference by digest for an image as it is written; one it lacks stays as it is.
func (f *File) ToApp(images map[string]string) *v1alpha1.App {
	template := &v1alpha1.AppTemplate{Config: f.Config}
	var formation []v1alpha1.ComponentFormation
	for i := range f.Components {
		component := *f.Components[i].DeepCopy()
		if resolved, ok := images[component.Image]; ok {
			component.Image = resolved
		}
		template.Components = append(template.Components, component)
		formation = append(formation, v1alpha1.ComponentFormation{
			Name: component.Name, Count: f.Components[i].Count, OCUs: f.Components[i].OCUs,
		})
	}
	return &v1alpha1.App{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "App"},
		ObjectMeta: metav1.ObjectMeta{Name: f.App},
		Spec: v1alpha1.AppSpec{
			Template: template.DeepCopy(), Formation: formation, DeployTimeoutSeconds: f.DeployTimeoutSeconds,
		},
	}
}

// Merge lays what a file describes over an app that exists. What a file does not
// speak of stays: secrets, maintenance, restarts and the sizes of components that the
// file no longer has.
func Merge(current, desired *v1alpha1.App) *v1alpha1.App {
	if current == nil {
		return desired.DeepCopy()
	}
	merged := current.DeepCopy()
	merged.Spec.Template = desired.Spec.Template.DeepCopy()
	if current.Spec.Template != nil && merged.Spec.Template != nil {
		merged.Spec.Template.ConfigSecret = current.Spec.Template.ConfigSecret
	}
	merged.Spec.Formation = apps.Remember(desired.Spec.Formation, current.Spec.Formation)
	if desired.Spec.DeployTimeoutSeconds != 0 {
		merged.Spec.DeployTimeoutSeconds = desired.Spec.DeployTimeoutSeconds
	}
	return merged
}
