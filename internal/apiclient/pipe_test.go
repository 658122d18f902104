package apiclient

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestAWebsocketIsOpenedBesideRequestsOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			if r.ProtoMajor != 2 {
				t.Errorf("a request comes over %s", r.Proto)
			}
			_, _ = w.Write([]byte("{}"))
			return
		}
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close() // it was opened, which is all that is asked
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	client, err := New(Options{URL: server.URL, Token: "t", CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.App(t.Context(), "acme", "shop"); err != nil {
		t.Fatal(err)
	}
	pipe, err := client.Forward(t.Context(), "acme", "shop", ProcessRef{Component: "web"}, 80)
	if err != nil {
		t.Fatal(err)
	}
	pipe.Close()
}

// While the local program takes nothing, pings of the server are not read, so it must hear
// that we are there without being asked.
func TestAPipeSaysThatItIsThereWhileNobodyReads(t *testing.T) {
	heard := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		once := sync.OnceFunc(func() { close(heard) })
		conn.SetPongHandler(func(string) error {
			once()
			return nil
		})
		_, _, _ = conn.ReadMessage() // until the pipe is closed
	}))
	t.Cleanup(server.Close)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		(&Pipe{conn: conn, stop: stop}).beat(ctx, time.Millisecond)
	}()
	<-heard
	stop()
	<-ended
	_ = conn.Close()
}
