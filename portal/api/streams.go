package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// keepAlive is how often a silent stream says that it lives.
const keepAlive = 15 * time.Second

// streamWriter writes messages as they come, from several goroutines, with a sign of
// life in between. The answer's head goes out with the first message, so that an
// error before it can still be a proper refusal.
type streamWriter struct {
	w           http.ResponseWriter
	contentType string
	beat        string

	mu      sync.Mutex
	started bool
	stop    func()
}

func newStream(ctx context.Context, w http.ResponseWriter, contentType, beat string) *streamWriter {
	ctx, cancel := context.WithCancel(ctx)
	s := &streamWriter{w: w, contentType: contentType, beat: beat}
	var beats sync.WaitGroup
	beats.Go(func() { s.beats(ctx) })
	s.stop = func() {
		cancel()
		beats.Wait()
	}
	return s
}

func (s *streamWriter) beats(ctx context.Context) {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.write(s.beat)
		}
	}
}

// begin sends the head, so that the caller knows the stream is open.
func (s *streamWriter) begin() error { return s.write("") }

func (s *streamWriter) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.w.Header().Set("Content-Type", s.contentType)
		// Proxies must not gather what should flow.
		s.w.Header().Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
		s.started = true
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// open tells whether the head has gone out.
func (s *streamWriter) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// line writes one NDJSON message.
func (s *streamWriter) line(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(string(raw) + "\n")
}

// event writes one server-sent event.
func (s *streamWriter) event(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write("event: " + name + "\ndata: " + string(raw) + "\n\n")
}

// wantsText tells whether the caller asked for plain text.
func wantsText(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return !strings.Contains(accept, "json") && (accept == "" || strings.Contains(accept, "text/") || strings.Contains(accept, "*/*"))
}
