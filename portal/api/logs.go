package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) logRoutes(r chi.Router) {
	r.Get(appPath+"/logs", a.stream(VerbRead, a.logs))
	r.Get(appPath+"/access", a.stream(VerbRead, a.access))
}

// logs streams the output of all of an app's processes: NDJSON, or text with the
// process's name before each line.
func (a *API) logs(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	return a.lines(w, r, func(opts service.LogOptions, s *streamWriter, asText bool) error {
		return a.Service.Logs(r.Context(), tenant, name, opts, func(line service.LogLine) error {
			if asText {
				return s.write(fmt.Sprintf("%s | %s\n", line.Process, line.Text))
			}
			return s.line(apiclient.LogLine{Time: line.Time, Component: line.Component, Process: line.Process, Line: line.Text})
		})
	})
}

// access streams the requests that the edge answered for an app.
func (a *API) access(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	return a.lines(w, r, func(opts service.LogOptions, s *streamWriter, asText bool) error {
		return a.Service.AccessLog(r.Context(), tenant, name, opts, func(line service.AccessLine) error {
			if asText {
				return s.write(fmt.Sprintf("%s %s %s %s%s %d %d\n", line.Time.UTC().Format(time.RFC3339), line.Client, line.Method, line.Host, line.Path, line.Status, line.Bytes))
			}
			return s.line(apiclient.AccessLine(line))
		})
	})
}

// lines answers a request for lines of the past and, if asked for, those that come.
func (a *API) lines(w http.ResponseWriter, r *http.Request, tell func(opts service.LogOptions, s *streamWriter, asText bool) error) error {
	tenant, name := target(r)
	follow, err := flag(r, "follow")
	if err != nil {
		return err
	}
	tail, err := number(r, "tail", -1)
	if err != nil {
		return err
	}
	asText := wantsText(r)
	contentType := "application/x-ndjson"
	if asText {
		contentType = "text/plain; charset=utf-8"
	}
	s := newStream(r.Context(), w, contentType, beatOf(asText))
	defer s.stop()
	err = tell(service.LogOptions{
		Component: r.URL.Query().Get("component"), Tail: int(min(tail, 1<<30)), Follow: follow,
	}, s, asText)
	switch {
	case err != nil && !s.open() && !errors.Is(err, context.Canceled):
		return err
	case err == nil && !s.open():
		return s.begin()
	case err != nil && !slices.Contains([]error{context.Canceled, context.DeadlineExceeded}, err):
		a.Log.WarnContext(r.Context(), "log stream ended early", "tenant", tenant, "app", name, "error", err)
	}
	return nil
}

// beatOf is a sign of life that readers of the format skip; plain text has none.
func beatOf(asText bool) string {
	if asText {
		return ""
	}
	return "\n"
}
