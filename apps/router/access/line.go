package access

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Longest path and user agent that are kept, in bytes.
const (
	maxPath      = 1024
	maxUserAgent = 200
)

// Line is one request and its answer.
type Line struct {
	// Time the request's headers had come.
	Time      time.Time `json:"time"`
	Tenant    string    `json:"tenant"`
	App       string    `json:"app"`
	Component string    `json:"component,omitempty"`
	Host      string    `json:"host"`
	Method    string    `json:"method"`
	// Path as the client wrote it, without the query.
	Path   string `json:"path"`
	Status int    `json:"status"`
	// Bytes of the answer's body, or what went to the client over an upgraded connection.
	Bytes int64 `json:"bytes"`
	// Milliseconds until the answer had been written, and those of them that went into
	// making a connection to the app.
	DurationMS float64 `json:"durationMs"`
	ConnectMS  float64 `json:"connectMs"`
	RequestID  string  `json:"requestId"`
	// Client is its address without port.
	Client    string `json:"client"`
	Protocol  string `json:"protocol"`
	UserAgent string `json:"userAgent,omitempty"`
}

// Shorten bounds what a client chooses the length of, and copies it: whoever keeps a line
// must not keep the whole request alive.
func (l *Line) Shorten() {
	l.Path = cut(l.Path, maxPath)
	l.UserAgent = cut(l.UserAgent, maxUserAgent)
	l.Method = cut(l.Method, maxUserAgent)
	l.Protocol = cut(l.Protocol, maxUserAgent)
}

// cut shortens a text without halving a letter.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return strings.Clone(s)
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.Clone(s[:limit]) + "…"
}
