package reconcilers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
	"github.com/berth-dev/berth/apps/router/table"
)

// serving is a process of ui with what it listens on.
type serving struct {
	address string
	ports   []v1alpha1.Port
	// ending says that it was told to end and drains.
	ending bool
}

// reached are the processes that the edge sends requests for ui's host to, as routes and
// service are now.
func reached(t *testing.T, s *stage.Stage, processes ...serving) []string {
	t.Helper()
	sources := table.Sources{VirtualClusters: make([]v1alpha1.VirtualCluster, 1)}
	s.Get(s.ID, &sources.VirtualClusters[0])
	sources.HostClusters = make([]v1alpha1.HostCluster, 1)
	s.Get(sources.VirtualClusters[0].Spec.HostCluster, &sources.HostClusters[0])
	var routes v1alpha1.RouteList
	if err := s.Client.List(t.Context(), &routes, client.InNamespace(s.Namespace)); err != nil {
		t.Fatal(err)
	}
	sources.Routes = routes.Items
	service := corev1.Service{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "ui"}, &service); err != nil {
		t.Fatal(err)
	}
	service.Annotations = map[string]string{table.AnnotationObjectName: service.Name, table.AnnotationObjectNamespace: service.Namespace}
	service.Namespace = v1alpha1.HostNamespace(s.ID)
	sources.Services = []corev1.Service{service}
	for _, process := range processes {
		sources.EndpointSlices = append(sources.EndpointSlices, slice(&service, process))
	}
	edge := table.New(table.Config{Domain: stage.Domain, Controller: s.Shard})
	edge.Replace(sources)
	target, ok := edge.Lookup(s.App + "." + s.Tenant + "." + stage.Domain)
	if !ok {
		t.Fatal("the edge does not know the host")
	}
	var addresses []string
	for _, endpoint := range target.Endpoints {
		addresses = append(addresses, endpoint.Address)
	}
	return addresses
}

// slice is what Kubernetes says of a process: those of the service's ports that lead to a
// port of it, by number or by name.
func slice(service *corev1.Service, process serving) discoveryv1.EndpointSlice {
	found := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: process.address, Labels: map[string]string{discoveryv1.LabelServiceName: service.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID, Controller: new(true)}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{process.address}, Conditions: discoveryv1.EndpointConditions{
			Ready: new(!process.ending), Serving: new(true), Terminating: new(process.ending),
		}}},
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		number := port.TargetPort.IntVal
		if port.TargetPort.Type == intstr.String {
			number = 0
			for _, p := range process.ports {
				if p.Name == port.TargetPort.StrVal {
					number = p.Port
				}
			}
		}
		if number > 0 {
			found.Ports = append(found.Ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &number, Protocol: &port.Protocol})
		}
	}
	return found
}

// madeAnew does to ui's service what vCluster does when it gives it its address: it is another
// one, of the same content, of which each field is vCluster's beside whoever applied it.
func madeAnew(t *testing.T, s *stage.Stage) {
	t.Helper()
	service := &corev1.Service{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "ui"}, service); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	service.ResourceVersion, service.UID = "", ""
	if err := s.Client.Create(t.Context(), service, client.FieldOwner("vcluster")); err != nil {
		t.Fatal(err)
	}
}

func TestARenamedPortIsReachedAtEveryMomentOfItsRelease(t *testing.T) {
	port := func(name string, number int32, expose bool) v1alpha1.Port {
		return v1alpha1.Port{Name: name, Port: number, Protocol: v1alpha1.ProtocolHTTP, Expose: expose}
	}
	const older, newer = "10.0.0.1", "10.0.0.2"
	tests := map[string]struct {
		before, after []v1alpha1.Port
		// during is what serves while an old and a new process are ready.
		during []string
		// was and is are how an old and a new process are asked.
		was, is string
	}{
		"its number stays": {
			[]v1alpha1.Port{port("http", 8080, true)},
			[]v1alpha1.Port{port("web", 8080, true)},
			[]string{older + ":8080", newer + ":8080"},
			older + ":8080", newer + ":8080",
		},
		"its number changes too": {
			[]v1alpha1.Port{port("http", 8080, true)},
			[]v1alpha1.Port{port("web", 9090, true)},
			[]string{older + ":8080"},
			older + ":8080", newer + ":9090",
		},
		"its number changes and its name stays": {
			[]v1alpha1.Port{port("http", 8080, true)},
			[]v1alpha1.Port{port("http", 9090, true)},
			[]string{older + ":8080", newer + ":9090"},
			older + ":8080", newer + ":9090",
		},
		"an internal port takes its number": {
			[]v1alpha1.Port{port("http", 8080, true), port("admin", 9000, false)},
			[]v1alpha1.Port{port("web", 9090, true), port("admin", 8080, false)},
			[]string{older + ":8080"},
			older + ":8080", newer + ":9090",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := stage.New(t)
			release := func(image string, ports []v1alpha1.Port) {
				s.Deploy(s.App, v1alpha1.Component{Name: "ui", Image: stage.Image(image), Ports: ports})
				s.Settle(s.App)
			}
			want := func(moment string, want []string, processes ...serving) {
				t.Helper()
				if diff := cmp.Diff(want, reached(t, s, processes...)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", moment, diff)
				}
			}
			was, is := serving{address: older, ports: test.before}, serving{address: newer, ports: test.after}
			ending := serving{address: older, ports: test.before, ending: true}
			release("ui1", test.before)
			s.Healthy(s.App, "ui")
			s.Settle(s.App)
			madeAnew(t, s)
			want("before", []string{test.was}, was)

			release("ui2", test.after)
			want("applied", []string{test.was}, was)
			want("rolling out", test.during, was, is)
			s.Healthy(s.App, "ui")
			request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.Namespace, Name: s.App}}
			if _, err := s.Releases.Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			s.WantPhases(s.App, live, live)
			if got := reached(t, s, ending, is); len(got) == 0 {
				t.Error("proven: nobody is reached until the routes are changed")
			}
			s.Settle(s.App)
			want("live", []string{test.is}, ending, is)

			s.Clock.SetTime(s.Clock.Now().Add(10 * time.Minute))
			s.Settle(s.App)
			service := &corev1.Service{}
			if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.App, Name: "ui"}, service); err != nil {
				t.Fatal(err)
			}
			if len(service.Spec.Ports) != len(test.after) {
				t.Errorf("the old ports stay: %+v", service.Spec.Ports)
			}
			want("later", []string{test.is}, is)
		})
	}
}

func TestARenamedPortIsReachedWhileAReleaseIsTakenBack(t *testing.T) {
	s := running(t)
	renamed := stage.Component("ui", "ui2")
	renamed.Ports[0].Name = "web"
	s.Deploy(s.App, renamed, stage.Component("api", "api2"))
	s.Settle(s.App)
	// All of ui is new already when api fails.
	s.Healthy(s.App, "ui")
	s.Crash(s.App, "api", 2)
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
	is := serving{address: "10.0.0.2", ports: renamed.Ports}
	if diff := cmp.Diff([]string{"10.0.0.2:8080"}, reached(t, s, is)); diff != "" {
		t.Error(diff)
	}
	was := serving{address: "10.0.0.1", ports: stage.Component("ui", "ui1").Ports}
	if diff := cmp.Diff([]string{"10.0.0.1:8080"}, reached(t, s, was)); diff != "" {
		t.Error(diff)
	}
}
