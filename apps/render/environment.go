package render

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// environments makes one immutable Secret for each revision that the release's
// components are at. All hold the same values: a component keeps an older revision
// only while its environment is unchanged. The name carries the revision, because a
// process must be replaced when its environment changes and a Secret that changed
// in place would not do that.
func environments(in Input) []client.Object {
	revisions := slices.Sorted(maps.Values(in.Revisions))
	var all []client.Object
	for _, revision := range slices.Compact(revisions) {
		all = append(all, &corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{
				Name: EnvironmentName(in.App.Name, revision), Namespace: in.App.Name,
				Labels: map[string]string{
					v1alpha1.LabelApp:       in.App.Name,
					v1alpha1.LabelRelease:   revisionLabel(revision),
					v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
				},
			},
			Immutable: new(true),
			Data:      values(in),
		})
	}
	return all
}

// values joins config and secrets; a secret wins, as the more careful of the two.
func values(in Input) map[string][]byte {
	data := make(map[string][]byte, len(in.Release.Spec.Template.Config)+len(in.Secrets))
	for key, value := range in.Release.Spec.Template.Config {
		data[key] = []byte(value)
	}
	maps.Copy(data, in.Secrets)
	return data
}

// variables are those that the platform sets itself; they win over all others.
func variables(app string, component *v1alpha1.Component, revision int64) []corev1.EnvVar {
	all := []corev1.EnvVar{
		{Name: "BERTH_APP", Value: app},
		{Name: "BERTH_COMPONENT", Value: component.Name},
		{Name: "BERTH_RELEASE", Value: revisionLabel(revision)},
	}
	if len(component.Ports) > 0 {
		all = append(all, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(int(component.Ports[0].Port))})
	}
	return all
}

func revisionLabel(revision int64) string { return "v" + strconv.FormatInt(revision, 10) }
