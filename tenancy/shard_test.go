package tenancy

import (
	"context"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// management is a management cluster with a host of its own, one that a controller of its
// own looks after, and the objects given.
func management(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithObjects(
		&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "near"}},
		&v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: "far"}, Spec: v1alpha1.HostClusterSpec{ControllerName: "eu"}},
	).Build()
}

// clusterOn is a virtual cluster on a host, claimed by a tenant's UID if one is given.
func clusterOn(host string, claimedBy types.UID) *v1alpha1.VirtualCluster {
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "abcdefg1"}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: host}}
	if claimedBy != "" {
		vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "shop", UID: claimedBy}
	}
	return vc
}

// owners are the controllers that say an object is theirs.
func owners(t *testing.T, reader client.Reader, mine func(context.Context, Shard) (bool, error)) []string {
	t.Helper()
	var all []string
	for _, controller := range []string{"", "eu", "us"} {
		is, err := mine(t.Context(), Shard{Controller: controller, Reader: reader})
		if err != nil {
			t.Fatal(err)
		}
		if is {
			all = append(all, controller)
		}
	}
	return all
}

func TestATenantHasOneControllerAtAnyTime(t *testing.T) {
	const id = "abcdefg1"
	for name, test := range map[string]struct {
		annotated, bound string
		cluster          *v1alpha1.VirtualCluster
		want             string
	}{
		"that is bound nowhere":                               {"", "", nil, ""},
		"that chose a cluster far away and has not claimed":   {id, "", clusterOn("far", ""), ""},
		"that chose a cluster which somebody else claimed":    {id, "", clusterOn("far", "uid-of-another"), ""},
		"that claimed near":                                   {id, "", clusterOn("near", "uid"), ""},
		"that claimed far away":                               {id, "", clusterOn("far", "uid"), "eu"},
		"that claimed far away and says so":                   {id, id, clusterOn("far", "uid"), "eu"},
		"whose status alone tells of its cluster":             {"", id, clusterOn("far", "uid"), "eu"},
		"whose cluster is gone":                               {id, id, nil, ""},
		"whose cluster's host is gone":                        {id, id, clusterOn("nowhere", "uid"), ""},
		"that chose another after the one far away went away": {"another1", id, clusterOn("far", "uid"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "uid"}}
			if test.annotated != "" {
				tenant.Annotations = map[string]string{AnnotationClaim: test.annotated}
			}
			tenant.Status.VirtualCluster = test.bound
			objects := []client.Object{tenant}
			if test.cluster != nil {
				objects = append(objects, test.cluster)
			}
			reader := management(t, objects...)
			for what, mine := range map[string]func(context.Context, Shard) (bool, error){
				"the tenant": func(ctx context.Context, s Shard) (bool, error) { return s.Tenant(ctx, tenant) },
				"what is in its namespace": func(ctx context.Context, s Shard) (bool, error) {
					return s.Namespace(ctx, v1alpha1.ManagementNamespace("shop"))
				},
			} {
				if got := owners(t, reader, mine); !slices.Equal(got, []string{test.want}) {
					t.Errorf("%s is of %q, want %q alone", what, got, test.want)
				}
			}
		})
	}
}

func TestAVirtualClusterHasTheControllerOfItsHost(t *testing.T) {
	for host, want := range map[string]string{"near": "", "far": "eu", "nowhere": ""} {
		t.Run(host, func(t *testing.T) {
			got := owners(t, management(t), func(ctx context.Context, s Shard) (bool, error) { return s.Cluster(ctx, clusterOn(host, "")) })
			if !slices.Equal(got, []string{want}) {
				t.Errorf("it is of %q, want %q alone", got, want)
			}
		})
	}
}

func TestWhatIsInANamespaceOfNobodyIsTheManagementClusters(t *testing.T) {
	for _, namespace := range []string{"tenant-stranger", "berth-system"} {
		got := owners(t, management(t), func(ctx context.Context, s Shard) (bool, error) { return s.Namespace(ctx, namespace) })
		if !slices.Equal(got, []string{""}) {
			t.Errorf("%s is of %q, want the management cluster's controller alone", namespace, got)
		}
	}
}

// A cache that does not show a host yet would make its clusters the management cluster's,
// which would then take them for leftovers.
func TestThatAHostIsGoneIsBelievedToTheAPIServerAlone(t *testing.T) {
	late := fake.NewClientBuilder().WithScheme(management(t).Scheme()).Build()
	got := owners(t, late, func(ctx context.Context, s Shard) (bool, error) {
		s.Live = management(t)
		return s.Cluster(ctx, clusterOn("far", ""))
	})
	if !slices.Equal(got, []string{"eu"}) {
		t.Errorf("it is of %q, want eu alone", got)
	}
}

func TestALeaseIsNamedAfterItsController(t *testing.T) {
	for controller, want := range map[string]string{"": "berth-controller", "eu": "berth-controller-eu"} {
		if got := LeaseName(controller); got != want {
			t.Errorf("%q has lease %s, want %s", controller, got, want)
		}
	}
}
