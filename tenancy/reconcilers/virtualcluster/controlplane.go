package virtualcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/conditions"
	"github.com/berth-dev/berth/internal/steps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	// askAgain is how soon an API server is asked again whose pod is ready already.
	askAgain = time.Second
	// askTimeout bounds one question.
	askTimeout = 5 * time.Second
	// lookAgain is the slow look besides the pod's events.
	lookAgain = 30 * time.Second
)

// observeControlPlane waits for the control plane's pod and then asks its API server
// once. As long as the pod stays ready, it is not asked again.
func (r *Reconciler) observeControlPlane(ctx context.Context, vc *v1alpha1.VirtualCluster, seen *observed) error {
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: v1alpha1.HostNamespace(vc.Name), Name: controlPlanePod(vc.Name)}
	if err := r.Host.Get(ctx, key, pod); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading the control plane's pod: %w", err)
	}
	if !podReady(pod) {
		return steps.Wait(v1alpha1.ReasonProgressing, whyNotReady(pod), lookAgain)
	}
	if vc.Status.Version != "" && conditions.IsTrue(vc.Status.Conditions, 0, v1alpha1.ConditionControlPlaneReady) {
		return nil
	}
	r.Clusters.Forget(vc.Name)
	return r.ask(ctx, vc, seen)
}

// ask reads the kubeconfig and asks the API server whether it is ready and which
// version it is.
func (r *Reconciler) ask(ctx context.Context, vc *v1alpha1.VirtualCluster, seen *observed) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	config, err := r.Clusters.Config(ctx, vc.Name)
	if errors.Is(err, tenancy.ErrNoAccess) {
		return steps.Wait(v1alpha1.ReasonProgressing, "The control plane is writing its certificates", askAgain)
	}
	if err != nil {
		return err
	}
	found, err := answer(ctx, config)
	if err != nil {
		return steps.Wait(v1alpha1.ReasonProgressing, "The API server does not answer yet", askAgain)
	}
	seen.version, seen.ca = found, config.CAData
	return nil
}

// answer is the version of an API server that says it is ready.
func answer(ctx context.Context, config *rest.Config) (string, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	server := clients.RESTClient()
	if _, err := server.Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return "", err
	}
	raw, err := server.Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	var info version.Info
	if err := json.Unmarshal(raw, &info); err != nil {
		return "", err
	}
	return info.GitVersion, nil
}

func controlPlanePod(id string) string { return id + "-0" }

func idOfNamespace(namespace string) (string, bool) {
	id, found := strings.CutPrefix(namespace, v1alpha1.HostNamespace(""))
	return id, found && id != ""
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// whyNotReady tells an operator what the pod waits for.
func whyNotReady(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "The control plane has no node yet: " + c.Message
		}
	}
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if c.State.Waiting != nil && c.State.Waiting.Reason != "PodInitializing" && c.State.Waiting.Reason != "ContainerCreating" {
			return fmt.Sprintf("The control plane's container %s waits: %s", c.Name, c.State.Waiting.Reason)
		}
	}
	return "The control plane is starting"
}
