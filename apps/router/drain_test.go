package router_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
)

// echo is an app that answers every message of a WebSocket; it says how each one ended.
func echo(t *testing.T, ends chan<- error) http.HandlerFunc {
	t.Helper()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			ends <- err
			return
		}
		defer func() { _ = conn.Close() }()
		for {
			kind, message, err := conn.ReadMessage()
			if err == nil {
				err = conn.WriteMessage(kind, append([]byte("echo "), message...))
			}
			if err != nil {
				ends <- err
				return
			}
		}
	}
}

// webSocket opens one for the shop.
func (e *edge) webSocket(t *testing.T) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, e.HTTPSAddr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: e.ca.pool(), MinVersion: tls.VersionTLS12},
	}
	conn, res, err := dialer.DialContext(t.Context(), "wss://"+shop+"/chat", nil)
	must(t, err)
	_ = res.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetReadDeadline(time.Now().Add(patience)))
	return conn
}

// ask sends a message and gets its echo, or the error that ended the connection.
func ask(conn *websocket.Conn, text string) error {
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		return err
	}
	_, got, err := conn.ReadMessage()
	if err == nil && string(got) != "echo "+text {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

func TestAWebSocketSurvives(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *edge){
		"a rollout of another component": func(t *testing.T, e *edge) {
			t.Helper()
			old := e.sources
			e.sources = table.Sources{
				Routes: old.Routes, VirtualClusters: old.VirtualClusters, HostClusters: old.HostClusters,
				Services: old.Services, EndpointSlices: old.EndpointSlices[:1],
			}
			e.serve("new", "new.acme.berth.localhost", app(t, say("new")))
		},
		"a change of its own route": func(t *testing.T, e *edge) {
			t.Helper()
			e.sources.Routes[0].Spec.Host = "moved.acme.berth.localhost"
			e.apply()
		},
		"more processes of its own": func(t *testing.T, e *edge) {
			t.Helper()
			more := e.sources.EndpointSlices[0].DeepCopy()
			more.Endpoints[0].Addresses[0] = "127.0.0.9"
			e.sources.EndpointSlices = append(e.sources.EndpointSlices, *more)
			e.apply()
		},
		"maintenance and other settings": func(t *testing.T, e *edge) {
			t.Helper()
			e.sources.Routes[0].Spec.Edge = v1alpha1.EdgeSettings{
				Maintenance: true, AllowedCIDRs: []string{"203.0.113.0/24"}, MaxBodyMiB: 1, AnswerTimeoutSeconds: 1,
			}
			e.apply()
		},
		"an empty table": func(t *testing.T, e *edge) {
			t.Helper()
			e.sources = table.Sources{}
			e.apply()
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			e.serve("web", shop, app(t, echo(t, make(chan error, 1))))
			e.serve("other", "other.acme.berth.localhost", app(t, say("other")))
			conn := e.webSocket(t)
			must(t, ask(conn, "before"))
			if got := e.metric(t)["berth_router_streams websocket"]; got != 1 {
				t.Errorf("%v streams are counted", got)
			}
			change(t, e)
			for i := range 3 {
				must(t, ask(conn, fmt.Sprint("after ", i)))
			}
			must(t, conn.Close())
		})
	}
}

// closing begins a shutdown that has a time, and waits until nothing new is accepted.
func (e *edge) closing(t *testing.T, within time.Duration) <-chan error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(ctx) }()
	for {
		conn, err := net.Dial("tcp", e.HTTPSAddr().String())
		if err != nil {
			return done
		}
		_ = conn.Close()
	}
}

func TestAShutdownTellsWebSocketsToGoAwayAndLetsThemEnd(t *testing.T) {
	e := start(t, "")
	ends := make(chan error, 5)
	e.serve("web", shop, app(t, echo(t, ends)))
	var conns []*websocket.Conn
	for range cap(ends) {
		conns = append(conns, e.webSocket(t))
		must(t, ask(conns[len(conns)-1], "before"))
	}
	done := e.closing(t, 2*time.Second)
	for i, conn := range conns {
		var err error
		answered := 0
		for ; err == nil; answered++ { // it works until it is told
			err = ask(conn, strings.Repeat("x", answered%300))
		}
		if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("the %dth ended with %v, not with 1001", i, err)
		}
		t.Logf("the %dth got %d more answers", i, answered)
	}
	for range conns {
		if err := <-ends; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("the app saw %v, not the client's answer to the close frame", err)
		}
	}
	must(t, <-done)
}

func TestAShutdownCutsStreamsThatDoNotGo(t *testing.T) {
	e := start(t, "")
	e.expectsCut = true
	e.serve("web", shop, app(t, changes("echo", func(conn io.ReadWriteCloser, from io.Reader) { _, _ = io.Copy(conn, from) })))
	conn := e.raw(t)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+shop+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	must(t, err)
	answer := bufio.NewReader(conn)
	res, err := http.ReadResponse(answer, nil)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols { // whose body is the connection
		t.Fatalf("status %d", res.StatusCode)
	}
	ping := func() {
		t.Helper()
		_, err := io.WriteString(conn, "ping\n")
		must(t, err)
		if line, err := answer.ReadString('\n'); err != nil || line != "ping\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	ping()
	done := e.closing(t, time.Second)
	ping()
	if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shut down with %v", err)
	}
	if rest, err := io.ReadAll(answer); len(rest) > 0 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the cut came %q, %v", rest, err)
	}
}

func TestAShutdownEndsEventsBetweenTwo(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				flush := http.NewResponseController(w)
				for r.Context().Err() == nil {
					for _, part := range []string{"id: 1\r\n", "data: ha", "lf\r\n", "\r\n"} {
						_, _ = io.WriteString(w, part)
						_ = flush.Flush()
					}
				}
			}))
			res, err := e.client(t, http2).Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody))
			must(t, err)
			defer func() { _ = res.Body.Close() }()
			if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			done := e.closing(t, 2*time.Second)
			rest, err := io.ReadAll(res.Body)
			if err != nil || !strings.HasSuffix(string(rest), "data: half\r\n\r\n") {
				t.Errorf("the stream ended with %v after %q", err, rest[max(0, len(rest)-40):])
			}
			must(t, <-done)
		})
	}
}

func TestAShutdownEndsSilentEventsAtOnce(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	res, err := e.client(t, true).Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody))
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	first := make([]byte, len("data: one\n\n"))
	_, err = io.ReadFull(res.Body, first)
	must(t, err)
	done := e.closing(t, 2*time.Second)
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %q, %v", rest, err)
	}
	must(t, <-done)
}

// raw is a TLS connection for the shop, HTTP/1.1 by the client's own hand.
func (e *edge) raw(tb testing.TB) *tls.Conn {
	tb.Helper()
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		RootCAs: e.ca.pool(), ServerName: shop, MinVersion: tls.VersionTLS12,
	})
	must(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	must(tb, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}
