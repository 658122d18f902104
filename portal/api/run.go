package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) runRoutes(r chi.Router) {
	r.Post(appPath+"/run", a.stream(VerbWrite, a.run))
}

// run runs a one-off process and streams its output; the last message holds the exit
// code. Nothing is answered before the process exists, so a refusal has its status.
func (a *API) run(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	var in apiclient.Run
	if err := decode(r, &in); err != nil {
		return err
	}
	s := newStream(r.Context(), w, "application/x-ndjson", "\n")
	defer s.stop()
	code, err := a.Service.Run(r.Context(), tenant, name, service.Run{
		Command: in.Command, Component: in.Component, OCUs: in.OCUs,
	}, runSink{s})
	switch {
	case err == nil:
		return s.line(apiclient.RunEvent{ExitCode: &code})
	case s.open():
		return s.line(apiclient.RunEvent{Error: problem(err)})
	}
	return err
}

// runSink sends what a process does down an NDJSON stream.
type runSink struct{ s *streamWriter }

// Started names the process.
func (k runSink) Started(process string) error {
	return k.s.line(apiclient.RunEvent{Process: process})
}

// Write sends output.
func (k runSink) Write(p []byte) (int, error) {
	if err := k.s.line(apiclient.RunEvent{Output: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}
