package fargate

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// policies is the resource of SecurityGroupPolicy, which belongs to Amazon's clusters.
var policies = schema.GroupVersionResource{Group: "vpcresources.k8s.aws", Version: "v1beta1", Resource: "securitygrouppolicies"}

// groupPolicy is a SecurityGroupPolicy as far as it matters.
type groupPolicy struct {
	Spec struct {
		PodSelector            *metav1.LabelSelector `json:"podSelector,omitempty"`
		ServiceAccountSelector *metav1.LabelSelector `json:"serviceAccountSelector,omitempty"`
		SecurityGroups         struct {
			GroupIDs []string `json:"groupIds,omitempty"`
		} `json:"securityGroups,omitempty"`
	} `json:"spec"`
}

// groups are the security groups of a pod that is being made in a namespace, sorted: all
// those of all policies that select it.
func (p *Pool) groups(ctx context.Context, namespace string, pod *corev1.Pod) ([]string, error) {
	found, err := p.dynamic.Resource(policies).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing security group policies: %w", err)
	}
	all := make([]groupPolicy, len(found.Items))
	needAccount := false
	for i := range found.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Items[i].Object, &all[i]); err != nil {
			return nil, fmt.Errorf("reading security group policy %s: %w", found.Items[i].GetName(), err)
		}
		needAccount = needAccount || all[i].Spec.ServiceAccountSelector != nil
	}
	var account labels.Set
	if needAccount {
		object, err := p.client.CoreV1().ServiceAccounts(namespace).Get(ctx, cmp.Or(pod.Spec.ServiceAccountName, "default"), metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading the pod's service account: %w", err)
		}
		account = object.Labels
	}
	return selectGroups(all, pod.Labels, account)
}

// selectGroups: with both selectors a policy needs both to match, without any it selects
// nothing.
func selectGroups(all []groupPolicy, pod, account labels.Set) ([]string, error) {
	var out []string
	for _, policy := range all {
		spec := policy.Spec
		if spec.PodSelector == nil && spec.ServiceAccountSelector == nil {
			continue
		}
		byPod, err := matches(spec.PodSelector, pod)
		if err != nil {
			return nil, err
		}
		byAccount, err := matches(spec.ServiceAccountSelector, account)
		if err != nil {
			return nil, err
		}
		if byPod && byAccount {
			out = append(out, spec.SecurityGroups.GroupIDs...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// matches: a selector that is not there leaves the decision to the other.
func matches(selector *metav1.LabelSelector, set labels.Set) (bool, error) {
	if selector == nil {
		return true, nil
	}
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("reading a selector of a security group policy: %w", err)
	}
	return compiled.Matches(set), nil
}
