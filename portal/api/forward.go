package api

import (
	"context"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) forwardRoutes(r chi.Router) {
	r.Get(appPath+"/forward", a.stream(VerbWrite, a.forward))
	r.Get(appPath+"/upload", a.stream(VerbWrite, a.upload))
	r.Get(appPath+"/download", a.stream(VerbWrite, a.download))
}

// forward joins a websocket to a port of a process.
func (a *API) forward(w http.ResponseWriter, r *http.Request, _ Principal) error {
	port, err := number(r, "port", 0)
	if err != nil {
		return err
	}
	return a.pipe(w, r, "berth port-forward", func(ctx context.Context, tenant, app string, ref service.ProcessRef, pipe service.Pipe) error {
		return a.Service.Forward(ctx, tenant, app, ref, int32(min(port, 1<<16)), pipe)
	})
}

// upload unpacks the tar archive that comes over a websocket.
func (a *API) upload(w http.ResponseWriter, r *http.Request, _ Principal) error {
	return a.pipe(w, r, "berth cp", func(ctx context.Context, tenant, app string, ref service.ProcessRef, pipe service.Pipe) error {
		return a.Service.Upload(ctx, tenant, app, ref, r.URL.Query().Get("folder"), pipe)
	})
}

// download sends a tar archive over a websocket.
func (a *API) download(w http.ResponseWriter, r *http.Request, _ Principal) error {
	return a.pipe(w, r, "berth cp", func(ctx context.Context, tenant, app string, ref service.ProcessRef, pipe service.Pipe) error {
		return a.Service.Download(ctx, tenant, app, ref, r.URL.Query().Get("path"), pipe)
	})
}

// pipe joins a websocket to what is done with a process. Binary messages are bytes both
// ways, text messages control; the last one tells how it ended.
func (a *API) pipe(w http.ResponseWriter, r *http.Request, command string, do func(context.Context, string, string, service.ProcessRef, service.Pipe) error) error {
	return a.socketed(w, r, command, service.TerminalSize{}, func(ctx context.Context, sock *socket, sent io.Reader, _ <-chan service.TerminalSize) apiclient.PipeControl {
		tenant, name := target(r)
		query := r.URL.Query()
		err := do(ctx, tenant, name, service.ProcessRef{Component: query.Get("component"), Process: query.Get("process")}, service.Pipe{In: sent, Sink: sock})
		if ctx.Err() != nil {
			err = errs.New(errs.Unavailable, "", "the platform is being restarted, which cut the connection", "Do it again.")
		}
		if err != nil {
			return apiclient.PipeControl{Error: problem(err)}
		}
		return apiclient.PipeControl{EOF: true}
	})
}
