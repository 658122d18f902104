package fargate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/berth-dev/berth/internal/localcluster/netpol"
)

const (
	// lookAgain is when to try again what nothing tells the end of: a claim that is not
	// bound, a node that is full, an eviction that is refused.
	lookAgain = 5 * time.Second
	// noCapacity is what the scheduler says when the node is full.
	noCapacity = "Capacity is unavailable at this time. Please try again later"
)

type queue = workqueue.TypedRateLimitingInterface[types.NamespacedName]

// schedule looks after the pool's pods until ctx ends, one at a time.
func (p *Pool) schedule(ctx context.Context) error {
	pending := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.NamespacedName]())
	factory := informers.NewSharedInformerFactoryWithOptions(p.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.schedulerName", netpol.FargateScheduler).String()
	}))
	pods := factory.Core().V1().Pods()
	add := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			pending.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	_, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, now any) { add(now) }})
	if err != nil {
		return fmt.Errorf("watching the pods of the pool like Fargate: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	factory.WaitForCacheSync(ctx.Done())
	stop := context.AfterFunc(ctx, pending.ShutDown)
	defer stop()
	for p.next(ctx, pending, pods.Lister()) {
	}
	return nil
}

// next handles one pod; false when the queue has ended.
func (p *Pool) next(ctx context.Context, pending queue, lister corelisters.PodLister) bool {
	key, ended := pending.Get()
	if ended {
		return false
	}
	defer pending.Done(key)
	pod, err := lister.Pods(key.Namespace).Get(key.Name)
	if err != nil {
		pending.Forget(key)
		return true // it is gone
	}
	again, err := p.handle(ctx, pod)
	switch {
	case err != nil && ctx.Err() == nil:
		p.log.Warn("looking after a pod; trying again", "namespace", key.Namespace, "pod", key.Name, "error", err)
		pending.AddRateLimited(key)
	case again > 0:
		pending.Forget(key)
		pending.AddAfter(key, again)
	default:
		pending.Forget(key)
	}
	return true
}

// handle does what is due for a pod and says when to look again; 0 means when it changes.
func (p *Pool) handle(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	switch {
	case pod.DeletionTimestamp != nil, pod.Labels[ProfileLabel] == "", len(pod.Spec.SchedulingGates) > 0:
		return 0, nil
	case pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		return 0, nil
	case pod.Spec.NodeName == "":
		return p.place(ctx, pod)
	case p.options.PatchAfter > 0:
		return p.patch(ctx, pod)
	}
	return 0, nil
}

// place gives a pod to the node, or says why it does not.
func (p *Pool) place(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	faults := unsupported(pod)
	volumes, err := p.claimFaults(ctx, pod)
	if err != nil {
		return 0, err
	}
	if len(volumes) > 0 {
		faults = append(faults, "volumes not supported: "+strings.Join(volumes, ", "))
	}
	if len(faults) > 0 {
		return lookAgain, p.report(ctx, pod, "Pod not supported on Fargate: "+strings.Join(faults, ", "))
	}
	if wait := p.options.StartDelay - p.now().Sub(pod.CreationTimestamp.Time); wait > 0 {
		return wait, nil
	}
	fits, err := p.hasRoom(ctx, pod)
	if err != nil {
		return 0, err
	}
	if !fits {
		return lookAgain, p.report(ctx, pod, noCapacity)
	}
	err = p.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: p.options.NodeName},
	}, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return 0, nil // it is gone, or has its node already
	}
	if err != nil {
		return 0, fmt.Errorf("binding the pod: %w", err)
	}
	return 0, nil
}

// claimFaults says which volumes of a pod cannot be used because of their claims.
func (p *Pool) claimFaults(ctx context.Context, pod *corev1.Pod) ([]string, error) {
	var out []string
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		name := volume.PersistentVolumeClaim.ClaimName
		bound, err := p.boundTo(ctx, pod.Namespace, name)
		if err != nil {
			return nil, err
		}
		if fault := claimFault(name, bound); fault != "" {
			out = append(out, volume.Name+" not supported because: "+fault)
		}
	}
	return out, nil
}

// boundTo is the volume that a claim is bound to; nil when it is not, or is not there.
func (p *Pool) boundTo(ctx context.Context, namespace, name string) (*corev1.PersistentVolume, error) {
	claim, err := p.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil && claim.Status.Phase == corev1.ClaimBound {
		var volume *corev1.PersistentVolume
		if volume, err = p.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{}); err == nil {
			return volume, nil
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading claim %s: %w", name, err)
	}
	return nil, nil
}

// hasRoom tells whether the node can hold one more pod: the kubelet ends a pod that does
// not fit, and its owner would make another, for ever.
func (p *Pool) hasRoom(ctx context.Context, pod *corev1.Pod) (bool, error) {
	node, err := p.client.CoreV1().Nodes().Get(ctx, p.options.NodeName, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("reading the node: %w", err)
	}
	there, err := p.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", p.options.NodeName).String(),
	})
	if err != nil {
		return false, fmt.Errorf("listing the node's pods: %w", err)
	}
	milliCPU, memory := requests(&pod.Spec)
	count := int64(1)
	for i := range there.Items {
		if other := &there.Items[i]; other.Status.Phase != corev1.PodSucceeded && other.Status.Phase != corev1.PodFailed {
			cpu, bytes := requests(&other.Spec)
			milliCPU, memory, count = milliCPU+cpu, memory+bytes, count+1
		}
	}
	has := node.Status.Allocatable
	return milliCPU <= has.Cpu().MilliValue() && memory <= has.Memory().Value() && count <= has.Pods().Value(), nil
}

// report says on the pod and by an event why it does not start, once for each reason.
func (p *Pool) report(ctx context.Context, pod *corev1.Pod, message string) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Message == message {
			return nil
		}
	}
	now := metav1.NewTime(p.now())
	status := pod.DeepCopy()
	status.Status.Conditions = append(withoutScheduled(status.Status.Conditions), corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message, LastTransitionTime: now,
	})
	_, err := p.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, status, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is looked at again as it is now
	}
	if err != nil {
		return fmt.Errorf("saying why the pod does not start: %w", err)
	}
	_, err = p.client.CoreV1().Events(pod.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
		},
		Type: corev1.EventTypeWarning, Reason: "FailedScheduling", Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: netpol.FargateScheduler}, ReportingController: netpol.FargateScheduler,
	}, metav1.CreateOptions{})
	if err != nil {
		p.log.Warn("an event was not written", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
	}
	return nil
}

func withoutScheduled(conditions []corev1.PodCondition) []corev1.PodCondition {
	var out []corev1.PodCondition
	for _, condition := range conditions {
		if condition.Type != corev1.PodScheduled {
			out = append(out, condition)
		}
	}
	return out
}

// patch ends a pod that has reached its age: by eviction, which a disruption budget may
// refuse, and in the end without asking.
func (p *Pool) patch(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	age := p.now().Sub(pod.CreationTimestamp.Time)
	if age < p.options.PatchAfter {
		return p.options.PatchAfter - age, nil
	}
	itself := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	var err error
	if age < 2*p.options.PatchAfter {
		// Not by the client's own method, which waits where a budget is not counted yet.
		err = p.client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("eviction").
			Body(&policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, DeleteOptions: &itself,
			}).MaxRetries(0).Do(ctx).Error()
	} else {
		err = p.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, itself)
	}
	switch {
	case err == nil:
		p.log.Info("a pod was ended for a patch", "namespace", pod.Namespace, "pod", pod.Name, "age", age.String())
	case apierrors.IsTooManyRequests(err):
		return min(lookAgain, 2*p.options.PatchAfter-age), nil
	case !apierrors.IsNotFound(err) && !apierrors.IsConflict(err):
		return 0, errors.Join(errors.New("ending a pod for a patch"), err)
	}
	return 0, nil
}
