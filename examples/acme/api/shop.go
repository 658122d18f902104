package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// shop answers requests.
type shop struct {
	version string
	healthy bool
	store   interface {
		items(context.Context) ([]item, error)
		// reached tells whether the database has answered once.
		reached() bool
	}
	metricsURL string
	client     *http.Client

	served, failed atomic.Int64
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /version", s.showVersion)
	mux.HandleFunc("GET /api/items", s.items)
	mux.HandleFunc("GET /api/metrics", s.metrics)
	mux.HandleFunc("GET /metrics", s.expose)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		mux.ServeHTTP(w, r)
	})
}

// health says that the process may have requests: not before it has reached the database
// for the first time, and from then on whatever the database does, since to restart this
// process would mend nothing there.
func (s *shop) health(w http.ResponseWriter, _ *http.Request) {
	if !s.healthy {
		s.fail(w, http.StatusServiceUnavailable, "this version is never healthy")
		return
	}
	if !s.store.reached() {
		s.fail(w, http.StatusServiceUnavailable, errNotReady.Error())
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (s *shop) showVersion(w http.ResponseWriter, _ *http.Request) {
	process, err := os.Hostname()
	if err != nil {
		process = "unknown"
	}
	reply(w, http.StatusOK, map[string]string{"version": s.version, "process": process})
}

func (s *shop) items(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	items, err := s.store.items(ctx)
	if err != nil {
		if !errors.Is(err, errNotReady) {
			slog.Warn("reading the goods", "error", err)
		}
		s.fail(w, http.StatusServiceUnavailable, "the goods cannot be read now")
		return
	}
	reply(w, http.StatusOK, map[string]any{"items": items, "version": s.version})
}

// metrics asks Prometheus how many requests a second the shop has.
func (s *shop) metrics(w http.ResponseWriter, r *http.Request) {
	rate, err := s.ask(r.Context(), "sum(rate(shop_requests_total[1m]))")
	if err != nil {
		slog.Warn("asking Prometheus", "error", err)
		s.fail(w, http.StatusServiceUnavailable, "the metrics cannot be read now")
		return
	}
	reply(w, http.StatusOK, map[string]any{"requestsPerSecond": rate})
}

func (s *shop) ask(ctx context.Context, query string) (json.RawMessage, error) {
	if s.metricsURL == "" {
		return nil, errors.New("METRICS_URL is not set")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metricsURL+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Value [2]json.RawMessage `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("the query was answered with %s", response.Status)
	}
	if len(answer.Data.Result) == 0 {
		return json.RawMessage("null"), nil
	}
	return answer.Data.Result[0].Value[1], nil
}

// expose is what Prometheus reads.
func (s *shop) expose(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = fmt.Fprintf(w, "# TYPE shop_requests_total counter\nshop_requests_total %d\n"+
		"# TYPE shop_failures_total counter\nshop_failures_total %d\n"+
		"# TYPE shop_info gauge\nshop_info{version=%q} 1\n", s.served.Load(), s.failed.Load(), s.version)
}

func (s *shop) fail(w http.ResponseWriter, status int, message string) {
	s.failed.Add(1)
	reply(w, status, map[string]string{"error": message})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
