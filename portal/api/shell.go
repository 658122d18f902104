package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

func (a *API) shellRoutes(r chi.Router) {
	r.Get(appPath+"/shell", a.stream(VerbWrite, a.shell))
}

// shell joins a websocket to an interactive one-off process. Binary messages are the
// terminal's bytes, text messages control.
func (a *API) shell(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	if err := notWebsocket(r, "berth shell"); err != nil {
		return err
	}
	var dims [3]int64
	for i, key := range []string{"cols", "rows", "ocus"} {
		n, err := number(r, key, 0)
		if err != nil {
			return err
		}
		dims[i] = min(n, 1000)
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
	typed, sizes := sock.receive(ctx, cancel, service.TerminalSize{Cols: uint16(dims[0]), Rows: uint16(dims[1])}) // at most 1000
	code, err := a.Service.Shell(ctx, tenant, name, service.Run{
		Command: r.URL.Query()["command"], Component: r.URL.Query().Get("component"), OCUs: int32(dims[2]), // at most 1000
	}, service.Terminal{In: typed, Sink: sock, Sizes: sizes})
	end := apiclient.PipeControl{ExitCode: &code}
	if err != nil {
		end = apiclient.PipeControl{Error: problem(err)}
	}
	_ = sock.control(end) // a person who hung up needs no answer
	return nil
}
