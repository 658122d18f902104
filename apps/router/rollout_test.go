package router_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// process is a backend that ends as an app's process does: the table hears of it, it
// goes on for a moment, then it finishes what it has and closes.
type process struct {
	address string
	server  *http.Server
}

func newProcess(t *testing.T) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &process{address: listener.Addr().String(), server: &http.Server{
		ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "ok")
		}),
	}}
	go func() { _ = p.server.Serve(listener) }()
	t.Cleanup(func() { _ = p.server.Close() })
	return p
}

func TestReplacingEveryEndpointUnderLoadFailsNoRequest(t *testing.T) {
	e := start(t, "")
	processes := []*process{newProcess(t), newProcess(t), newProcess(t)}
	addresses := func() (all []string) {
		for _, p := range processes {
			all = append(all, p.address)
		}
		return all
	}
	e.only(addresses()...)

	var failed, done atomic.Int64
	var turns [8]atomic.Int64
	load, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range turns {
		client := e.client(t, i%2 == 0)
		clients.Go(func() {
			for load.Err() == nil {
				turns[i].Add(1)
				method := []string{http.MethodGet, http.MethodPost}[done.Add(1)%2]
				res, err := client.Do(request(t, method, "https://"+shop+"/", strings.NewReader("body")))
				if err != nil {
					failed.Add(1)
					t.Error(err)
					continue
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || string(body) != "ok" {
					failed.Add(1)
					t.Errorf("%s gives %d %q, %v", method, res.StatusCode, body, err)
				}
			}
		})
	}
	until := func(reached func() bool) {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for !reached() && t.Context().Err() == nil {
			<-look.C
		}
	}
	// atLeast lets the load go on for some more requests.
	atLeast := func(n int64) {
		enough := done.Load() + n
		until(func() bool { return done.Load() >= enough })
	}
	// begunEnd waits until every request that is under way has been answered: one that
	// has chosen its endpoint may not have reached it yet.
	begunEnd := func() {
		for i := range turns {
			turn := turns[i].Load()
			until(func() bool { return turns[i].Load() > turn })
		}
	}
	for range 6 {
		atLeast(100)
		old := processes[0]
		processes = append(processes[1:], newProcess(t))
		e.only(addresses()...)
		begunEnd() // the pause that preStop gives every process
		must(t, old.server.Shutdown(t.Context()))
	}
	stop()
	clients.Wait()
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
}

func TestShutdownFinishesAnswersThatHaveBegun(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			e := start(t, "")
			finish := make(chan struct{})
			const size = 4 << 20
			e.serve("web", shop, app(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "begun\n")
				_ = http.NewResponseController(w).Flush()
				<-finish
				_, _ = io.WriteString(w, strings.Repeat("x", size))
			}))
			res, err := e.client(t, http2).Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody))
			must(t, err)
			defer func() { _ = res.Body.Close() }()
			if _, err := io.ReadFull(res.Body, make([]byte, len("begun\n"))); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- e.Shutdown(t.Context()) }()
			for { // until it takes no new connections
				conn, err := net.Dial("tcp", e.HTTPSAddr().String())
				if err != nil {
					break
				}
				_ = conn.Close()
			}
			select {
			case err := <-done:
				t.Fatalf("shut down with an answer under way: %v", err)
			default:
			}
			close(finish)
			rest, err := io.ReadAll(res.Body)
			if err != nil || len(rest) != size {
				t.Errorf("the answer was cut after %d bytes: %v", len(rest), err)
			}
			must(t, <-done)
		})
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	e := start(t, "")
	e.expectsCut = true
	finish := make(chan struct{})
	defer close(finish)
	e.serve("web", shop, app(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-finish
	}))
	res, err := e.client(t, false).Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("gave %v, want the end of its context", err)
	}
	_ = res.Body.Close()
}
