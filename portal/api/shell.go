package api

import (
	"context"
	"io"
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
	var dims [3]int64
	for i, key := range []string{"cols", "rows", "ocus"} {
		n, err := number(r, key, 0)
		if err != nil {
			return err
		}
		dims[i] = min(n, 1000)
	}
	run := service.Run{
		Command: r.URL.Query()["command"], Component: r.URL.Query().Get("component"), OCUs: int32(dims[2]), // at most 1000
	}
	first := service.TerminalSize{Cols: uint16(dims[0]), Rows: uint16(dims[1])} // at most 1000
	return a.socketed(w, r, "berth shell", first, func(ctx context.Context, sock *socket, typed io.Reader, sizes <-chan service.TerminalSize) apiclient.PipeControl {
		tenant, name := target(r)
		code, err := a.Service.Shell(ctx, tenant, name, run, service.Terminal{In: typed, Sink: sock, Sizes: sizes})
		if err != nil {
			return apiclient.PipeControl{Error: problem(err)}
		}
		return apiclient.PipeControl{ExitCode: &code}
	})
}
