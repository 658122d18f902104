package service

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/berth-dev/berth/internal/errs"
)

func isGone(err error) bool { return apierrors.IsNotFound(err) }

// awaitPod waits until what holds of a pod.
func awaitPod(ctx context.Context, clientset kubernetes.Interface, pod *corev1.Pod, what func(*corev1.Pod) (bool, error)) error {
	pods := clientset.CoreV1().Pods(pod.Namespace)
	one := fields.OneTermEqualSelector("metadata.name", pod.Name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = one
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = one
			return pods.Watch(ctx, o)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, lw, &corev1.Pod{}, nil, func(ev watch.Event) (bool, error) {
		p, ok := ev.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		if ev.Type == watch.Deleted {
			return false, errs.New(errs.Conflict, "", "the process was removed by somebody else", "Run it again.")
		}
		return what(p)
	})
	return err
}

// awaitStart waits until a one-off process runs or has ended, and says why it cannot.
func awaitStart(ctx context.Context, clientset kubernetes.Interface, pod *corev1.Pod) error {
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := awaitPod(limited, clientset, pod, func(p *corev1.Pod) (bool, error) {
		if len(p.Status.ContainerStatuses) == 0 {
			return false, nil
		}
		c := p.Status.ContainerStatuses[0].State
		if c.Waiting != nil {
			return false, cannotStart(c.Waiting)
		}
		if c.Terminated != nil {
			return true, commandNotFound(c.Terminated)
		}
		return c.Running != nil, nil
	})
	var known *errs.Error
	if err != nil && !errors.As(err, &known) && limited.Err() != nil && ctx.Err() == nil {
		return errs.New(errs.Unavailable, "", "there was no room for the process within three minutes", "Choose a smaller --size, or scale something down: berth ps:scale")
	}
	return err
}

func cannotStart(w *corev1.ContainerStateWaiting) error {
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName":
		return errs.New(errs.Conflict, "component", "the component's image cannot be fetched any more", "Deploy an image that exists: berth deploy")
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return errs.New(errs.Conflict, "command", "the process could not be started", "Check that the command exists in the image.")
	}
	return nil
}

// commandNotFound tells a command that is not in the image from one that failed.
func commandNotFound(t *corev1.ContainerStateTerminated) error {
	if t.Reason != "StartError" && t.Reason != "ContainerCannotRun" {
		return nil
	}
	message := "the process could not be started"
	if strings.Contains(t.Message, "executable file not found") || strings.Contains(t.Message, "no such file or directory") {
		message = "the image has no such command"
	}
	return errs.New(errs.Invalid, "command", message, "Give the whole path of a program that is in the image.")
}

// awaitExit waits until a one-off process has ended and gives its exit code.
func awaitExit(ctx context.Context, clientset kubernetes.Interface, pod *corev1.Pod) (int32, error) {
	var code int32
	err := awaitPod(ctx, clientset, pod, func(p *corev1.Pod) (bool, error) {
		if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].State.Terminated == nil {
			if p.Status.Phase == corev1.PodFailed {
				return false, errs.New(errs.Unavailable, "", "the process was stopped by the platform: "+p.Status.Message, "Run it again.")
			}
			return false, nil
		}
		code = p.Status.ContainerStatuses[0].State.Terminated.ExitCode
		return true, nil
	})
	return code, reachUnlessKnown(err)
}

func reachUnlessKnown(err error) error {
	var known *errs.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return reach(err)
}
