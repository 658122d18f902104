package service

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/berth-dev/berth/internal/boundedhttp"
	"github.com/berth-dev/berth/internal/errs"
)

// ports is the little of a cluster's API that ports are reached through: port 8080 shouts
// back what it gets, and nothing listens on another one.
func ports(t *testing.T) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/shop/pods/web-1-aaaaa/portforward" || r.Header.Get("Upgrade") == "websocket" {
			http.NotFound(w, r)
			return
		}
		if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
			t.Error(err)
			return
		}
		streams := make(chan httpstream.Stream, 2)
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, _ <-chan struct{}) error {
			streams <- stream
			return nil
		})
		if conn == nil {
			return
		}
		defer conn.Close()
		complaints, data := <-streams, <-streams
		if data.Headers().Get(corev1.PortHeader) != "8080" {
			_, _ = io.WriteString(complaints, "failed to connect to localhost:9999 inside namespace /var/run/netns/x: connection refused")
			_, _ = complaints.Close(), data.Close()
			<-conn.CloseChan()
			return
		}
		sent, err := io.ReadAll(data)
		if err != nil {
			t.Error(err)
		}
		_, _ = data.Write(bytes.ToUpper(sent))
		_, _ = complaints.Close(), data.Close()
		<-conn.CloseChan()
	})
}

func portServer(t *testing.T) *rest.Config {
	t.Helper()
	server := httptest.NewServer(ports(t))
	t.Cleanup(server.Close)
	conf := &rest.Config{Host: server.URL}
	boundedhttp.ApplyToStreaming(conf)
	return conf
}

// heard is the person's side: what came.
type heard struct {
	mu sync.Mutex
	bytes.Buffer
}

func (h *heard) Started(string) error { return nil }

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Buffer.Write(p)
}

func forwardTo(t *testing.T, port int32, sent string) (string, error) {
	t.Helper()
	conf := portServer(t)
	clientset, err := kubernetes.NewForConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1-aaaaa"}}
	conn, err := dialPod(t.Context(), clientset, conf, pod)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sink := &heard{}
	err = join(t.Context(), conn, "web.aaaaa", port, Pipe{In: strings.NewReader(sent), Sink: sink})
	return sink.String(), err
}

func TestAConnectionReachesThePortOfAProcess(t *testing.T) {
	if got, err := forwardTo(t, 8080, "hello"); err != nil || got != "HELLO" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAPortThatNobodyListensOnIsToldWithoutTheInside(t *testing.T) {
	_, err := forwardTo(t, 9999, "hello")
	if got := errs.As(err); got == nil || got.Code != errs.Conflict || got.Message != "nothing listens on port 9999 of web.aaaaa" {
		t.Errorf("got %v", err)
	}
}
