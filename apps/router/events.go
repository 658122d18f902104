package router

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// events is the body of server-sent events. It can be asked to end where an event does:
// the client then comes back by itself and says which was the last it got.
type events struct {
	body    io.ReadCloser
	streams *streams

	mu      sync.Mutex
	tail    [2]byte
	between bool
	leaving bool
	// closed says that leave closed the body, between two events.
	closed bool
}

// isEvents reports whether an answer is server-sent events.
func isEvents(res *http.Response) bool {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	return res.ContentLength < 0 && strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}

func newEvents(body io.ReadCloser, s *streams) *events {
	e := &events{body: body, streams: s, between: true}
	s.add(e)
	return e
}

// Read reads on, or says that this is the end.
func (e *events) Read(p []byte) (int, error) {
	if e.done() {
		return 0, io.EOF
	}
	n, err := e.body.Read(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		// What came meanwhile begins an event that would have no end.
		return 0, io.EOF
	}
	if end := lastEnd(p[:n]); e.leaving && end > 0 {
		// What follows the last whole event is never sent.
		n = end
	}
	e.follow(p[:n])
	return n, err
}

// lastEnd is where the last event that is whole ends, 0 if none ends here.
func lastEnd(p []byte) int {
	end := 0
	for _, blank := range []string{"\n\n", "\r\n\r\n"} {
		if at := bytes.LastIndex(p, []byte(blank)); at >= 0 {
			end = max(end, at+len(blank))
		}
	}
	return end
}

// follow notes whether the bytes end an event: an empty line does. The lock is held.
func (e *events) follow(p []byte) {
	p = bytes.ReplaceAll(p[max(0, len(p)-4):], []byte("\r"), nil) // two ends of lines at most
	if len(p) == 0 {
		return
	}
	if len(p) == 1 {
		e.tail = [2]byte{e.tail[1], p[0]}
	} else {
		e.tail = [2]byte(p[len(p)-2:])
	}
	e.between = e.tail == [2]byte{'\n', '\n'}
}

func (e *events) done() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leaving && e.between
}

func (e *events) leave() {
	e.mu.Lock()
	e.leaving = true
	e.closed = e.between
	idle := e.closed
	e.mu.Unlock()
	if idle {
		_ = e.body.Close() // wakes the one who reads
	}
}

func (e *events) cut() { _ = e.body.Close() }

// Close ends it.
func (e *events) Close() error {
	e.streams.remove(e)
	return e.body.Close()
}

func (e *events) kind() string { return "events" }
