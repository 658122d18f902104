package service

import (
	"context"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/berth-dev/berth/internal/errs"
)

// quietPeriod is how long a fresh terminal may stay silent before what it wrote ahead
// of our attaching is looked up.
const quietPeriod = 300 * time.Millisecond

// TerminalSize is a terminal's size in characters.
type TerminalSize struct {
	Cols, Rows uint16
}

// Terminal is the person's side of an interactive process.
type Terminal struct {
	In   io.Reader
	Sink RunSink
	// Sizes tells the terminal's sizes as they change, the first one at once.
	Sizes <-chan TerminalSize
}

// Shell runs an interactive one-off process and tells its exit code. Without a command
// it is the image's shell.
func (s *Service) Shell(ctx context.Context, tenant, app string, in Run, term Terminal) (exitCode int32, err error) {
	if len(in.Command) == 0 {
		in.Command = []string{"/bin/sh"}
	}
	clientset, pod, err := s.startRun(ctx, tenant, app, in, true)
	if err != nil {
		return 0, err
	}
	defer s.removeRun(ctx, clientset, pod)
	if err := awaitStart(ctx, clientset, pod); err != nil {
		return 0, err
	}
	if err := term.Sink.Started(processName(pod)); err != nil {
		return 0, err
	}
	conf, err := s.restConfig(ctx, tenant)
	if err != nil {
		return 0, err
	}
	broken := attach(ctx, clientset, conf, pod, term)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	// Also after a broken attachment the process may have ended by itself.
	ended, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	exitCode, err = awaitExit(ended, clientset, pod)
	if err != nil && broken != nil {
		return 0, errs.Wrap(errs.Unavailable, broken, "the connection to the process was lost")
	}
	return exitCode, err
}

// attach joins the person's terminal to the process's.
func attach(ctx context.Context, clientset kubernetes.Interface, conf *rest.Config, pod *corev1.Pod, term Terminal) error {
	req := clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: pod.Spec.Containers[0].Name, Stdin: true, Stdout: true, TTY: true}, scheme.ParameterCodec)
	exec, err := executor(conf, req.URL())
	if err != nil {
		return err
	}
	out := &firstWrite{w: term.Sink}
	quiet := time.AfterFunc(quietPeriod, func() { replay(ctx, clientset, pod, out) })
	defer quiet.Stop()
	return exec.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: term.In, Stdout: out, Tty: true, TerminalSizeQueue: sizes{ctx: ctx, ch: term.Sizes},
	})
}

// executor joins streams to a process: over a websocket, or the older way where something
// between does not let one through.
func executor(conf *rest.Config, url *url.URL) (remotecommand.Executor, error) {
	ws, err := remotecommand.NewWebSocketExecutor(conf, "GET", url.String())
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(conf, "POST", url)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(ws, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// replay writes what the process wrote before the terminal was attached, such as a
// shell's first prompt, if nothing has come since.
func replay(ctx context.Context, clientset kubernetes.Interface, pod *corev1.Pod, out *firstWrite) {
	if out.wrote.Load() {
		return
	}
	early, err := clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err == nil && len(early) > 0 && !out.wrote.Load() {
		_, _ = out.Write(early)
	}
}

// firstWrite remembers whether anything was written.
type firstWrite struct {
	w     io.Writer
	wrote atomic.Bool
}

// Write passes on.
func (f *firstWrite) Write(p []byte) (int, error) {
	f.wrote.Store(true)
	return f.w.Write(p)
}

// sizes gives a terminal's sizes to the executor.
type sizes struct {
	ctx context.Context
	ch  <-chan TerminalSize
}

// Next waits for the next size; nil ends the queue.
func (q sizes) Next() *remotecommand.TerminalSize {
	select {
	case <-q.ctx.Done():
		return nil
	case size, ok := <-q.ch:
		if !ok {
			return nil
		}
		return &remotecommand.TerminalSize{Width: size.Cols, Height: size.Rows}
	}
}
