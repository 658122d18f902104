package service

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// retryPause is how long a follower waits before it looks again after something broke.
const retryPause = time.Second

// follower reads the output of all of an app's processes, those to come included. A
// process is read once for each time its container ran; when a connection breaks the
// reading goes on where it stopped, by the lines' times.
type follower struct {
	pods     typedcorev1.PodInterface
	selector string
	lines    chan LogLine

	mu sync.Mutex
	// reading holds the container runs that are being read or have been to the end.
	reading map[string]bool
	// last is the time of the newest line told, by process.
	last map[string]time.Time
}

func newFollower(pods typedcorev1.PodInterface, selector string) *follower {
	return &follower{
		pods: pods, selector: selector,
		lines: make(chan LogLine, 64), reading: map[string]bool{}, last: map[string]time.Time{},
	}
}

// follow tells what comes until ctx ends or each fails.
func (f *follower) follow(ctx context.Context, each func(LogLine) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	readers.Go(func() { f.discover(ctx, &readers) })
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line := <-f.lines:
			if err := each(line); err != nil {
				return err
			}
		}
	}
}

// discover starts a reader for each container run it sees.
func (f *follower) discover(ctx context.Context, readers *sync.WaitGroup) {
	for ctx.Err() == nil {
		list, err := f.pods.List(ctx, metav1.ListOptions{LabelSelector: f.selector})
		if err == nil {
			for i := range list.Items {
				f.consider(ctx, readers, &list.Items[i])
			}
			f.watch(ctx, readers, list.ResourceVersion)
		}
		pause(ctx)
	}
}

// watch considers every process that changes, until the watch ends. It is kept short,
// since the list that follows also finds readers to resume.
func (f *follower) watch(ctx context.Context, readers *sync.WaitGroup, version string) {
	seconds := int64(10)
	events, err := f.pods.Watch(ctx, metav1.ListOptions{
		LabelSelector: f.selector, ResourceVersion: version, TimeoutSeconds: &seconds,
	})
	if err != nil {
		return
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-events.ResultChan():
			if !ok || ev.Type == watch.Error {
				return
			}
			if pod, is := ev.Object.(*corev1.Pod); is {
				f.consider(ctx, readers, pod)
			}
		}
	}
}

func (f *follower) consider(ctx context.Context, readers *sync.WaitGroup, pod *corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, from := range sourcesOf(pod) {
		if !f.reading[from.id] {
			f.reading[from.id] = true
			readers.Go(func() { f.read(ctx, from) })
		}
	}
}

// read tells one container run's output to its end.
func (f *follower) read(ctx context.Context, from source) {
	f.mu.Lock()
	last, resumed := f.last[from.process]
	f.mu.Unlock()
	opts := &corev1.PodLogOptions{Follow: true, Timestamps: true}
	if resumed {
		// The API takes whole seconds; what was told already is left out below.
		since := metav1.NewTime(last.Truncate(time.Second))
		opts.SinceTime = &since
	}
	err := readLog(ctx, f.pods, from, opts, func(line LogLine) error {
		if resumed && !line.Time.After(last) {
			return nil
		}
		f.mu.Lock()
		f.last[from.process] = line.Time
		f.mu.Unlock()
		select {
		case f.lines <- line:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err == nil && f.ended(ctx, from) {
		return
	}
	// The connection broke, not the process: the next look resumes it.
	f.mu.Lock()
	delete(f.reading, from.id)
	f.mu.Unlock()
}

// ended tells whether a container run is over: its pod is gone, or runs another one.
func (f *follower) ended(ctx context.Context, run source) bool {
	pod, err := f.pods.Get(ctx, run.pod, metav1.GetOptions{})
	if err != nil {
		return ctx.Err() == nil && isGone(err)
	}
	return !slices.ContainsFunc(sourcesOf(pod), func(now source) bool { return now.id == run.id && now.running })
}

func pause(ctx context.Context) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
