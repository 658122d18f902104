package api

import (
	"context"
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
	tenant, name := target(r)
	if err := notWebsocket(r, command); err != nil {
		return err
	}
	// A refusal must have its status, so what can be seen beforehand is.
	if _, err := a.Service.App(r.Context(), tenant, name); err != nil {
		return err
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil // the upgrader has answered
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	sock := &socket{conn: conn}
	sent, _ := sock.receive(ctx, cancel, service.TerminalSize{})
	query := r.URL.Query()
	err = do(ctx, tenant, name, service.ProcessRef{Component: query.Get("component"), Process: query.Get("process")}, service.Pipe{In: sent, Sink: sock})
	if ctx.Err() != nil {
		err = errs.New(errs.Unavailable, "", "the platform is being restarted, which cut the connection", "Do it again.")
	}
	end := apiclient.PipeControl{EOF: true}
	if err != nil {
		end = apiclient.PipeControl{Error: problem(err)}
	}
	_ = sock.control(end) // a person who hung up needs no answer
	return nil
}
