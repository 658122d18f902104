package netpol

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	netlisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// source is the cluster's state as informers see it. Peers may be anywhere, so it watches
// all pods, but keeps only the few fields that matter.
type source struct {
	factory    informers.SharedInformerFactory
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	policies   netlisters.NetworkPolicyLister
	synced     []cache.InformerSynced
}

// newSource calls kick whenever the rules may have to change.
func newSource(client kubernetes.Interface, kick func()) (*source, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(strip))
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	s := &source{factory: factory, pods: pods.Lister(), namespaces: namespaces.Lister(), policies: policies.Lister()}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { kick() },
		DeleteFunc: func(any) { kick() },
		UpdateFunc: func(before, now any) {
			if matters(before, now) {
				kick()
			}
		},
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return nil, fmt.Errorf("watching the cluster: %w", err)
		}
		s.synced = append(s.synced, registration.HasSynced)
	}
	return s, nil
}

// start returns when the whole state has been read.
func (s *source) start(ctx context.Context) error {
	s.factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), s.synced...) {
		return errors.Join(errors.New("reading the cluster's state was interrupted"), ctx.Err())
	}
	return nil
}

func (s *source) stop() { s.factory.Shutdown() }

func (s *source) podsAndRules() ([]*corev1.Pod, map[string]labels.Set, []*networkingv1.NetworkPolicy, error) {
	pods, podsErr := s.pods.List(labels.Everything())
	namespaces, namespacesErr := s.namespaces.List(labels.Everything())
	policies, policiesErr := s.policies.List(labels.Everything())
	if err := errors.Join(podsErr, namespacesErr, policiesErr); err != nil {
		return nil, nil, nil, fmt.Errorf("listing from the cache: %w", err)
	}
	byName := make(map[string]labels.Set, len(namespaces))
	for _, ns := range namespaces {
		byName[ns.Name] = ns.Labels
	}
	return pods, byName, policies, nil
}

// strip keeps of every object what the rules depend on.
func strip(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return stripPod(o), nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: stripMeta(o.ObjectMeta)}, nil
	case *networkingv1.NetworkPolicy:
		return &networkingv1.NetworkPolicy{ObjectMeta: stripMeta(o.ObjectMeta), Spec: o.Spec}, nil
	default:
		return obj, nil
	}
}

func stripPod(pod *corev1.Pod) *corev1.Pod {
	meta := stripMeta(pod.ObjectMeta)
	if groups, has := pod.Annotations[GroupsAnnotation]; has {
		meta.Annotations = map[string]string{GroupsAnnotation: groups}
	}
	return &corev1.Pod{
		ObjectMeta: meta,
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, HostNetwork: pod.Spec.HostNetwork, SchedulerName: pod.Spec.SchedulerName,
			Containers: stripContainers(pod.Spec.Containers), InitContainers: stripContainers(pod.Spec.InitContainers),
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, PodIP: pod.Status.PodIP, PodIPs: slices.Clone(pod.Status.PodIPs),
		},
	}
}

func stripContainers(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range containers {
		out = append(out, corev1.Container{Ports: c.Ports, RestartPolicy: c.RestartPolicy})
	}
	return out
}

func stripMeta(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, Labels: meta.Labels,
		ResourceVersion: meta.ResourceVersion, CreationTimestamp: meta.CreationTimestamp,
		DeletionTimestamp: meta.DeletionTimestamp,
	}
}

// matters tells whether more than the version changed: most updates of pods are
// conditions and container states, which the stripped objects do not have.
func matters(before, now any) bool {
	return !equality.Semantic.DeepEqual(withoutVersion(before), withoutVersion(now))
}

func withoutVersion(obj any) any {
	switch o := obj.(type) {
	case *corev1.Pod:
		c := *o
		c.ResourceVersion = ""
		return &c
	case *corev1.Namespace:
		c := *o
		c.ResourceVersion = ""
		return &c
	case *networkingv1.NetworkPolicy:
		c := *o
		c.ResourceVersion = ""
		return &c
	default:
		return obj
	}
}
