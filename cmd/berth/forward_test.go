package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/berth-dev/berth/internal/apiclient"
)

// forwarding starts what port-forward does for one port and gives the address that it
// listens on, and what it complained about once it ended.
func forwarding(t *testing.T, port int) (address string, end func() string) {
	t.Helper()
	server := httptest.NewServer(newFakePortal())
	t.Cleanup(server.Close)
	client, err := apiclient.New(apiclient.Options{URL: server.URL, Token: "good"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := listenHere(ctx, portPair{remote: port})
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	f := &forwarder{cli: &cli{out: io.Discard, err: &complaints}, dial: func(ctx context.Context) (*apiclient.Pipe, error) {
		return client.Forward(ctx, "acme", "shop", apiclient.ProcessRef{}, port)
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = f.serve(ctx, listener) })
	end = func() string {
		cancel()
		serving.Wait()
		return complaints.String()
	}
	t.Cleanup(func() { end() })
	return listener.Addr().String(), end
}

func TestConnectionsReachThePortOfAProcess(t *testing.T) {
	address, end := forwarding(t, 8080)
	if !strings.HasPrefix(address, "127.0.0.1:") {
		t.Errorf("it listens on %s, where others reach it", address)
	}
	var talking sync.WaitGroup
	for i := range 5 {
		talking.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "hello %d", i)
			// What has been sent ends here, and the answer must come all the same.
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:forcetypeassert // dialled as TCP
				t.Error(err)
			}
			got, err := io.ReadAll(conn)
			if want := fmt.Sprintf("HELLO %d", i); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	talking.Wait()
	if said := end(); said != "" {
		t.Errorf("it complained: %s", said)
	}
}

func TestAPortThatNobodyListensOnIsTold(t *testing.T) {
	address, end := forwarding(t, 1)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	if said := end(); !strings.Contains(said, "nothing listens on port 1 of web.aaaaa") {
		t.Errorf("got %q", said)
	}
}

func TestPortsOfAForward(t *testing.T) {
	for arg, want := range map[string]portPair{"5432": {5432, 5432}, "15432:5432": {15432, 5432}, "0:80": {0, 80}} {
		if got, err := portArgument(arg); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "0", "x", "1:", ":1", "70000", "1:2:3", "-1"} {
		if _, err := portArgument(arg); err == nil {
			t.Errorf("%q was taken", arg)
		}
	}
}
