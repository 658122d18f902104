// Command ui serves the shop's pages, and passes /api/ on to the api component, so that
// a browser needs one address only.
package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:embed static
var static embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, ":8080", os.Getenv("API_URL")); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, apiURL string) error {
	handler, err := newHandler(apiURL)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("serving the shop's pages", "address", address)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Requests that have begun are finished.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return server.Shutdown(finish)
}

func newHandler(apiURL string) (http.Handler, error) {
	if apiURL == "" {
		apiURL = "http://api:8080"
	}
	target, err := url.Parse(apiURL)
	if err != nil || target.Host == "" {
		return nil, errors.New("API_URL must be an address such as http://api:8080")
	}
	pages, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("/api/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			slog.Warn("the api does not answer", "error", err)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte(`{"error":"the shop's api does not answer"}` + "\n"))
		},
	})
	mux.Handle("/", http.FileServerFS(pages))
	return mux, nil
}
