package access

import (
	"net/http"
	"time"
)

// ServeHTTP answers GET /access?tenant=…&app=…[&since=RFC 3339][&follow=1] with an app's
// lines, one JSON object each. Who may ask is settled by the network: it listens where
// only the portal reaches it.
func (l *Log) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	k := key{tenant: query.Get("tenant"), app: query.Get("app")}
	if k.tenant == "" || k.app == "" {
		http.Error(w, "tenant and app: name both", http.StatusBadRequest)
		return
	}
	var after time.Time
	if since := query.Get("since"); since != "" {
		var err error
		if after, err = time.Parse(time.RFC3339Nano, since); err != nil {
			http.Error(w, "since: give a time such as 2026-01-02T15:04:05Z", http.StatusBadRequest)
			return
		}
	}
	lines, more, end := l.since(k, after, query.Get("follow") == "1")
	defer end()
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, line := range lines {
		if _, err := w.Write(line); err != nil {
			return // the reader has gone
		}
	}
	if more == nil {
		return
	}
	stream := http.NewResponseController(w)
	for {
		if stream.Flush() != nil {
			return
		}
		select {
		case line := <-more:
			if _, err := w.Write(line); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
