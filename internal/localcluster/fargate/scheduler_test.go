package fargate

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// placed makes a pod of the pool as the webhook would have.
func placed(name string) *corev1.Pod {
	pod := plain()
	pod.Name = name
	prepare(pod, "test", nil)
	return pod
}

func TestPodsStartAfterTheirDelayWhereThereIsRoom(t *testing.T) {
	now := time.Now()
	pool, namespace := newPool(t, func(o *Options) {
		o.StartDelay = 45 * time.Second
		o.Now = func() time.Time { return now }
	})
	pool.node(t, "350m", "1Gi")
	first := makePod(t, pool.client, namespace, placed("first"))
	now = first.CreationTimestamp.Add(44 * time.Second)
	again, err := pool.handle(t.Context(), first)
	if err != nil || again != time.Second || read(t, pool, first).Spec.NodeName != "" {
		t.Errorf("a second too early: again in %s, %v", again, err)
	}
	now = now.Add(time.Second)
	for range 2 { // the second time it has its node already
		if again, err := pool.handle(t.Context(), first); err != nil || again != 0 {
			t.Errorf("on time: again in %s, %v", again, err)
		}
	}
	if got := read(t, pool, first).Spec.NodeName; got != namespace {
		t.Errorf("on node %q", got)
	}

	large := placed("large")
	large.Spec.Containers[0].Resources = need("300m", "128Mi", "300m", "128Mi")
	large = makePod(t, pool.client, namespace, large)
	now = large.CreationTimestamp.Add(time.Minute)
	if again, err := pool.handle(t.Context(), large); err != nil || again == 0 {
		t.Errorf("without room: again in %s, %v", again, err)
	}
	if got := scheduled(read(t, pool, large)); got != noCapacity {
		t.Errorf("the pod says %q", got)
	}
	if err := pool.client.CoreV1().Pods(namespace).Delete(t.Context(), "first", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.handle(t.Context(), read(t, pool, large)); err != nil || read(t, pool, large).Spec.NodeName != namespace {
		t.Errorf("with room again it is not placed: %v", err)
	}
}

// scheduled is why a pod is not.
func scheduled(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}

func TestUnsupportedPodsStayPendingAndSayWhy(t *testing.T) {
	pool, namespace := newPool(t, nil)
	pool.node(t, "4", "8Gi")
	pod := placed("data")
	pod.Spec.Volumes = volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "files"}})
	pod = makePod(t, pool.client, namespace, pod)
	for range 2 {
		if again, err := pool.handle(t.Context(), read(t, pool, pod)); err != nil || again == 0 {
			t.Fatalf("again in %s, %v", again, err)
		}
	}
	const want = "Pod not supported on Fargate: volumes not supported: data not supported because: PVC files not bound"
	if got := scheduled(read(t, pool, pod)); got != want {
		t.Errorf("the pod says %q", got)
	}
	events, err := pool.client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(events.Items) != 1 || events.Items[0].Message != want || events.Items[0].Reason != "FailedScheduling" || events.Items[0].Source.Component != "fargate-scheduler" {
		t.Errorf("events %+v", events.Items)
	}
	bindClaim(t, pool.client, namespace, "files", nil)
	if _, err := pool.handle(t.Context(), read(t, pool, pod)); err != nil || read(t, pool, pod).Spec.NodeName != namespace {
		t.Errorf("with its claim bound to a volume made by hand it is not placed: %v", err)
	}

	dynamic := placed("dynamic")
	dynamic.Spec.Volumes = volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "made"}})
	dynamic = makePod(t, pool.client, namespace, dynamic)
	bindClaim(t, pool.client, namespace, "made", map[string]string{provisionedBy: "volumes.berth.dev/local"})
	if _, err := pool.handle(t.Context(), dynamic); err != nil || !strings.Contains(scheduled(read(t, pool, dynamic)), "on demand") {
		t.Errorf("on a volume made on demand: %q, %v", scheduled(read(t, pool, dynamic)), err)
	}
}

// bindClaim makes a claim that is bound to a volume with these annotations.
func bindClaim(t *testing.T, client kubernetes.Interface, namespace, name string, annotations map[string]string) {
	t.Helper()
	room := corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(1<<20, resource.BinarySI)}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	volume, err := client.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + name, Annotations: annotations},
		Spec: corev1.PersistentVolumeSpec{Capacity: room, AccessModes: modes, PersistentVolumeSource: corev1.PersistentVolumeSource{
			NFS: &corev1.NFSVolumeSource{Server: "efs", Path: "/"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume.Name, AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: room}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claim.Status.Phase = corev1.ClaimBound
	if _, err := client.CoreV1().PersistentVolumeClaims(namespace).UpdateStatus(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestOldPodsAreEvictedAndInTheEndDeleted(t *testing.T) {
	now := time.Now()
	pool, namespace := newPool(t, func(o *Options) {
		o.PatchAfter = time.Hour
		o.Now = func() time.Time { return now }
	})
	pool.node(t, "4", "8Gi")
	running := func(name string) *corev1.Pod {
		pod := placed(name)
		pod.Spec.NodeName, pod.Labels["app"] = namespace, name
		made := makePod(t, pool.client, namespace, pod)
		made.Status.Phase = corev1.PodRunning
		made.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		made, err := pool.client.CoreV1().Pods(namespace).UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	isGoing := func(pod *corev1.Pod) bool {
		now, err := pool.client.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && now.DeletionTimestamp != nil
	}
	free, held := running("free"), running("held")
	none := intstr.FromInt32(0)
	if _, err := pool.client.PolicyV1().PodDisruptionBudgets(namespace).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "held"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &none, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "held"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what       string
		pod        *corev1.Pod
		age, again time.Duration
		going      bool
	}{
		{"young", free, 59 * time.Minute, time.Minute, false},
		{"of an age", free, time.Hour, 0, true},
		{"of an age and held by a budget", held, time.Hour, lookAgain, false},
		{"of twice the age", held, 2 * time.Hour, 0, true},
	} {
		now = c.pod.CreationTimestamp.Add(c.age)
		again, err := pool.handle(t.Context(), c.pod)
		if err != nil || again != c.again || isGoing(c.pod) != c.going {
			t.Errorf("%s: again in %s, going %t, %v; want again in %s, going %t", c.what, again, isGoing(c.pod), err, c.again, c.going)
		}
	}
}

// TestAPodGoesAllTheWay: the whole pool at work on one pod.
func TestAPodGoesAllTheWay(t *testing.T) {
	pool, namespace := newPool(t, nil)
	pool.node(t, "4", "8Gi")
	pool.run(t)
	pod := makePod(t, pool.client, namespace, plain())
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 1000 {
		if pod = read(t, pool, pod); pod.Spec.NodeName == namespace {
			return
		}
		<-again.C
	}
	t.Fatalf("the pod has no node: %+v", pod)
}
