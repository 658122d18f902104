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
		(&socket{conn: conn}).ping(ctx, cancel, time.Millisecond)
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
