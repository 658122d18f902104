package router_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// others fails unless another app is served while a test attacks.
func (e *edge) others(t *testing.T) {
	t.Helper()
	if got := get(t, e.client(t, true), "https://other.acme.berth.localhost/"); got.status != http.StatusOK || got.body != "other" {
		t.Errorf("another app answers %d %q", got.status, got.body)
	}
}

func (e *edge) attacked(t *testing.T) *witness {
	t.Helper()
	w := &witness{}
	e.serve("web", shop, app(t, w.ServeHTTP))
	e.serve("other", "other.acme.berth.localhost", app(t, say("other")))
	return w
}

func TestHeaderBombs(t *testing.T) {
	e := start(t, "")
	w := e.attacked(t)
	t.Run("many headers", func(t *testing.T) {
		conn := e.raw(t)
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+shop+"\r\n"+strings.Repeat("X: y\r\n", 1<<15)+"\r\n")
		if err == nil {
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("status %d", res.StatusCode)
			}
		}
	})
	t.Run("one header repeated from the table", func(t *testing.T) {
		h := e.h2(t)
		bomb := []string{}
		for range 1000 {
			bomb = append(bomb, "x-bomb", strings.Repeat("a", 3000)) // one byte each, once it is known
		}
		block := h.fields(bomb...)
		if len(block) > 16<<10 {
			t.Fatalf("the bomb is of %d bytes", len(block))
		}
		must(t, h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true, EndStream: true}))
		if status := h.outcome(); status == "200" {
			t.Error("3 MB of headers were taken")
		}
	})
	t.Run("headers that do not end", func(t *testing.T) {
		h := e.h2(t)
		must(t, h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.fields()}))
		part := h.fields("x-more", strings.Repeat("a", 8<<10))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = h.outcome()
		}()
		sent := 0
		for ; sent < 1<<16 && h.WriteContinuation(1, false, part) == nil; sent++ {
			select {
			case <-ended:
				return
			default:
			}
		}
		t.Logf("gave up after %d frames", sent)
		if sent == 1<<16 {
			t.Error("half a GiB of headers was read")
		}
	})
	e.others(t)
	if got := w.requests(); len(got) > 0 {
		t.Errorf("the app saw %q", got)
	}
}

func TestAFloodOfResetStreamsReachesNobodyElse(t *testing.T) {
	e := start(t, "")
	release := make(chan struct{})
	defer close(release)
	var mu sync.Mutex
	open, most := 0, 0
	e.serve("web", shop, app(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-release:
		}
		mu.Lock()
		open--
		mu.Unlock()
	}))
	e.serve("other", "other.acme.berth.localhost", app(t, say("other")))
	h := e.h2(t)
	// The edge may end the connection, or be fast enough to take it.
	go func() { _, _ = io.Copy(io.Discard, h.conn) }()
	for id := uint32(1); id < 1<<17; id += 2 {
		if h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.fields(), EndHeaders: true, EndStream: true}) != nil ||
			h.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	_ = h.conn.Close()
	e.others(t)
	mu.Lock()
	defer mu.Unlock()
	if most > 1000 {
		t.Errorf("the app had %d requests at once", most)
	}
}

func TestUnknownServerNamesCostNoCertificate(t *testing.T) {
	dir := t.TempDir()
	e := startIn(t, dir)
	e.attacked(t)
	e.others(t)
	before := files(t, dir)
	var flood sync.WaitGroup
	for worker := range 8 {
		flood.Go(func() {
			for i := range 50 {
				if got, err := e.certificateFor(fmt.Sprintf("x%d.y%d.example", i, worker)); err == nil {
					t.Errorf("a handshake with %v", got)
				}
			}
		})
	}
	e.others(t)
	flood.Wait()
	if after := files(t, dir); after != before {
		t.Errorf("%d files became %d", before, after)
	}
}

// files counts those below a folder.
func files(t *testing.T, dir string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}))
	return n
}

// drip opens connections for the shop that send a byte now and then, and never all.
func (e *edge) drip(tb testing.TB, n int, begin string) {
	tb.Helper()
	for range n {
		conn := e.raw(tb)
		_, err := io.WriteString(conn, begin)
		must(tb, err)
	}
}

func TestSlowClientsHoldUpNobodyElse(t *testing.T) {
	e := start(t, "")
	e.expectsCut = true
	w := e.attacked(t)
	e.drip(t, 100, "GET / HTTP/1.1\r\nHost: "+shop+"\r\nX-Slow: ")
	e.drip(t, 100, "POST / HTTP/1.1\r\nHost: "+shop+"\r\nContent-Length: 1000\r\n\r\nslow")
	for range 20 {
		e.others(t)
	}
	if got := w.requests(); len(got) > 0 {
		t.Errorf("the app saw whole requests %q", got)
	}
}

func TestAClientThatSendsNoHandshakeIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a timeout of ten seconds")
	}
	e := start(t, "")
	conn, err := net.Dial("tcp", e.HTTPSAddr().String())
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte{0x16, 0x03, 0x01, 0x02})
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(patience)))
	if _, err = io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("still connected")
	}
}
