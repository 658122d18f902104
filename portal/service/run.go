package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	// runDeadline ends a one-off process that everybody forgot.
	runDeadline = 24 * time.Hour
	// startTimeout bounds how long a one-off process may take to start.
	startTimeout = 3 * time.Minute
	// cleanTimeout bounds the removal of a one-off process whose caller is gone.
	cleanTimeout = 15 * time.Second
)

// Run is a one-off process: the image and environment of a component that runs, with
// a command of its own.
type Run struct {
	Command   []string
	Component string
	// OCUs of the process; 0 means the component's own size.
	OCUs int32
}

// RunSink gets what a one-off process does.
type RunSink interface {
	// Started tells the process's name once it exists.
	Started(process string) error
	io.Writer
}

// Run runs a one-off process to its end and tells its exit code. It is removed when it
// ends, and also when ctx does.
func (s *Service) Run(ctx context.Context, tenant, app string, in Run, sink RunSink) (exitCode int32, err error) {
	if len(in.Command) == 0 {
		return 0, errs.New(errs.Invalid, "command", "no command was given", "Write it after two hyphens: berth run --app "+app+" -- ls /")
	}
	clientset, pod, err := s.startRun(ctx, tenant, app, in, false)
	if err != nil {
		return 0, err
	}
	defer s.removeRun(ctx, clientset, pod)
	if err := sink.Started(processName(pod)); err != nil {
		return 0, err
	}
	if err := awaitStart(ctx, clientset, pod); err != nil {
		return 0, err
	}
	stream, err := clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return 0, reach(err)
	}
	defer stream.Close()
	if _, err := io.Copy(sink, stream); err != nil {
		return 0, reach(err)
	}
	return awaitExit(ctx, clientset, pod)
}

// startRun creates the pod of a one-off process.
func (s *Service) startRun(ctx context.Context, tenant, app string, in Run, terminal bool) (kubernetes.Interface, *corev1.Pod, error) {
	if in.OCUs < 0 || in.OCUs > apps.MaxOCUs {
		return nil, nil, errs.New(errs.Invalid, "ocus", fmt.Sprintf("a process cannot have %d OCUs", in.OCUs), fmt.Sprintf("Choose 1 to %d.", apps.MaxOCUs))
	}
	clientset, a, err := s.cluster(ctx, tenant, app)
	if err != nil {
		return nil, nil, err
	}
	if a.Status.LiveRelease == 0 {
		return nil, nil, errs.New(errs.Conflict, "app", "no release of "+quote(app)+" is live yet", "Deploy it with: berth apply")
	}
	if in.Component == "" {
		in.Component = apps.ComponentNames(a.Spec.Template)[0]
		if slices.Contains(apps.ComponentNames(a.Spec.Template), "web") {
			in.Component = "web"
		}
	}
	if !slices.Contains(apps.ComponentNames(a.Spec.Template), in.Component) {
		return nil, nil, apps.UnknownComponent("component", a, in.Component)
	}
	template, err := runningTemplate(ctx, clientset, app, in.Component)
	if err != nil {
		return nil, nil, err
	}
	sweepRuns(ctx, clientset, app)
	pod, err := clientset.CoreV1().Pods(app).Create(ctx, runPod(app, in, template, terminal), metav1.CreateOptions{})
	return clientset, pod, reach(err)
}

// runningTemplate is what a component runs now: its newest ready process, so that a
// release that fails is not taken for one that works. A component that is scaled to
// nothing is taken as it was applied.
func runningTemplate(ctx context.Context, clientset kubernetes.Interface, app, component string) (*corev1.PodTemplateSpec, error) {
	pods, err := clientset.CoreV1().Pods(app).List(ctx, metav1.ListOptions{
		LabelSelector: v1alpha1.LabelApp + "=" + app + "," + v1alpha1.LabelComponent + "=" + component,
	})
	if err != nil {
		return nil, reach(err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	for i := range pods.Items {
		if pod := &pods.Items[i]; processOf(pod).State == "up" {
			return &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}, nil
		}
	}
	deployment, err := clientset.AppsV1().Deployments(app).Get(ctx, component, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		clock, err := clientset.BatchV1().CronJobs(app).Get(ctx, component, metav1.GetOptions{})
		if err == nil {
			return &clock.Spec.JobTemplate.Spec.Template, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, reach(err)
		}
		return nil, errs.New(errs.Conflict, "component", "the component "+quote(component)+" does not run yet", "Wait for its release: berth releases --app "+app)
	}
	if err != nil {
		return nil, reach(err)
	}
	return &deployment.Spec.Template, nil
}

// runPod makes the pod of a one-off process of a component's. What belongs to serving
// goes: ports, checks, volumes with data and everything beside the first container.
func runPod(app string, in Run, template *corev1.PodTemplateSpec, terminal bool) *corev1.Pod {
	spec := template.Spec.DeepCopy()
	container := spec.Containers[0]
	container.Name = "run"
	if len(in.Command) > 0 {
		container.Command, container.Args = in.Command, nil
	}
	container.Ports, container.Lifecycle = nil, nil
	container.LivenessProbe, container.ReadinessProbe, container.StartupProbe = nil, nil, nil
	container.Stdin, container.StdinOnce, container.TTY = terminal, terminal, terminal
	if in.OCUs == 0 && len(spec.InitContainers) > 0 {
		in.OCUs = ocusOf(spec) // sidecars stay behind, and what they take is the run's
	}
	resize(&container.Resources, in.OCUs)
	spec.Volumes, container.VolumeMounts = scratchVolumes(spec.Volumes, container.VolumeMounts)
	deadline := int64(runDeadline.Seconds())
	grace := int64(5)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app,
			Name:      "run-" + strings.ToLower(rand.Text()[:8]),
			Labels: map[string]string{
				v1alpha1.LabelApp: app, v1alpha1.LabelRun: in.Component, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth,
			},
			Annotations: map[string]string{v1alpha1.LabelRelease: template.Labels[v1alpha1.LabelRelease]},
		},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{container},
			Volumes:                       spec.Volumes,
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &grace,
			AutomountServiceAccountToken:  spec.AutomountServiceAccountToken,
			EnableServiceLinks:            spec.EnableServiceLinks,
			SecurityContext:               spec.SecurityContext,
			ServiceAccountName:            spec.ServiceAccountName,
			ImagePullSecrets:              spec.ImagePullSecrets,
			NodeSelector:                  spec.NodeSelector,
			Tolerations:                   spec.Tolerations,
		},
	}
}

// resize gives the process n OCUs, keeping the proportion of request to limit that the
// component's own CPU has.
func resize(r *corev1.ResourceRequirements, n int32) {
	if n == 0 {
		return
	}
	memory := *resource.NewQuantity(int64(n)*v1alpha1.OCUMemoryBytes, resource.BinarySI)
	limit := int64(n) * v1alpha1.OCUMilliCPU
	request := limit
	if old := r.Limits.Cpu().MilliValue(); old > 0 {
		request = max(1, limit*r.Requests.Cpu().MilliValue()/old)
	}
	r.Limits = corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(limit, resource.DecimalSI), corev1.ResourceMemory: memory}
	r.Requests = corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(request, resource.DecimalSI), corev1.ResourceMemory: memory}
}

// scratchVolumes keeps the volumes that hold no data of the component's.
func scratchVolumes(volumes []corev1.Volume, mounts []corev1.VolumeMount) ([]corev1.Volume, []corev1.VolumeMount) {
	data := map[string]bool{}
	kept := slices.DeleteFunc(slices.Clone(volumes), func(v corev1.Volume) bool {
		data[v.Name] = v.PersistentVolumeClaim != nil
		return data[v.Name]
	})
	return kept, slices.DeleteFunc(slices.Clone(mounts), func(m corev1.VolumeMount) bool { return data[m.Name] })
}

// sweepRuns removes one-off processes that ended while nobody looked. It is a courtesy:
// failing is no reason not to run the next one.
func sweepRuns(ctx context.Context, clientset kubernetes.Interface, app string) {
	list, err := clientset.CoreV1().Pods(app).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelRun})
	if err != nil {
		return
	}
	for i := range list.Items {
		if phase := list.Items[i].Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			_ = clientset.CoreV1().Pods(app).Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{})
		}
	}
}

// removeRun deletes a one-off process even when its caller is gone.
func (s *Service) removeRun(ctx context.Context, clientset kubernetes.Interface, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	_ = clientset.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
}
