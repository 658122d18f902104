package hostcluster

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

func TestTheStatusTellsHowTheHostIs(t *testing.T) {
	var (
		answers = pulse{looked: now, answered: now}
		silent  = pulse{looked: now, answered: now.Add(-silence - time.Second)}
		full    = stock{all: 3, available: 3}
		half    = stock{all: 3, available: 2, starting: 1}
		reasons = func(ready, reachable, filled string) map[string]string {
			return map[string]string{
				v1alpha1.ConditionReady: ready, v1alpha1.ConditionReachable: reachable, v1alpha1.ConditionPoolFilled: filled,
			}
		}
	)
	const (
		yes         = "True " + v1alpha1.ReasonSucceeded
		cordoned    = "True " + v1alpha1.ReasonCordoned
		unreachable = "False " + v1alpha1.ReasonUnreachable
		progressing = "False " + v1alpha1.ReasonProgressing
		noCapacity  = "False " + v1alpha1.ReasonNoCapacity
	)
	for name, test := range map[string]struct {
		heard    pulse
		stock    stock
		cordoned bool
		err      error
		want     map[string]string
	}{
		"full":                                 {answers, full, false, nil, reasons(yes, yes, yes)},
		"being filled":                         {answers, half, false, nil, reasons(progressing, yes, progressing)},
		"no room for a member":                 {answers, stock{all: 5, available: 1, bound: 4}, false, nil, reasons(noCapacity, yes, noCapacity)},
		"the pool cannot be looked after":      {answers, stock{}, false, errors.New("broken"), reasons(progressing, yes, progressing)},
		"a look in between failed":             {pulse{looked: now, answered: now.Add(-silence)}, full, false, nil, reasons(yes, yes, yes)},
		"silent for more than a minute":        {silent, full, false, nil, reasons(unreachable, unreachable, yes)},
		"never heard":                          {pulse{looked: now}, half, false, nil, reasons(unreachable, unreachable, unreachable)},
		"cordoned is no error":                 {answers, full, true, nil, reasons(cordoned, yes, yes)},
		"cordoned is no error with a low pool": {answers, half, true, nil, reasons(cordoned, yes, cordoned)},
		"cordoned and silent is one":           {silent, half, true, nil, reasons(unreachable, unreachable, cordoned)},
	} {
		t.Run(name, func(t *testing.T) {
			host := &v1alpha1.HostCluster{Spec: v1alpha1.HostClusterSpec{Cordoned: test.cordoned, Pool: v1alpha1.PoolSpec{Size: 3, MaxClusters: 5, MaxStarting: 2}}}
			report(host, test.heard, test.stock, test.err, now)
			got := map[string]string{}
			for _, c := range host.Status.Conditions {
				got[c.Type] = string(c.Status) + " " + c.Reason
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRoomStaysAsItWasMeasuredLast(t *testing.T) {
	host := &v1alpha1.HostCluster{}
	report(host, pulse{answered: now, room: &tenancy.Room{Capacity: 20, Free: 7}}, stock{}, nil, now)
	report(host, pulse{answered: now}, stock{}, nil, now)
	if host.Status.CapacityOCUs != 20 || host.Status.FreeOCUs != 7 {
		t.Errorf("%d of %d are free, want 7 of 20", host.Status.FreeOCUs, host.Status.CapacityOCUs)
	}
	report(host, pulse{answered: now, room: &tenancy.Room{Capacity: 20}}, stock{}, nil, now)
	if host.Status.FreeOCUs != 0 {
		t.Errorf("%d are free, want 0", host.Status.FreeOCUs)
	}
}

func TestANodeThatIsTrimmedHasTheSameRoomAndNoImages(t *testing.T) {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("8Gi")}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"large"}}}
	for name, change := range map[string]func(*corev1.Node){
		"ready":    func(*corev1.Node) {},
		"cordoned": func(n *corev1.Node) { n.Spec.Unschedulable = true },
		"tainted":  func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}} },
		"leaving":  func(n *corev1.Node) { n.DeletionTimestamp = &metav1.Time{Time: now} },
	} {
		t.Run(name, func(t *testing.T) {
			whole := node.DeepCopy()
			change(whole)
			made, err := TrimNode(whole)
			if err != nil {
				t.Fatal(err)
			}
			trimmed := made.(*corev1.Node)
			if len(trimmed.Status.Images) > 0 || trimmed.Name != "n" {
				t.Errorf("kept %+v", trimmed)
			}
			want, got := tenancy.RoomOn([]corev1.Node{*whole}, nil, 10), tenancy.RoomOn([]corev1.Node{*trimmed}, nil, 10)
			if got != want {
				t.Errorf("room %+v, want %+v", got, want)
			}
		})
	}
}
