package fargate

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/internal/localcluster/netpol"
)

// fieldManager owns what setup applies.
const fieldManager = "berth-fargate"

// configurationName is the name of the webhook's registration.
const configurationName = "fargate.berth.dev"

// establishWithin is how long the API server may take to serve a new kind.
const establishWithin = 30 * time.Second

// groupPolicyKind is the definition of SecurityGroupPolicy.
//
//go:embed securitygrouppolicies.yaml
var groupPolicyKind []byte

var (
	definitions    = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	configurations = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
)

// setup brings SecurityGroupPolicy into the cluster, and then the registration of the
// webhook that answers at an address.
func (p *Pool) setup(ctx context.Context, address string) error {
	kind, err := yaml.YAMLToJSON(groupPolicyKind)
	if err != nil {
		return fmt.Errorf("reading the kind of security group policies: %w", err)
	}
	if err := p.apply(ctx, definitions, "securitygrouppolicies.vpcresources.k8s.aws", kind); err != nil {
		return err
	}
	if err := p.established(ctx); err != nil {
		return err
	}
	registration, err := json.Marshal(p.registration(address))
	if err != nil {
		return err
	}
	return p.apply(ctx, configurations, configurationName, registration)
}

func (p *Pool) apply(ctx context.Context, resource schema.GroupVersionResource, name string, object []byte) error {
	force := true
	_, err := p.dynamic.Resource(resource).Patch(ctx, name, types.ApplyPatchType, object, metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", resource.Resource, name, err)
	}
	return nil
}

func (p *Pool) established(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, establishWithin)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := p.dynamic.Resource(policies).List(ctx, metav1.ListOptions{Limit: 1})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("security group policies are not served: %w", err)
		case <-again.C:
		}
	}
}

// registration makes the API server ask for every pod with the profile's labels in the
// namespaces of tenants. While nobody answers, no such pod is made.
func (p *Pool) registration(address string) *admissionregistrationv1.MutatingWebhookConfiguration {
	profile := p.options.Profile
	selector := &metav1.LabelSelector{}
	for key := range profile.Labels {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpExists})
	}
	fail, none, scope := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.NamespacedScope
	again := admissionregistrationv1.IfNeededReinvocationPolicy
	url, timeout := "https://"+address+webhookPath, int32(5)
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: configurations.GroupVersion().String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: configurationName},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:         "pods." + configurationName,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: p.options.CA},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: &scope},
			}},
			// Judged by the pod as it was, too: taking the label away leads nowhere.
			ObjectSelector: selector,
			FailurePolicy:  &fail,
			// What other webhooks change counts as well.
			ReinvocationPolicy:      &again,
			SideEffects:             &none,
			TimeoutSeconds:          &timeout,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

// Remove takes out of a cluster what would keep tenants' pods from starting once there is
// no pool: the webhook's registration, and pods that wait for its scheduler. Their owners
// make others.
func Remove(ctx context.Context, client kubernetes.Interface) error {
	err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, configurationName, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the webhook of the pool like Fargate: %w", err)
	}
	waiting, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"spec.schedulerName": netpol.FargateScheduler, "spec.nodeName": ""}.String(),
	})
	if err != nil {
		return fmt.Errorf("listing pods of the pool like Fargate: %w", err)
	}
	for i := range waiting.Items {
		pod := &waiting.Items[i]
		if err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting a pod that waits for the pool like Fargate: %w", err)
		}
	}
	return nil
}
