package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/portal/service"
)

const (
	// maxBody bounds a request's body.
	maxBody = 1 << 20
	// answerWithin bounds the work on a request that is not a stream.
	answerWithin = 60 * time.Second
)

// Options are what the API works with.
type Options struct {
	Service *service.Service
	// Auth tells who a token belongs to.
	Auth Authenticator
	Log  *slog.Logger
	// Draining is closed when the server is about to stop: streams end then.
	Draining <-chan struct{}
}

// API answers requests below /v1.
type API struct {
	Options
}

// New makes the API's handler.
func New(opts Options) http.Handler {
	a := &API{Options: opts}
	r := chi.NewRouter()
	r.NotFound(a.open(func(http.ResponseWriter, *http.Request) error {
		return errs.New(errs.NotFound, "", "there is nothing at this address", "See docs/api.md for the addresses of version 1.")
	}))
	r.MethodNotAllowed(a.open(func(http.ResponseWriter, *http.Request) error {
		return &statusError{status: http.StatusMethodNotAllowed, message: "this address does not take that method"}
	}))
	a.meRoutes(r)
	a.planRoutes(r)
	a.hostClusterRoutes(r)
	a.tenantRoutes(r)
	a.kubeconfigRoutes(r)
	a.domainRoutes(r)
	a.appRoutes(r)
	a.configRoutes(r)
	a.releaseRoutes(r)
	a.diagnosisRoutes(r)
	a.certificateRoutes(r)
	a.logRoutes(r)
	a.runRoutes(r)
	a.shellRoutes(r)
	a.forwardRoutes(r)
	return r
}

// handler answers a request of a known caller.
type handler func(w http.ResponseWriter, r *http.Request, who Principal) error

// open renders the error of a handler that anybody may call.
func (a *API) open(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.refuse(w, r, err)
		}
	}
}

// guard lets known callers through that may use the verb on the tenant in the path.
func (a *API) guard(verb Verb, h handler) http.HandlerFunc {
	return a.open(func(w http.ResponseWriter, r *http.Request) error {
		who, err := a.caller(r)
		if err != nil {
			return err
		}
		if err := readNames(r); err != nil {
			return err
		}
		if err := authorize(who, chi.URLParam(r, "tenant"), verb); err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		return h(w, r, who)
	})
}

// readNames makes the names in the path what was meant: the router leaves them escaped
// where the caller escaped more than is needed. One that cannot be part of a path is
// nobody's name.
func readNames(r *http.Request) error {
	params := &chi.RouteContext(r.Context()).URLParams
	for i, key := range params.Keys {
		if key == "*" {
			continue // What a router above left over.
		}
		name, err := params.Values[i], error(nil)
		if r.URL.RawPath != "" {
			name, err = url.PathUnescape(name)
		}
		if err != nil || len(content.IsPathSegmentName(name)) > 0 {
			return errs.New(errs.NotFound, key, "there is no "+key+" of that name", "Names have small letters, digits and dashes.")
		}
		params.Values[i] = name
	}
	return nil
}

// short guards a request that is answered within a bounded time.
func (a *API) short(verb Verb, h handler) http.HandlerFunc {
	return a.guard(verb, func(w http.ResponseWriter, r *http.Request, who Principal) error {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		return h(w, r.WithContext(ctx), who)
	})
}

// stream guards a request whose answer lasts until the caller, the thing watched or
// the server ends.
func (a *API) stream(verb Verb, h handler) http.HandlerFunc {
	return a.guard(verb, func(w http.ResponseWriter, r *http.Request, who Principal) error {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-a.Draining:
				cancel()
			case <-ctx.Done():
			}
		}()
		return h(w, r.WithContext(ctx), who)
	})
}
