package router_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/apps/router/access"
)

// changes answers that the protocol is now another, and has the connection from there on.
func changes(to string, serve func(io.ReadWriteCloser, io.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", to)
		serve(conn, buffer)
	}
}

func TestAnUpgradedConnectionCarriesEveryByteInOrder(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, changes("echo", func(conn io.ReadWriteCloser, from io.Reader) { _, _ = io.Copy(conn, from) })))
	conn := e.raw(t)
	chance := rand.NewChaCha8([32]byte{1})
	sent := make([]byte, 3<<20)
	_, _ = chance.Read(sent)
	const early = 100 // come in one piece with the request
	_, err := conn.Write(append([]byte("GET / HTTP/1.1\r\nHost: "+shop+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"), sent[:early]...))
	must(t, err)
	written := make(chan error, 1)
	go func() {
		// Pieces as long as a buffer, a byte more, a byte less and of any length.
		sizes := []int{1, 2047, 2048, 2049, 4096, 32 << 10, 34 << 10, 100_000}
		for rest := sent[early:]; len(rest) > 0; {
			n := min(len(rest), sizes[rand.N(len(sizes))])
			if _, err := conn.Write(rest[:n]); err != nil {
				written <- err
				return
			}
			rest = rest[n:]
		}
		written <- conn.CloseWrite()
	}()
	answer := bufio.NewReader(conn)
	res, err := http.ReadResponse(answer, nil)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols { // whose body is the connection
		t.Fatalf("status %d", res.StatusCode)
	}
	got, err := io.ReadAll(answer)
	must(t, err)
	must(t, <-written)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(sent))
	}
}

func TestAnOpenWebSocketHoldsNothingOfItsRequest(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, echo(t, make(chan error, 1))))
	must(t, ask(e.webSocket(t), "hello")) // it works once the handlers have returned
	all := make([]byte, 4<<20)
	stacks := string(all[:runtime.Stack(all, true)])
	if !strings.Contains(stacks, "router.join") {
		t.Error("nobody carries its bytes")
	}
	if strings.Contains(stacks, "reverseproxy.(*Handler).ServeHTTP") {
		t.Error("a handler waits for its end")
	}
}

func TestAnAppThatChangesToAnotherProtocolThanAskedForIsLetGo(t *testing.T) {
	e := start(t, "")
	gone := make(chan error, 1)
	e.serve("web", shop, app(t, changes("other", func(_ io.ReadWriteCloser, from io.Reader) {
		_, err := from.Read(make([]byte, 1))
		gone <- err
	})))
	get(t, e.client(t, false), "https://"+shop+"/", "Connection", "Upgrade", "Upgrade", "echo")
	if err := <-gone; err == nil {
		t.Error("the app got a byte")
	}
}

func TestAWebSocketIsNotedOnceItHasEnded(t *testing.T) {
	e, out := logged(t)
	e.serve("web", shop, app(t, echo(t, make(chan error, 1))))
	conn := e.webSocket(t)
	must(t, ask(conn, "hello"))
	select {
	case line := <-out:
		t.Fatalf("noted while it is open: %s", line)
	default:
	}
	ending := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	must(t, conn.WriteMessage(websocket.CloseMessage, ending))
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the app answered the close frame with %v", err)
	}
	must(t, conn.Close())
	line := out.next(t)
	want := access.Line{
		Tenant: "acme", App: line.App, Component: line.Component, Host: shop, Method: http.MethodGet, Path: "/chat",
		Status: http.StatusSwitchingProtocols, Bytes: int64(2 + len("echo hello") + 2 + len(ending)), Client: "127.0.0.1",
		Protocol: "HTTP/1.1", UserAgent: line.UserAgent,
		Time: line.Time, DurationMS: line.DurationMS, ConnectMS: line.ConnectMS, RequestID: line.RequestID,
	}
	if line != want {
		t.Errorf("noted %+v, want %+v", line, want)
	}
}
