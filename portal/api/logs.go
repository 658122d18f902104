package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) logRoutes(r chi.Router) {
	r.Get(appPath+"/logs", a.stream(VerbRead, a.logs))
}

// logs streams the output of all of an app's processes: NDJSON, or text with the
// process's name before each line.
func (a *API) logs(w http.ResponseWriter, r *http.Request, _ Principal) error {
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
	err = a.Service.Logs(r.Context(), tenant, name, service.LogOptions{
		Component: r.URL.Query().Get("component"), Tail: int(min(tail, 1<<30)), Follow: follow,
	}, func(line service.LogLine) error {
		if asText {
			return s.write(fmt.Sprintf("%s | %s\n", line.Process, line.Text))
		}
		return s.line(apiclient.LogLine{Time: line.Time, Component: line.Component, Process: line.Process, Line: line.Text})
	})
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
