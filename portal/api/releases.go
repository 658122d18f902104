package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

// How many releases a list has unless asked for otherwise, and at most.
const (
	defaultReleases = 50
	maxReleases     = 1000
)

func (a *API) releaseRoutes(r chi.Router) {
	r.Get(appPath+"/releases", a.short(VerbRead, a.listReleases))
	r.Get(appPath+"/releases/{version}", a.short(VerbRead, a.getRelease))
	r.Get(appPath+"/releases/{version}/watch", a.stream(VerbRead, a.watchRelease))
	r.Post(appPath+"/rollback", a.short(VerbWrite, a.rollback))
}

// version reads a release's version of the path: 3, v3 or, as 0, latest.
func version(r *http.Request) (int64, error) {
	text := chi.URLParam(r, "version")
	if text == "latest" {
		return 0, nil
	}
	return versionOf("version", text)
}

// versionOf reads a release's version: 3 or v3.
func versionOf(field, text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "v"), 10, 64)
	if err != nil || n < 1 {
		return 0, &statusError{status: http.StatusBadRequest, field: field, message: strconv.Quote(text) + " is not a release's version", fix: "Write it as 3 or v3."}
	}
	return n, nil
}

func (a *API) listReleases(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	limit, err := releaseLimit(r)
	if err != nil {
		return err
	}
	releases, err := a.Service.Releases(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	// The API server orders by name, by which v10 comes before v2: the newest are cut here.
	releases = releases[:min(limit, len(releases))]
	writeJSON(w, http.StatusOK, list(releases, func(rel *v1alpha1.Release) apiclient.Release {
		out := releaseOf(rel)
		out.Template = nil // One release has it; a list would be large.
		return out
	}))
	return nil
}

// releaseLimit reads how many releases a list may have.
func releaseLimit(r *http.Request) (int, error) {
	limit, err := number(r, "limit", defaultReleases)
	if err != nil {
		return 0, err
	}
	if limit < 1 || limit > maxReleases {
		return 0, &statusError{
			status: http.StatusBadRequest, field: "limit", message: fmt.Sprintf("a list cannot have %d releases", limit),
			fix: fmt.Sprintf("Give 1 to %d.", maxReleases),
		}
	}
	return int(limit), nil
}

func (a *API) getRelease(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	n, err := version(r)
	if err != nil {
		return err
	}
	if n == 0 {
		app, err := a.Service.App(r.Context(), tenant, name)
		if err != nil {
			return err
		}
		n = app.Status.LatestRelease
	}
	rel, err := a.Service.Release(r.Context(), tenant, name, n)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, releaseOf(rel))
	return nil
}

func (a *API) rollback(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.Rollback
	if err := decode(r, &in); err != nil {
		return err
	}
	change, err := a.Service.Rollback(r.Context(), tenant, name, in.Version)
	return changed(w, change, tenant, err)
}

// watchRelease streams a release's states as server-sent events until it is done. A
// stream that ends without a last message is to be asked for again.
func (a *API) watchRelease(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	n, err := version(r)
	if err != nil {
		return err
	}
	generation, err := number(r, "generation", 0)
	if err != nil {
		return err
	}
	s := newStream(r.Context(), w, "text/event-stream", ": alive\n\n")
	defer s.stop()
	err = a.Service.WatchRelease(r.Context(), tenant, name, n, generation, func(state service.ReleaseState) error {
		return s.event("release", releaseEvent(state, tenant))
	})
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, service.ErrWatchEnded) {
		return nil
	}
	if !s.open() {
		return err
	}
	return s.event("release", apiclient.ReleaseEvent{Done: true, Error: problem(err)})
}

func releaseEvent(state service.ReleaseState, tenant string) apiclient.ReleaseEvent {
	ev := apiclient.ReleaseEvent{App: appOf(state.App, tenant), Done: state.Done}
	if state.Release != nil {
		rel := releaseOf(state.Release)
		ev.Release = &rel
	}
	if state.Err != nil {
		ev.Error = problem(state.Err)
	}
	return ev
}
