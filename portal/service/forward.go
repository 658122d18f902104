package service

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	// dialTimeout bounds how long a connection to a process may take.
	dialTimeout = 15 * time.Second
	// lastWords is how long an error may come after the end of the data it explains.
	lastWords = time.Second
	// maxComplaint bounds the error text of another program, in bytes.
	maxComplaint = 4 << 10
)

// ProcessRef names a process of an app: by its own name, or by its component, of which any
// that is up will do. Empty means the component web, else the first.
type ProcessRef struct {
	Component, Process string
}

// Pipe is the person's side of bytes that go both ways. In ends when the person has sent all.
type Pipe struct {
	In   io.Reader
	Sink RunSink
}

// process finds a process that is up.
func (s *Service) process(ctx context.Context, clientset kubernetes.Interface, app *v1alpha1.App, ref ProcessRef) (*corev1.Pod, error) {
	names := apps.ComponentNames(app.Spec.Template)
	if len(names) == 0 {
		return nil, notDeployed(app.Name)
	}
	if ref.Component == "" {
		ref.Component = names[0]
		if slices.Contains(names, "web") {
			ref.Component = "web"
		}
	}
	if ref.Process == "" && !slices.Contains(names, ref.Component) {
		return nil, apps.UnknownComponent("component", app, ref.Component)
	}
	pods, err := clientset.CoreV1().Pods(app.Name).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelApp + "=" + app.Name})
	if err != nil {
		return nil, reach(err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	var runs *corev1.Pod
	for i := range pods.Items {
		pod := &pods.Items[i]
		wanted := processName(pod) == ref.Process || ref.Process == "" && componentOf(pod) == ref.Component
		if !wanted || pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		if processOf(pod).State == "up" {
			return pod, nil
		}
		runs = cmp.Or(runs, pod)
	}
	if runs == nil {
		return nil, errs.New(errs.Conflict, "process", "no process "+quote(cmp.Or(ref.Process, ref.Component))+" runs", "See what does with: berth ps --app "+app.Name)
	}
	return runs, nil
}

// Forward joins a person's connection to a port of a process until one of them ends it.
func (s *Service) Forward(ctx context.Context, tenant, app string, to ProcessRef, port int32, pipe Pipe) error {
	if port < 1 || port > 65535 {
		return errs.New(errs.Invalid, "port", fmt.Sprintf("%d is not a port number", port), "Choose 1 to 65535.")
	}
	clientset, a, err := s.cluster(ctx, tenant, app)
	if err != nil {
		return err
	}
	pod, err := s.process(ctx, clientset, a, to)
	if err != nil {
		return err
	}
	conf, err := s.restConfig(ctx, tenant)
	if err != nil {
		return err
	}
	conn, err := dialPod(ctx, clientset, conf, pod)
	if err != nil {
		return reach(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := pipe.Sink.Started(processName(pod)); err != nil {
		return err
	}
	return join(ctx, conn, processName(pod), port, pipe)
}

// dialPod opens the connection that streams to ports of a pod go through.
func dialPod(ctx context.Context, clientset kubernetes.Interface, conf *rest.Config, pod *corev1.Pod) (httpstream.Connection, error) {
	url := clientset.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, conf)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(conf)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(tunnel, spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url),
		func(err error) bool { return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) })
	return dialWithin(ctx, func() (httpstream.Connection, error) {
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		return conn, err
	})
}

// dialWithin bounds a dialer that knows no end of its own. What comes too late is closed.
func dialWithin(ctx context.Context, dial func() (httpstream.Connection, error)) (httpstream.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	type answer struct {
		conn httpstream.Connection
		err  error
	}
	answers := make(chan answer)
	go func() {
		conn, err := dial()
		select {
		case answers <- answer{conn, err}:
		case <-ctx.Done():
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	select {
	case a := <-answers:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join copies both ways until the process has sent all or says that it cannot be reached.
func join(ctx context.Context, conn httpstream.Connection, process string, port int32, pipe Pipe) error {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	complaints, err := conn.CreateStream(headers)
	if err != nil {
		return lost(err)
	}
	_ = complaints.Close() // nothing is sent on it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return lost(err)
	}
	complained := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(complaints, maxComplaint)) // what came before it broke counts
		complained <- string(text)
	}()
	go func() {
		_, _ = io.Copy(data, pipe.In) // the other direction tells how it ended
		_ = data.Close()
	}()
	_, broken := io.Copy(pipe.Sink, data)
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case text := <-complained:
		if text != "" {
			return portFault(process, port, text)
		}
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if broken != nil {
		return lost(broken)
	}
	return nil
}

func lost(err error) error {
	return errs.Wrap(errs.Unavailable, err, "the connection to the process was lost")
}

// portFault explains why a port of a process could not be reached, without what the machine
// below says of its insides.
func portFault(process string, port int32, text string) error {
	if strings.Contains(text, "refused") {
		return errs.New(errs.Conflict, "port", fmt.Sprintf("nothing listens on port %d of %s", port, process), "Check the port; the process may listen on another, or not yet.")
	}
	return errs.New(errs.Unavailable, "port", fmt.Sprintf("port %d of %s cannot be reached", port, process), "Try again; see whether the process is up with: berth ps")
}
