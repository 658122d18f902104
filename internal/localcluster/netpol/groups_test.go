package netpol

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/berth-dev/berth/internal/errs"
)

func TestWhatIsNoSecurityGroup(t *testing.T) {
	for name, c := range map[string]struct{ text, field string }{
		"no name":                     {`[{}]`, "[0].id"},
		"a name with a comma":         {`[{"id":"sg-a,sg-b"}]`, "[0].id"},
		"twice":                       {`[{"id":"sg-a"},{"id":"sg-a"}]`, "[1].id"},
		"no protocol":                 {`[{"id":"sg-a","ingress":[{"cidrs":["10.0.0.0/8"]}]}]`, "[0].protocol"},
		"no last port":                {`[{"id":"sg-a","ingress":[{"protocol":"tcp","fromPort":80,"cidrs":["10.0.0.0/8"]}]}]`, "[0].fromPort"},
		"ports the wrong way round":   {`[{"id":"sg-a","ingress":[{"protocol":"udp","fromPort":80,"toPort":79,"cidrs":["10.0.0.0/8"]}]}]`, "[0].fromPort"},
		"ports of all protocols":      {`[{"id":"sg-a","ingress":[{"protocol":"-1","fromPort":80,"toPort":80,"cidrs":["10.0.0.0/8"]}]}]`, "[0].fromPort"},
		"no peers":                    {`[{"id":"sg-a","egress":[{"protocol":"-1"}]}]`, "[0].cidrs"},
		"an address that is no block": {`[{"id":"sg-a","egress":[{"protocol":"-1","cidrs":["10.0.0.1"]}]}]`, "[0].cidrs"},
		"a field nobody knows":        {`[{"id":"sg-a","egres":[]}]`, ""},
		"no list":                     {`{"id":"sg-a"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			groups, err := parseGroups([]byte(c.text))
			if err == nil {
				t.Fatalf("taken as %+v", groups)
			}
			if c.field != "" && errs.As(err).Field != c.field {
				t.Errorf("the error is for %q, want %q: %v", errs.As(err).Field, c.field, err)
			}
		})
	}
}

func TestGroupsOfAPod(t *testing.T) {
	for annotation, want := range map[string][]string{
		"": {ClusterGroup}, "sg-a": {"sg-a"}, "sg-b,sg-a, sg-b,": {"sg-a", "sg-b"}, " , ": {ClusterGroup},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{GroupsAnnotation: annotation}}}
		if diff := cmp.Diff(want, podGroups(pod)); diff != "" {
			t.Errorf("%q: %s", annotation, diff)
		}
	}
}

const testGroups = `[
 {"id": "sg-web", "ingress": [
   {"protocol": "tcp", "fromPort": 8080, "toPort": 8081, "groups": ["sg-friend"]},
   {"protocol": "tcp", "fromPort": 9090, "toPort": 9090, "cidrs": ["198.51.100.0/24", "10.88.0.3/32"]}]},
 {"id": "sg-udp", "ingress": [{"protocol": "udp", "fromPort": 5353, "toPort": 5353, "groups": ["sg-cluster"]}]},
 {"id": "sg-friend", "egress": [{"protocol": "-1", "groups": ["sg-web"]}]},
 {"id": "sg-shut", "egress": []}
]`

// quarter is a town in which web has the groups sg-web and sg-udp; friend has the group
// sg-friend, shut has sg-shut, lost has one that nobody knows, and plain has none. peer and
// client are pods outside of the pool.
type quarter struct {
	*town
	friend, shut, lost, plain *host
}

// pooledPod is a pod of the pool with these groups.
func pooledPod(name, ip, groups string) *corev1.Pod {
	pod := runningPod("red", name, name, ip)
	pod.Spec.SchedulerName = FargateScheduler
	if groups != "" {
		pod.Annotations = map[string]string{GroupsAnnotation: groups}
	}
	return pod
}

func newQuarter(t *testing.T) *quarter {
	t.Helper()
	l := newLab(t)
	q := &quarter{town: &town{
		web: l.pod("web", "10.88.0.2"), peer: l.pod("peer", "10.88.0.3"), client: l.pod("client", "10.88.0.4"),
		outside: l.outside(), node: l.nodeHost(),
	}}
	q.friend, q.shut, q.lost, q.plain = l.pod("friend", "10.88.0.5"), l.pod("shut", "10.88.0.6"), l.pod("lost", "10.88.0.7"), l.pod("plain", "10.88.0.8")
	q.node.serveTCP(10250)
	q.enforced = &enforced{lab: l, groups: filepath.Join(t.TempDir(), "security-groups.json"), client: fake.NewClientset(
		namespace("red", nil), namespace("blue", nil),
		pooledPod("web", q.web.ip, "sg-web,sg-udp"), pooledPod("friend", q.friend.ip, "sg-friend"),
		pooledPod("shut", q.shut.ip, "sg-shut"), pooledPod("lost", q.lost.ip, "sg-nobody"), pooledPod("plain", q.plain.ip, ""),
		runningPod("red", "peer", "peer", q.peer.ip), runningPod("blue", "client", "client", q.client.ip))}
	q.write(t, testGroups)
	q.begin(t, "")
	return q
}

func (q *quarter) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(q.groups, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestGroupPackets(t *testing.T) {
	q := newQuarter(t)
	t.Run("only what a group allows comes in", func(t *testing.T) {
		q.reaches(t, q.friend, tcp(q.web, 8080), "web")
		q.reaches(t, q.friend, tcp(q.web, 8081), "web")
		q.dropped(t, q.friend, tcp(q.web, 9090), byIngress)
		q.reaches(t, q.outside, tcp(q.web, 9090), "web")
		q.reaches(t, q.peer, tcp(q.web, 9090), "web")
		q.dropped(t, q.outside, tcp(q.web, 8080), byIngress)
		q.dropped(t, q.peer, tcp(q.web, 8080), byIngress)
		q.dropped(t, q.client, tcp(q.web, 9090), byIngress)
	})
	t.Run("groups of one pod add up", func(t *testing.T) {
		q.reaches(t, q.client, udp(q.web, 5353), "web")
		q.reaches(t, q.plain, udp(q.web, 5353), "web")
		q.dropped(t, q.outside, udp(q.web, 5353), byIngress)
	})
	t.Run("probes come in and a pod reaches itself", func(t *testing.T) {
		q.reaches(t, q.node, tcp(q.shut, 8080), "shut")
		q.reaches(t, q.shut, tcp(q.shut, 8080), "shut")
	})
	t.Run("egress left out is everything, [] is nothing, rules are those", func(t *testing.T) {
		q.reaches(t, q.web, tcp(q.outside, 8080), "outside")
		q.reaches(t, q.web, tcp(q.node, 10250), "node")
		q.dropped(t, q.shut, tcp(q.outside, 8080), byEgress)
		q.dropped(t, q.shut, tcp(q.node, 10250), byEgress)
		q.dropped(t, q.friend, tcp(q.outside, 8080), byEgress)
	})
	t.Run("both sides must allow", func(t *testing.T) {
		q.dropped(t, q.web, tcp(q.friend, 8080), byIngress)
		q.dropped(t, q.friend, tcp(q.peer, 8080), byEgress)
	})
	t.Run("a group that nobody knows allows nothing", func(t *testing.T) {
		q.dropped(t, q.lost, tcp(q.peer, 8080), byEgress)
		q.dropped(t, q.peer, tcp(q.lost, 8080), byIngress)
	})
	t.Run("without a group the cluster's own: its pods and the node", func(t *testing.T) {
		q.reaches(t, q.client, tcp(q.plain, 8080), "plain")
		q.reaches(t, q.plain, tcp(q.client, 8080), "client")
		q.reaches(t, q.plain, tcp(q.node, 10250), "node")
		q.dropped(t, q.web, tcp(q.plain, 8080), byIngress)
		q.dropped(t, q.outside, tcp(q.plain, 8080), byIngress)
	})
	t.Run("pods outside of the pool are open as before", func(t *testing.T) {
		q.reaches(t, q.outside, tcp(q.peer, 8080), "peer")
		q.reaches(t, q.web, tcp(q.peer, 8080), "peer")
		q.reaches(t, q.peer, tcp(q.client, 8080), "client")
	})
}

func TestPoliciesDoNothingForThePool(t *testing.T) {
	q := newQuarter(t)
	deny := webPolicy("deny", networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	deny.Spec.PodSelector = metav1.LabelSelector{}
	q.policy(t, deny)
	q.reaches(t, q.friend, tcp(q.web, 8080), "web")
	q.reaches(t, q.client, tcp(q.plain, 8080), "plain")
	q.reaches(t, q.web, tcp(q.outside, 8080), "outside")

	q.dropped(t, q.client, tcp(q.peer, 8080), byIngress) // its twin outside of the pool
	allow := webPolicy("allow", networkingv1.PolicyTypeIngress)
	allow.Spec.PodSelector = *app("peer")
	allow.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{from(pods("web"))}
	q.policy(t, allow)
	q.reaches(t, q.web, tcp(q.peer, 8080), "peer") // pods of the pool are peers like others
}

func TestGroupsFollowTheirFile(t *testing.T) {
	q := newQuarter(t)
	q.dropped(t, q.client, tcp(q.web, 8080), byIngress)

	q.write(t, `[{"id": "sg-web", "ingress": [{"protocol": "-1", "cidrs": ["10.88.0.4/32"]}]}]`)
	q.await(t, "the changed groups", func(s *snapshot) bool { return len(s.groups) == 2 })
	q.reaches(t, q.client, tcp(q.web, 8080), "web")
	q.dropped(t, q.friend, tcp(q.web, 8080), byEgress) // its own group is gone

	q.write(t, `[{"id": "sg-web", "ingress": [{"protocol": "all"}]}]`)
	if q.enforcer.groups.look() {
		t.Error("a broken file is news")
	}
	q.reaches(t, q.client, tcp(q.web, 8080), "web")

	q.write(t, "[]")
	q.await(t, "no groups", func(s *snapshot) bool { return len(s.groups) == 1 })
	q.dropped(t, q.client, tcp(q.web, 8080), byIngress)
}

func TestWithoutAPoolSchedulersDoNotMatter(t *testing.T) {
	pod := pooledPod("web", "10.0.0.1", "sg-web")
	if got := endpoints([]*corev1.Pod{pod}, nil, testNode, false); len(got) != 1 || got[0].pooled || got[0].groups != nil {
		t.Errorf("got %+v", got)
	}
}
