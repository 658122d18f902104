package release

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/tenancy"
)

const (
	tailLines   = 20
	tailBytes   = 4 << 10
	tailTimeout = 5 * time.Second
)

// Tail gets the end of a process's output from virtual cluster id; previous asks for
// the run before the present one.
type Tail func(ctx context.Context, id, namespace, pod, container string, previous bool) (string, error)

// tailThrough asks the tenant's API server.
func tailThrough(clusters tenancy.Clusters) Tail {
	return func(ctx context.Context, id, namespace, pod, container string, previous bool) (string, error) {
		config, err := clusters.Config(ctx, id)
		if err != nil {
			return "", err
		}
		set, err := kubernetes.NewForConfig(config)
		if err != nil {
			return "", fmt.Errorf("making a client: %w", err)
		}
		text, err := set.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{
			Container: container, Previous: previous, TailLines: new(int64(tailLines)), LimitBytes: new(int64(64 << 10)),
		}).DoRaw(ctx)
		return string(text), err
	}
}

// tail is best effort: a failure is told with or without the output.
func (r *Reconciler) tail(ctx context.Context, work *work, why *apps.Explanation) string {
	ctx, cancel := context.WithTimeout(ctx, tailTimeout)
	defer cancel()
	text, err := r.Tail(ctx, work.place.Cluster.Name, work.app.Name, why.Pod, why.Container, why.Previous)
	if err != nil {
		return ""
	}
	return tidyTail(text)
}

// tidyTail keeps whole last lines of valid text.
func tidyTail(text string) string {
	text = strings.TrimRight(strings.ToValidUTF8(text, "?"), "\n")
	text = strings.ReplaceAll(text, "\x00", "?")
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	text = strings.Join(lines, "\n")
	if len(text) > tailBytes {
		text = strings.ToValidUTF8(text[len(text)-tailBytes:], "")
	}
	return text
}
