package render

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Input is all that the objects depend on.
type Input struct {
	App     *v1alpha1.App
	Release *v1alpha1.Release
	// Formation has one entry for each component of the release, in its order.
	Formation []v1alpha1.ComponentFormation
	// Revisions names, for each component, the release in which it last changed.
	Revisions map[string]int64
	// Beside are templates whose processes may run beside the release's for a while: they
	// are reached until they are gone.
	Beside []*v1alpha1.AppTemplate
	// Secrets are the values of the release's config Secret.
	Secrets map[string][]byte
	// CPUOvercommit of the host cluster.
	CPUOvercommit int32
}

// Objects are a release's objects, by the order in which they must exist.
type Objects struct {
	Namespace   *corev1.Namespace
	Environment []client.Object
	Claims      []client.Object
	Services    []client.Object
	Deployments []client.Object
	CronJobs    []client.Object
}

// Render makes the objects.
func Render(in Input) Objects {
	objects := Objects{Namespace: namespace(in.App.Name)}
	objects.Environment = environments(in)
	for i := range in.Release.Spec.Template.Components {
		component := &in.Release.Spec.Template.Components[i]
		for _, volume := range component.Volumes {
			objects.Claims = append(objects.Claims, claim(in.App.Name, component.Name, volume))
		}
		if len(component.Ports) > 0 {
			objects.Services = append(objects.Services, service(in, component))
		}
		if component.Cron != nil {
			objects.CronJobs = append(objects.CronJobs, cronJob(in, component, in.Formation[i]))
		} else {
			objects.Deployments = append(objects.Deployments, deployment(in, component, in.Formation[i]))
		}
	}
	return objects
}

// ClaimName is the name of the claim for a component's volume.
func ClaimName(component, volume string) string { return component + "-" + volume }

// EnvironmentName is the name of the Secret with the environment of the components
// that last changed in a release.
func EnvironmentName(app string, version int64) string {
	return app + "-v" + strconv.FormatInt(version, 10) + "-env"
}

func namespace(app string) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: app, Labels: map[string]string{
			v1alpha1.LabelApp: app, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
		}},
	}
}

// selector never changes for a component, since a Deployment's cannot.
func selector(app, component string) map[string]string {
	return map[string]string{v1alpha1.LabelApp: app, v1alpha1.LabelComponent: component}
}

// managed are the labels of what Berth makes of a component.
func managed(app, component string) map[string]string {
	labels := selector(app, component)
	labels[v1alpha1.LabelManagedBy] = v1alpha1.ManagedByBerth
	return labels
}

func objectMeta(app, component, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: app, Labels: managed(app, component)}
}
