package tenancy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/berth-dev/berth/api/v1alpha1"
)

func cluster(name, host string, age time.Duration, change func(*v1alpha1.VirtualCluster)) v1alpha1.VirtualCluster {
	made := v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{
		Name: name, CreationTimestamp: metav1.NewTime(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(-age)),
	}}
	made.Spec.HostCluster = host
	made.Status.Phase = v1alpha1.VirtualClusterAvailable
	if change != nil {
		change(&made)
	}
	return made
}

func taken(c *v1alpha1.VirtualCluster) { c.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "shop", UID: "1"} }

// hostIn makes a host that answers and takes up to ten clusters.
func hostIn(region, name string, free int32, change func(*v1alpha1.HostCluster)) v1alpha1.HostCluster {
	made := v1alpha1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	made.Spec.Region, made.Spec.Pool.MaxClusters, made.Status.FreeOCUs = region, 10, free
	made.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue}}
	if change != nil {
		change(&made)
	}
	return made
}

func cordoned(h *v1alpha1.HostCluster) { h.Spec.Cordoned = true }

func silent(h *v1alpha1.HostCluster) { h.Status.Conditions[0].Status = metav1.ConditionFalse }

func unseen(h *v1alpha1.HostCluster) { h.Status.Conditions = nil }

func fullAt(n int32) func(*v1alpha1.HostCluster) {
	return func(h *v1alpha1.HostCluster) { h.Spec.Pool.MaxClusters = n }
}

func TestACandidateIsReadyUnboundAndOnAHostThatTakesTenants(t *testing.T) {
	hosts := []v1alpha1.HostCluster{
		hostIn("eu", "eu", 0, nil), hostIn("us", "us", 0, nil),
		hostIn("eu", "cordoned", 90, cordoned), hostIn("eu", "silent", 90, silent), hostIn("eu", "unseen", 90, unseen),
		hostIn("eu", "deleted", 90, func(h *v1alpha1.HostCluster) { h.DeletionTimestamp = &metav1.Time{} }),
	}
	clusters := []v1alpha1.VirtualCluster{
		cluster("young", "eu", time.Minute, nil),
		cluster("old", "eu", time.Hour, nil),
		cluster("american", "us", 2*time.Hour, nil),
		cluster("nowhere", "gone", 3*time.Hour, nil),
		cluster("on-cordoned", "cordoned", 4*time.Hour, nil),
		cluster("on-silent", "silent", 4*time.Hour, nil),
		cluster("on-unseen", "unseen", 4*time.Hour, nil),
		cluster("on-deleted", "deleted", 4*time.Hour, nil),
		cluster("starting", "eu", 4*time.Hour, func(c *v1alpha1.VirtualCluster) { c.Status.Phase = v1alpha1.VirtualClusterPending }),
		cluster("leaving", "eu", 4*time.Hour, func(c *v1alpha1.VirtualCluster) { c.DeletionTimestamp = &metav1.Time{} }),
		cluster("bound", "eu", 4*time.Hour, taken),
	}
	for region, want := range map[string][]string{
		"eu": {"old", "young"}, "": {"american", "old", "young"}, "asia": nil,
	} {
		if diff := cmp.Diff(want, namesOf(Place(clusters, hosts, region).Candidates)); diff != "" {
			t.Errorf("region %q (-want +got):\n%s", region, diff)
		}
	}
}

func TestTheHostWithTheMostFreeOCUsComesFirstAndOnItTheOldestCluster(t *testing.T) {
	hosts := []v1alpha1.HostCluster{hostIn("eu", "a", 5, nil), hostIn("eu", "b", 50, nil), hostIn("eu", "c", 5, nil), hostIn("eu", "none", 0, nil)}
	clusters := []v1alpha1.VirtualCluster{
		cluster("a1", "a", 2*time.Hour, nil), cluster("b-young", "b", time.Minute, nil), cluster("b-old", "b", time.Hour, nil),
		cluster("c1", "c", 3*time.Hour, nil), cluster("none1", "none", 9*time.Hour, nil),
	}
	want := []string{"b-old", "b-young", "c1", "a1", "none1"}
	if diff := cmp.Diff(want, namesOf(Place(clusters, hosts, "eu").Candidates)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func namesOf(clusters []v1alpha1.VirtualCluster) []string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return names
}

func TestWhatATenantIsToldWhenThereIsNoCandidate(t *testing.T) {
	const none, queued = v1alpha1.ReasonNoCapacity, v1alpha1.ReasonQueued
	full := hostIn("eu", "full-1", 0, fullAt(1))
	bound := cluster("a", "full-1", 0, taken)
	for name, test := range map[string]struct {
		clusters        []v1alpha1.VirtualCluster
		hosts           []v1alpha1.HostCluster
		region          string
		reason, message string
	}{
		"one can be made": {nil, []v1alpha1.HostCluster{hostIn("eu", "h", 0, nil)}, "eu", queued, "Your cluster is being prepared"},
		"one is starting on a host that is full": {
			[]v1alpha1.VirtualCluster{cluster("a", "full-1", 0, func(c *v1alpha1.VirtualCluster) { c.Status.Phase = "" })},
			[]v1alpha1.HostCluster{full},
			"eu", queued, "Your cluster is being prepared",
		},
		"others were faster":          {[]v1alpha1.VirtualCluster{cluster("a", "full-1", 0, nil)}, []v1alpha1.HostCluster{full}, "eu", queued, "Your cluster is being prepared"},
		"a host was not looked at":    {nil, []v1alpha1.HostCluster{hostIn("eu", "h", 0, unseen)}, "eu", queued, "Your cluster is being prepared"},
		"nobody serves the region":    {nil, []v1alpha1.HostCluster{full}, "asia", none, "No cluster serves region asia; choose another region or ask the operator"},
		"there is no host":            {nil, nil, "", none, "No cluster takes tenants yet; ask the operator"},
		"the only host is full":       {[]v1alpha1.VirtualCluster{bound}, []v1alpha1.HostCluster{full}, "", none, "No cluster has room: 1 is full"},
		"one that leaves takes place": {[]v1alpha1.VirtualCluster{cluster("a", "full-1", 0, func(c *v1alpha1.VirtualCluster) { c.DeletionTimestamp = &metav1.Time{} })}, []v1alpha1.HostCluster{full}, "", none, "No cluster has room: 1 is full"},
		"one of each kind": {
			[]v1alpha1.VirtualCluster{bound},
			[]v1alpha1.HostCluster{full, hostIn("eu", "h", 9, cordoned), hostIn("eu", "i", 9, silent), hostIn("us", "j", 9, nil)},
			"eu", none, "No cluster in region eu has room: 1 is full, 1 is being serviced, 1 does not answer",
		},
		"several of a kind": {
			nil,
			[]v1alpha1.HostCluster{hostIn("eu", "h", 0, cordoned), hostIn("eu", "i", 0, cordoned), hostIn("us", "j", 0, silent), hostIn("us", "k", 0, silent)},
			"", none, "No cluster has room: 2 are being serviced, 2 do not answer",
		},
		"one can be made where others cannot": {
			nil, []v1alpha1.HostCluster{hostIn("eu", "h", 0, cordoned), hostIn("eu", "i", 0, nil)}, "eu", queued, "Your cluster is being prepared",
		},
	} {
		t.Run(name, func(t *testing.T) {
			reason, message := Place(test.clusters, test.hosts, test.region).WhyNone()
			if reason != test.reason || message != test.message {
				t.Errorf("%s: %q, want %s: %q", reason, message, test.reason, test.message)
			}
			for _, host := range test.hosts {
				if strings.Contains(message, host.Name+" ") {
					t.Errorf("it names the host %s: %q", host.Name, message)
				}
			}
		})
	}
}

func TestAnOperatorSeesWhyEachHostWasSkipped(t *testing.T) {
	hosts := []v1alpha1.HostCluster{
		hostIn("eu", "takes", 0, nil), hostIn("eu", "refilling", 0, nil), hostIn("eu", "full", 0, fullAt(1)), hostIn("eu", "cordoned", 0, cordoned),
		hostIn("eu", "silent", 0, silent), hostIn("eu", "unseen", 0, unseen), hostIn("us", "abroad", 0, cordoned),
	}
	clusters := []v1alpha1.VirtualCluster{cluster("a", "takes", 0, nil), cluster("b", "full", 0, taken), cluster("c", "refilling", 0, taken)}
	got := map[string]string{}
	for _, s := range Place(clusters, hosts, "eu").Skipped {
		got[s.Host] = s.Reason
	}
	want := map[string]string{
		"refilling": v1alpha1.ReasonRefilling, "full": v1alpha1.ReasonFull, "cordoned": v1alpha1.ReasonCordoned,
		"silent": v1alpha1.ReasonUnreachable, "unseen": v1alpha1.ReasonWaiting, "abroad": v1alpha1.ReasonOtherRegion,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARegionHasRoomIfOneOfItsHostsHas(t *testing.T) {
	zones := func(zones ...string) func(*v1alpha1.HostCluster) {
		return func(h *v1alpha1.HostCluster) { h.Spec.Zones = zones }
	}
	hosts := []v1alpha1.HostCluster{
		hostIn("us", "u", 0, silent), hostIn("eu", "a", 0, zones("eu-b", "eu-a")), hostIn("eu", "b", 0, zones("eu-b", "eu-c")),
		hostIn("eu", "c", 0, cordoned), hostIn("asia", "full", 0, fullAt(1)),
		hostIn("moon", "deleted", 0, func(h *v1alpha1.HostCluster) { h.DeletionTimestamp = &metav1.Time{} }),
	}
	want := []Region{{Name: "asia"}, {Name: "eu", Zones: []string{"eu-a", "eu-b", "eu-c"}, Room: true}, {Name: "us"}}
	if diff := cmp.Diff(want, Regions(hosts, []v1alpha1.VirtualCluster{cluster("f", "full", 0, taken)})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func node(name, cpu, memory string, change func(*corev1.Node)) corev1.Node {
	made := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	made.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	made.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if change != nil {
		change(&made)
	}
	return made
}

func asks(cpu, memory string) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}}
}

func podOn(node, namespace string, change func(*corev1.Pod), containers ...corev1.Container) corev1.Pod {
	made := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, Spec: corev1.PodSpec{NodeName: node, Containers: containers}}
	if change != nil {
		change(&made)
	}
	return made
}

func ofTenant(p *corev1.Pod) { p.Labels = map[string]string{LabelTenantPod: "k3x9m2pq"} }

func TestTheRoomOnAHost(t *testing.T) {
	ten := []corev1.Node{node("n", "1", "10Gi", nil)}
	init := func(always bool, c corev1.Container) corev1.Container {
		if always {
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		}
		return c
	}
	for name, test := range map[string]struct {
		nodes      []corev1.Node
		pods       []corev1.Pod
		overcommit int32
		want       Room
	}{
		"no node":                             {nil, nil, 1, Room{}},
		"an empty node":                       {ten, nil, 1, Room{10, 10}},
		"memory is scarcer":                   {[]corev1.Node{node("n", "8", "10Gi", nil)}, nil, 1, Room{10, 10}},
		"CPU is scarcer":                      {[]corev1.Node{node("n", "500m", "64Gi", nil)}, nil, 1, Room{5, 5}},
		"CPU is overcommitted, memory is not": {[]corev1.Node{node("n", "500m", "64Gi", nil)}, nil, 10, Room{50, 50}},
		"nodes add up":                        {[]corev1.Node{node("n", "1", "10Gi", nil), node("m", "1", "10Gi", nil)}, nil, 1, Room{20, 20}},
		"a tenant's process takes off what is free": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", ofTenant, asks("100m", "1Gi"))}, 1, Room{10, 9},
		},
		"half an OCU leaves no whole one": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", ofTenant, asks("50m", "512Mi"))}, 1, Room{10, 9},
		},
		"a process that waits for a node has asked too": {
			ten, []corev1.Pod{podOn("", "vc-k3x9m2pq", ofTenant, asks("100m", "1Gi"))}, 1, Room{10, 9},
		},
		"a control plane takes off both": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", nil, asks("50m", "640Mi"))}, 1, Room{9, 9},
		},
		"the platform takes off both, whatever its labels": {
			ten, []corev1.Pod{podOn("n", "berth-system", ofTenant, asks("200m", "2Gi"))}, 1, Room{8, 8},
		},
		"what ended takes nothing": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", func(p *corev1.Pod) { ofTenant(p); p.Status.Phase = corev1.PodSucceeded }, asks("1", "9Gi"))}, 1, Room{10, 10},
		},
		"more was asked for than there is": {
			ten, []corev1.Pod{podOn("", "vc-k3x9m2pq", ofTenant, asks("5", "50Gi"))}, 1, Room{10, 0},
		},
		"a pod needs the larger of starting and running": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", func(p *corev1.Pod) {
				ofTenant(p)
				p.Spec.InitContainers = []corev1.Container{init(false, asks("300m", "3Gi"))}
			}, asks("100m", "1Gi"))}, 1, Room{10, 7},
		},
		"a sidecar runs beside what starts after it, and beside the process": {
			ten, []corev1.Pod{podOn("n", "vc-k3x9m2pq", func(p *corev1.Pod) {
				ofTenant(p)
				p.Spec.InitContainers = []corev1.Container{init(true, asks("100m", "1Gi")), init(false, asks("100m", "1Gi"))}
			}, asks("200m", "2Gi"))}, 1, Room{10, 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RoomOn(test.nodes, test.pods, test.overcommit); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestANodeThatTakesNoPodsCountsForNothingAndSoDoItsPods(t *testing.T) {
	for name, change := range map[string]func(*corev1.Node){
		"not ready":  func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown },
		"never seen": func(n *corev1.Node) { n.Status.Conditions = nil },
		"cordoned":   func(n *corev1.Node) { n.Spec.Unschedulable = true },
		"tainted":    func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}} },
	} {
		t.Run(name, func(t *testing.T) {
			nodes := []corev1.Node{node("good", "1", "10Gi", nil), node("bad", "1", "10Gi", change)}
			pods := []corev1.Pod{podOn("bad", "vc-k3x9m2pq", ofTenant, asks("500m", "5Gi")), podOn("bad", "kube-system", nil, asks("500m", "5Gi"))}
			if got, want := RoomOn(nodes, pods, 1), (Room{10, 10}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
	if got := fmt.Sprint(RoomOn([]corev1.Node{node("n", "1", "10Gi", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectPreferNoSchedule}}
	})}, nil, 1)); got != "{10 10}" {
		t.Errorf("a node that pods only rather avoid has the room %s", got)
	}
}
