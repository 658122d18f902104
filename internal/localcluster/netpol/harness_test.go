package netpol

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const testNode = "node-1"

// enforced is a lab with a running enforcer that watches a fake cluster.
type enforced struct {
	*lab
	client   *fake.Clientset
	enforcer *Enforcer
	states   chan *snapshot
	stop     func()
	stopped  bool
	// groups is the path of the file of security groups, empty without a pool like Fargate.
	groups string
}

// enforce starts the enforcer on the lab's node with the objects that exist already.
func enforce(tb testing.TB, l *lab, cniDir string, objects ...runtime.Object) *enforced {
	tb.Helper()
	f := &enforced{lab: l, client: fake.NewClientset(objects...)}
	f.begin(tb, cniDir)
	return f
}

// begin starts the enforcer and returns when it watches.
func (f *enforced) begin(tb testing.TB, cniDir string) {
	tb.Helper()
	watching := f.reportWatches()
	f.start(tb, cniDir)
	for range 3 { // pods, namespaces, policies
		select {
		case <-watching:
		case <-time.After(soon):
			tb.Fatal("the enforcer does not watch the cluster")
		}
	}
}

// reportWatches says when each watch has begun: the fake API server, unlike a real
// one, loses what happens between the list and the watch.
func (f *enforced) reportWatches() <-chan struct{} {
	started := make(chan struct{}, 16)
	f.client.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := f.client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		started <- struct{}{}
		return true, w, err
	})
	return started
}

func (f *enforced) start(tb testing.TB, cniDir string) {
	tb.Helper()
	enforcer, err := New(f.client, Options{
		NodeName: testNode, netNS: f.nodeNS(), CNICacheDir: cniDir, debounce: time.Millisecond,
		GroupsFile: f.groups, NodeAddrs: []netip.Addr{netip.MustParseAddr(nodeIP)}, lookEvery: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	states := make(chan *snapshot, 1024)
	enforcer.applied = func(s *snapshot) { states <- s }
	// Not tb.Context(): policies are taken back in clean-ups, after that has ended.
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- enforcer.Run(ctx) }()
	f.enforcer, f.states = enforcer, states
	f.stopped = false
	f.stop = func() {
		if f.stopped {
			return
		}
		f.stopped = true
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the enforcer ended with: %v", err)
		}
	}
	tb.Cleanup(f.stop)
	select {
	case <-enforcer.Synced():
	case err := <-done:
		tb.Fatalf("the enforcer did not start: %v", err)
	case <-time.After(soon):
		tb.Fatal("the enforcer did not sync")
	}
}

// await returns when a state that holds what is wanted is in force.
func (f *enforced) await(t *testing.T, what string, holds func(*snapshot) bool) {
	t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case s := <-f.states:
			if holds(s) {
				return
			}
		case <-deadline:
			t.Fatalf("not in force in time: %s", what)
		}
	}
}

// policy puts a policy in force, and out of it when the test ends.
func (f *enforced) policy(t *testing.T, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	policies := f.client.NetworkingV1().NetworkPolicies(policy.Namespace)
	if _, err := policies.Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "policy "+policy.Name, func(s *snapshot) bool { return hasPolicy(s, policy) })
	t.Cleanup(func() { f.dropPolicy(t, policy) })
}

func (f *enforced) dropPolicy(t *testing.T, policy *networkingv1.NetworkPolicy) {
	t.Helper()
	if f.stopped {
		return
	}
	// t.Context() has ended when clean-ups run.
	err := f.client.NetworkingV1().NetworkPolicies(policy.Namespace).Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	f.await(t, "end of policy "+policy.Name, func(s *snapshot) bool { return !hasPolicy(s, policy) })
}

func hasPolicy(s *snapshot, policy *networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(s.policies, func(p *networkingv1.NetworkPolicy) bool {
		return p.Namespace == policy.Namespace && p.Name == policy.Name
	})
}

// run tells the cluster that the pod exists at the address, and waits until that is in force.
func (f *enforced) run(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if _, err := f.client.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "pod "+pod.Name, func(s *snapshot) bool { return hasAddr(s, pod.Status.PodIP) })
}

func (f *enforced) remove(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := f.client.CoreV1().Pods(pod.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "end of pod "+pod.Name, func(s *snapshot) bool { return !hasAddr(s, pod.Status.PodIP) })
}

func hasAddr(s *snapshot, ip string) bool {
	addr := netip.MustParseAddr(ip)
	return slices.ContainsFunc(s.endpoints, func(e endpoint) bool { return slices.Contains(e.addrs, addr) })
}

// reaches fails the test unless the named host answers.
func (f *enforced) reaches(t *testing.T, from *host, to target, answers string) {
	t.Helper()
	conn, greeting, err := from.dial(to, soon)
	if err != nil {
		counters, _ := f.enforcer.Counters(t.Context())
		t.Errorf("%s → %s: %v; want an answer from %s (dropped so far: %+v)", from.name, to, err, answers, counters)
		return
	}
	_ = conn.Close()
	if greeting != answers {
		t.Errorf("%s → %s: answered by %q, want %q", from.name, to, greeting, answers)
	}
}

type reason func(Counters) uint64

var (
	byIngress reason = func(c Counters) uint64 { return c.Ingress }
	byEgress  reason = func(c Counters) uint64 { return c.Egress }
	asUnknown reason = func(c Counters) uint64 { return c.Unknown }
	asSpoofed reason = func(c Counters) uint64 { return c.Spoofed }
)

// dropped fails the test unless nobody answers and the drop was counted.
func (f *enforced) dropped(t *testing.T, from *host, to target, why reason) {
	t.Helper()
	before, err := f.enforcer.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if conn, greeting, err := from.dial(to, lost); err == nil {
		_ = conn.Close()
		t.Errorf("%s → %s: answered by %q, want it dropped", from.name, to, greeting)
		return
	}
	after, err := f.enforcer.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if why(after) <= why(before) {
		t.Errorf("%s → %s: no answer, but the drop was not counted: before %+v, after %+v", from.name, to, before, after)
	}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func runningPod(namespace, name, app, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(namespace + "-" + name + "-" + ip), Labels: map[string]string{"app": app},
		},
		Spec: corev1.PodSpec{NodeName: testNode, Containers: []corev1.Container{{
			Name: "main", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}},
	}
}
