package fargate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/berth-dev/berth/internal/localcluster/netpol"
)

func TestPodsPassThroughTheWebhook(t *testing.T) {
	pool, namespace := newPool(t, nil)
	pool.run(t)
	t.Run("a pod of the pool is made one", func(t *testing.T) {
		pod := plain()
		pod.Annotations = map[string]string{netpol.GroupsAnnotation: "sg-mine", CapacityAnnotation: "16vCPU 120GB", "kept": "yes"}
		made := makePod(t, pool.client, namespace, pod)
		if made.Spec.SchedulerName != netpol.FargateScheduler || made.Labels[ProfileLabel] != "test" {
			t.Errorf("scheduler %q, labels %v", made.Spec.SchedulerName, made.Labels)
		}
		if diff := cmp.Diff(map[string]string{CapacityAnnotation: "0.25vCPU 0.5GB", "kept": "yes"}, made.Annotations); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(need("100m", "128Mi", "250m", "256Mi"), made.Spec.Containers[0].Resources); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("another pod is left alone", func(t *testing.T) {
		pod := plain()
		pod.Name, pod.Labels = "other", nil
		if made := makePod(t, pool.client, namespace, pod); made.Spec.SchedulerName != corev1.DefaultSchedulerName || len(made.Labels)+len(made.Annotations) > 0 {
			t.Errorf("scheduler %q, labels %v, annotations %v", made.Spec.SchedulerName, made.Labels, made.Annotations)
		}
	})
	groupPolicyNamed(t, pool, namespace, "web", map[string]any{
		"podSelector": map[string]any{"matchLabels": map[string]any{"app": "web"}}, "securityGroups": ids("sg-b", "sg-a"),
	})
	t.Run("a policy made later concerns later pods only", func(t *testing.T) {
		later := plain()
		later.Name, later.Labels["app"] = "later", "web"
		if got := makePod(t, pool.client, namespace, later).Annotations[netpol.GroupsAnnotation]; got != "sg-a,sg-b" {
			t.Errorf("a later pod has the groups %q", got)
		}
		if got, has := read(t, pool, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}}).Annotations[netpol.GroupsAnnotation]; has {
			t.Errorf("an earlier pod has the groups %q", got)
		}
	})
	t.Run("groups and profile cannot be changed, the rest can", func(t *testing.T) {
		pods := pool.client.CoreV1().Pods(namespace)
		pod := read(t, pool, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "later"}})
		pod.Annotations, pod.Labels = map[string]string{netpol.GroupsAnnotation: "sg-mine", CapacityAnnotation: "mine"}, map[string]string{"app": "db"}
		now, err := pods.Update(t.Context(), pod, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{netpol.GroupsAnnotation: "sg-a,sg-b", CapacityAnnotation: "mine"}
		if diff := cmp.Diff(want, now.Annotations); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"app": "db", ProfileLabel: "test"}, now.Labels); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a policy takes one to five groups", func(t *testing.T) {
		for _, count := range []int{0, 6} {
			groups := []any{}
			for n := range count {
				groups = append(groups, fmt.Sprintf("sg-%d", n))
			}
			_, err := pool.dynamic.Resource(policies).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "vpcresources.k8s.aws/v1beta1", "kind": "SecurityGroupPolicy", "metadata": map[string]any{"name": "count"},
				"spec": map[string]any{"podSelector": map[string]any{}, "securityGroups": ids(groups...)},
			}}, metav1.CreateOptions{})
			if !apierrors.IsInvalid(err) {
				t.Errorf("%d groups: %v", count, err)
			}
		}
	})
}

func TestWhoAsksInVainWhileNobodyAnswers(t *testing.T) {
	pool, namespace := newPool(t, nil)
	if err := pool.setup(t.Context(), "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(context.WithoutCancel(t.Context()), pool.client); err != nil {
			t.Error(err)
		}
	})
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for n := 0; ; n++ { // the API server hears of the registration by a watch
		_, err := pool.client.CoreV1().Pods(namespace).Create(t.Context(), plain(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			break
		}
		if n == 1000 {
			t.Fatal("a pod of the pool is made past the webhook")
		}
		<-again.C
	}
	other := plain()
	other.Labels = nil
	makePod(t, pool.client, namespace, other)
}

func TestWithoutThePoolNothingWaitsForIt(t *testing.T) {
	pool, namespace := newPool(t, nil)
	if err := pool.setup(t.Context(), "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	usual := plain()
	usual.Name, usual.Labels = "usual", nil
	running := placed("running")
	running.Spec.NodeName, running.Labels = namespace, nil
	waiting := placed("waiting")
	waiting.Labels = nil // past the webhook
	for _, pod := range []*corev1.Pod{usual, running, waiting} {
		makePod(t, pool.client, namespace, pod)
	}
	for range 2 {
		if err := Remove(t.Context(), pool.client); err != nil {
			t.Fatal(err)
		}
	}
	left, err := pool.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range left.Items {
		names = append(names, left.Items[i].Name)
	}
	if diff := cmp.Diff([]string{"running", "usual"}, names); diff != "" {
		t.Error(diff)
	}
	if _, err := pool.dynamic.Resource(configurations).Get(t.Context(), configurationName, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the webhook is registered still: %v", err)
	}
}

func TestGroupsOfPolicies(t *testing.T) {
	pod, account := map[string]string{"app": "web"}, map[string]string{"team": "red"}
	selector := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	for name, c := range map[string]struct {
		pods, accounts *metav1.LabelSelector
		want           bool
	}{
		"the pod's labels":              {selector("app", "web"), nil, true},
		"another's labels":              {selector("app", "db"), nil, false},
		"the account's labels":          {nil, selector("team", "red"), true},
		"another account's":             {nil, selector("team", "blue"), false},
		"both match":                    {selector("app", "web"), selector("team", "red"), true},
		"one of both":                   {selector("app", "web"), selector("team", "blue"), false},
		"an empty selector is everyone": {&metav1.LabelSelector{}, nil, true},
		"no selector is nobody":         {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var policy groupPolicy
			policy.Spec.PodSelector, policy.Spec.ServiceAccountSelector = c.pods, c.accounts
			policy.Spec.SecurityGroups.GroupIDs = []string{"sg-a"}
			got, err := selectGroups([]groupPolicy{policy, policy}, pod, account)
			if err != nil || (len(got) == 1) != c.want || len(got) > 1 {
				t.Errorf("%v, %v; want any: %t", got, err, c.want)
			}
		})
	}
}
