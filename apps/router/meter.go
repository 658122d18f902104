package router

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// meter notes an answer's status, its length and when it began, and puts the request's id
// on it.
type meter struct {
	*caddyhttp.ResponseWriterWrapper

	id     string
	status int
	bytes  int64
	began  time.Time

	// For a connection that changes its protocol.
	streams   *streams
	websocket bool
	upgraded  *upgraded
}

func newMeter(w http.ResponseWriter, r *http.Request, id string, s *streams) *meter {
	return &meter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		id:                    id, streams: s, websocket: isWebSocket(r),
	}
}

// WriteHeader notes the first final status. An app that names the request itself keeps
// its name for it.
func (m *meter) WriteHeader(status int) {
	if m.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		m.status, m.began = status, now()
		if h := m.Header(); h.Get(headerRequestID) == "" {
			h.Set(headerRequestID, m.id)
		}
	}
	m.ResponseWriterWrapper.WriteHeader(status)
}

// Write begins the answer if nothing has.
func (m *meter) Write(p []byte) (int, error) {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	n, err := m.ResponseWriterWrapper.Write(p)
	m.bytes += int64(n)
	return n, err
}

// written reports whether the answer has begun.
func (m *meter) written() bool { return m.status != 0 }

func (m *meter) code() int {
	if m.status == 0 {
		return http.StatusOK
	}
	return m.status
}
