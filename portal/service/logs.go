package service

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	defaultTail = 100
	maxTail     = 10000
	// maxLine bounds one line; longer ones are cut into several.
	maxLine = 256 << 10
	// maxPastBytes bounds the text of the past that is told.
	maxPastBytes = 4 << 20
)

// LogLine is one line of a process's output.
type LogLine struct {
	Time      time.Time
	Component string
	Process   string
	Text      string
}

// LogOptions choose what to read.
type LogOptions struct {
	// Component restricts to one component.
	Component string
	// Tail is how many lines of the past; negative means the default.
	Tail int
	// Follow goes on with what comes, of processes to come too.
	Follow bool
}

// Logs tells the lines of all of an app's processes, the past in order of time. The
// lines come one at a time, in one goroutine. With Follow it ends only when ctx does
// or each fails.
func (s *Service) Logs(ctx context.Context, tenant, name string, opts LogOptions, each func(LogLine) error) error {
	clientset, app, err := s.cluster(ctx, tenant, name)
	if err != nil {
		return err
	}
	if opts.Component != "" && !slices.Contains(apps.ComponentNames(app.Spec.Template), opts.Component) {
		return apps.UnknownComponent("component", app, opts.Component)
	}
	if opts.Tail < 0 {
		opts.Tail = defaultTail
	}
	if opts.Tail > maxTail {
		return errs.New(errs.Invalid, "tail", "at most 10000 lines can be read at once", "Ask for fewer with -n.")
	}
	f := newFollower(clientset.CoreV1().Pods(name), logSelector(name, opts.Component))
	past, err := f.past(ctx, opts.Tail)
	if err != nil {
		return err
	}
	for _, line := range past {
		if err := each(line); err != nil {
			return err
		}
	}
	if !opts.Follow {
		return nil
	}
	return f.follow(ctx, each)
}

// logSelector leaves one-off processes out: whoever started one sees its output.
func logSelector(app, component string) string {
	selector := v1alpha1.LabelApp + "=" + app + ",!" + v1alpha1.LabelRun
	if component != "" {
		selector += "," + v1alpha1.LabelComponent + "=" + component
	}
	return selector
}

// past reads the newest lines of every process and merges them by time.
func (f *follower) past(ctx context.Context, tail int) ([]LogLine, error) {
	list, err := f.pods.List(ctx, metav1.ListOptions{LabelSelector: f.selector})
	if err != nil {
		return nil, reach(err)
	}
	var out []LogLine
	for i := range list.Items {
		for _, source := range sourcesOf(&list.Items[i]) {
			lines, err := f.pastOf(ctx, source, tail)
			if err != nil && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			// A process that ended between the two questions has no output to give.
			out = append(out, lines...)
			slices.SortStableFunc(out, func(a, b LogLine) int { return a.Time.Compare(b.Time) })
			out = newest(out, tail)
		}
	}
	return out, nil
}

// pastOf reads the newest lines of one source. No more of them are held at any time
// than may be told: a limit of the API's would cut off the newest ones instead.
func (f *follower) pastOf(ctx context.Context, from source, tail int) ([]LogLine, error) {
	var lines []LogLine
	held := 0
	// At least one, to know where following goes on.
	wanted := int64(max(tail, 1))
	err := readLog(ctx, f.pods, from, &corev1.PodLogOptions{TailLines: &wanted, Timestamps: true}, func(line LogLine) error {
		f.last[line.Process] = line.Time
		lines = append(lines, line)
		if held += len(line.Text); held > 2*maxPastBytes {
			lines = slices.Clone(newest(lines, tail))
			held = bytesOf(lines)
		}
		return nil
	})
	return newest(lines, tail), err
}

// newest are the last of lines in order, at most so many and of at most maxPastBytes.
func newest(lines []LogLine, most int) []LogLine {
	from, size := len(lines), 0
	for from > 0 && len(lines)-from < most && size+len(lines[from-1].Text) <= maxPastBytes {
		from--
		size += len(lines[from].Text)
	}
	return lines[from:]
}

func bytesOf(lines []LogLine) int {
	size := 0
	for _, line := range lines {
		size += len(line.Text)
	}
	return size
}

// readLog tells each line of one source.
func readLog(ctx context.Context, pods typedcorev1.PodInterface, from source, opts *corev1.PodLogOptions, each func(LogLine) error) error {
	opts.Container = from.container
	stream, err := pods.GetLogs(from.pod, opts).Stream(ctx)
	if err != nil {
		return reach(err)
	}
	defer stream.Close()
	line := LogLine{Component: from.component, Process: from.process}
	return eachLine(stream, func(text string) error {
		line.Text = text
		// The later pieces of an overlong line have no time: theirs is the first one's.
		if stamp, rest, ok := strings.Cut(text, " "); ok {
			if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
				line.Time, line.Text = at, rest
			}
		}
		return each(line)
	})
}

// eachLine splits a stream into lines without their ends, cutting overlong ones.
func eachLine(r io.Reader, each func(string) error) error {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		raw, err := br.ReadSlice('\n')
		if len(raw) > 0 {
			if err := each(strings.TrimRight(string(raw), "\r\n")); err != nil {
				return err
			}
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// source is one run of a container whose output can be read: of a process's own container,
// or of a sidecar of it.
type source struct {
	pod, container string
	component      string
	// process is what people call it, such as web.x7k2p, or web.x7k2p/proxy for a sidecar.
	process string
	// id identifies the run: a restart is another one.
	id      string
	running bool
}

// sourcesOf are what a process writes its output with, once each of them has begun.
func sourcesOf(pod *corev1.Pod) []source {
	var all []source
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		at := slices.IndexFunc(pod.Status.InitContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name })
		// Those that end before the process starts are vCluster's.
		if c.RestartPolicy != nil && at >= 0 {
			all = appendSource(all, pod, c.Name, "/"+c.Name, &pod.Status.InitContainerStatuses[at])
		}
	}
	if len(pod.Status.ContainerStatuses) > 0 {
		all = appendSource(all, pod, pod.Spec.Containers[0].Name, "", &pod.Status.ContainerStatuses[0])
	}
	return all
}

func appendSource(all []source, pod *corev1.Pod, container, suffix string, status *corev1.ContainerStatus) []source {
	if status.State.Running == nil && status.State.Terminated == nil || status.ContainerID == "" {
		return all // there is no output to read
	}
	return append(all, source{
		pod: pod.Name, container: container, component: componentOf(pod), process: processName(pod) + suffix,
		id: status.ContainerID, running: status.State.Running != nil,
	})
}
