package apiclient

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

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
