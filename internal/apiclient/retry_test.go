package apiclient

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// cutting is a listener whose first connections are reset before anything is read.
type cutting struct {
	net.Listener
	left atomic.Int32
}

func (c *cutting) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || c.left.Add(-1) < 0 {
			return conn, err
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func TestARequestThatNeverLeftIsTriedAgain(t *testing.T) {
	var got atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Add(1)
		if body, _ := io.ReadAll(r.Body); string(body) != "once" {
			t.Errorf("the body is %q", body)
		}
	}))
	listener := &cutting{Listener: server.Listener}
	listener.left.Store(3)
	server.Listener = listener
	server.StartTLS()
	defer server.Close()
	client := &http.Client{Transport: retrier{server.Client().Transport}}
	response, err := client.Post(server.URL, "text/plain", strings.NewReader("once"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got.Load() != 1 {
		t.Errorf("the request arrived %d times", got.Load())
	}
}

func TestARequestThatMayHaveArrivedIsNotTriedAgain(t *testing.T) {
	var got atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	}))
	defer server.Close()
	client := &http.Client{Transport: retrier{server.Client().Transport}}
	if response, err := client.Post(server.URL, "text/plain", strings.NewReader("once")); err == nil {
		_ = response.Body.Close()
		t.Error("a cut answer is no error")
	}
	if got.Load() != 1 {
		t.Errorf("the request arrived %d times", got.Load())
	}
}

func TestARefusedConnectionFailsAtOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := &http.Client{Transport: retrier{http.DefaultTransport}}
	response, err := client.Get(server.URL)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
