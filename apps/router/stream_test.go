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

	"github.com/berth-dev/berth/api/v1alpha1"
)

func TestWebSocketsPass(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, echo(t, make(chan error, 1))))
	conn := e.webSocket(t)
	for i := range 3 {
		must(t, ask(conn, fmt.Sprint("message ", i)))
	}
}

func TestEventsArriveOneByOne(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			events := make(chan string, 1)
			e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for {
					select {
					case text := <-events:
						_, _ = io.WriteString(w, "data: "+text+"\n")
						_ = http.NewResponseController(w).Flush()
					case <-r.Context().Done():
						return
					}
				}
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			events <- "first"
			res, err := e.client(t, http2).Do(request(t, http.MethodGet, "https://"+shop+"/events", http.NoBody).WithContext(ctx))
			must(t, err)
			defer func() { _ = res.Body.Close() }()
			lines := bufio.NewReader(res.Body)
			for _, next := range []string{"second", "third", ""} {
				// Each event is sent only when the one before has come through.
				line, err := lines.ReadString('\n')
				must(t, err)
				if !strings.HasPrefix(line, "data: ") {
					t.Errorf("got %q", line)
				}
				events <- next
			}
			cancel()
		})
	}
}

// stream is a TCP backend: it answers each line with the line in capitals, and when
// the client has sent its last, says how many there were.
func stream(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				n := 0
				for ; lines.Scan(); n++ {
					_, _ = fmt.Fprintln(conn, strings.ToUpper(lines.Text()))
				}
				_, _ = fmt.Fprintln(conn, n)
			}()
		}
	}()
	return listener.Addr().String()
}

func (e *edge) serveTCP(name, host string, addresses ...string) {
	e.serve(name, host, addresses...).Spec.Protocol = v1alpha1.ProtocolTCP
	e.apply()
}

func (e *edge) dialTCP(serverName string, protocols ...string) (*tls.Conn, error) {
	return tls.Dial("tcp", e.TCPAddr().String(), &tls.Config{
		RootCAs: e.ca.pool(), ServerName: serverName, NextProtos: protocols, MinVersion: tls.VersionTLS12,
	})
}

func TestStreamsPassBothWaysAndEndOneWayAtATime(t *testing.T) {
	e := start(t, "")
	const host = "db.acme.berth.localhost"
	e.serveTCP("db", host, nowhere(t), stream(t))
	conn, err := e.dialTCP(host, "postgresql")
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	if got := conn.ConnectionState().NegotiatedProtocol; got != "postgresql" {
		t.Errorf("negotiated %q", got)
	}
	lines := bufio.NewReader(conn)
	for _, text := range []string{"select", "insert"} {
		_, err := fmt.Fprintln(conn, text)
		must(t, err)
		got, err := lines.ReadString('\n')
		must(t, err)
		if got != strings.ToUpper(text)+"\n" {
			t.Errorf("got %q", got)
		}
	}
	must(t, conn.CloseWrite())
	rest, err := io.ReadAll(lines)
	must(t, err)
	if string(rest) != "2\n" {
		t.Errorf("after the client's end came %q, want the count", rest)
	}
}

func TestStreamsAreRefused(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	for name, host := range map[string]string{
		"for a host of HTTP":    shop,
		"for an unknown host":   "nope.acme.berth.localhost",
		"for another domain":    "example.com",
		"without a server name": "",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", e.TCPAddr().String(), &tls.Config{
				InsecureSkipVerify: true, ServerName: host, // no certificate is to come at all
			})
			if err == nil {
				_ = conn.Close()
				t.Fatal("the handshake succeeded")
			}
			if !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("the handshake ends with %v", err)
			}
		})
	}
	e.serveTCP("off", "off.acme.berth.localhost", stream(t))
	e.sources.Routes[1].Spec.Edge.Maintenance = true
	e.apply()
	conn, err := e.dialTCP("off.acme.berth.localhost")
	must(t, err)
	defer func() { _ = conn.Close() }()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a stream in maintenance gives %v, want its end", err)
	}
}

func TestShutdownWaitsForStreams(t *testing.T) {
	e := start(t, "")
	const host = "db.acme.berth.localhost"
	e.serveTCP("db", host, stream(t))
	conn, err := e.dialTCP(host)
	must(t, err)
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	echo := func() {
		t.Helper()
		_, err := fmt.Fprintln(conn, "x")
		must(t, err)
		if got, err := lines.ReadString('\n'); err != nil || got != "X\n" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	echo()
	done := make(chan error, 1)
	go func() { done <- e.Shutdown(t.Context()) }()
	for { // until it takes no new ones
		other, err := e.dialTCP(host)
		if err != nil {
			break
		}
		_ = other.Close()
	}
	echo()
	must(t, conn.CloseWrite())
	_, err = io.ReadAll(lines)
	must(t, err)
	must(t, <-done)
}
