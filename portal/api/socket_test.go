package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/portal/service"
)

// Whoever hangs up while the process takes nothing must not leave a connection behind.
func TestAPersonWhoIsGoneIsNoticedWhileNobodyReads(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		(&socket{conn: conn, every: time.Millisecond}).ping(ctx, cancel)
		if ctx.Err() == nil {
			t.Error("what is done for the person goes on")
		}
	}))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.NetConn().(*net.TCPConn).Close(); err != nil { //nolint:forcetypeassert // dialled as TCP
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
}

// flood sends more than any buffer between holds, and says how it ended.
func flood(t *testing.T, total int, every time.Duration) (*websocket.Conn, <-chan error) {
	t.Helper()
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sock := &socket{conn: conn, every: every}
		sock.receive(ctx, cancel, service.TerminalSize{})
		chunk := make([]byte, 1<<20)
		for range total / len(chunk) {
			if _, err = sock.Write(chunk); err != nil {
				break
			}
		}
		ended <- err
		if err == nil {
			<-ctx.Done() // the person closes
		}
	}))
	t.Cleanup(server.Close)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, ended
}

func TestAPersonWhoTakesNothingIsWaitedForWhileHeLives(t *testing.T) {
	const total, every = 64 << 20, 300 * time.Millisecond
	conn, ended := flood(t, total, every)
	lived := make(chan struct{})
	go func() {
		beat := time.NewTicker(every / 6)
		defer beat.Stop()
		for n := range 1 << 20 {
			<-beat.C
			if conn.WriteControl(websocket.PongMessage, nil, time.Time{}) != nil {
				return // the test is over
			}
			if n == 40 { // three times as long as one who is silent is believed to be there
				close(lived)
			}
		}
	}()
	<-lived
	got := 0
	for got < total {
		_, data, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		got += len(data)
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAPersonWhoTakesNothingAndIsSilentIsGone(t *testing.T) {
	_, ended := flood(t, 64<<20, 50*time.Millisecond)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all was sent")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
}
