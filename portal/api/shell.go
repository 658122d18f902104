package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

const (
	// maxTyped bounds one message of a person's.
	maxTyped = 1 << 20
	// pingEvery keeps the connection alive; a peer silent for twice as long is gone.
	pingEvery = 20 * time.Second
	writeWait = 10 * time.Second
)

// upgrader takes any origin: a token in a header is needed, and no browser sends that
// along by itself.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (a *API) shellRoutes(r chi.Router) {
	r.Get(appPath+"/shell", a.stream(VerbWrite, a.shell))
}

// shell joins a websocket to an interactive one-off process. Binary messages are the
// terminal's bytes, text messages control.
func (a *API) shell(w http.ResponseWriter, r *http.Request, _ Principal) error {
	tenant, name := target(r)
	if !websocket.IsWebSocketUpgrade(r) {
		return &statusError{status: http.StatusUpgradeRequired, message: "this address speaks websocket only", fix: "Use: berth shell"}
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
	end := apiclient.ShellControl{ExitCode: &code}
	if err != nil {
		end = apiclient.ShellControl{Error: problem(err)}
	}
	_ = sock.control(end) // a person who hung up needs no answer
	return nil
}

// socket is the person's side of a shell.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex
}

// Started names the process.
func (s *socket) Started(process string) error {
	return s.control(apiclient.ShellControl{Process: process})
}

// Write sends the terminal's output.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.send(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *socket) control(c apiclient.ShellControl) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.send(websocket.TextMessage, raw)
}

func (s *socket) send(kind int, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	return s.conn.WriteMessage(kind, p)
}

// receive splits what comes into typed bytes and sizes, and cancels when the person
// hangs up.
func (s *socket) receive(ctx context.Context, cancel context.CancelFunc, first service.TerminalSize) (io.Reader, <-chan service.TerminalSize) {
	in, typed := io.Pipe()
	sizes := make(chan service.TerminalSize, 8)
	if first.Cols > 0 && first.Rows > 0 {
		sizes <- first
	}
	s.conn.SetReadLimit(maxTyped)
	alive := func(string) error { return s.conn.SetReadDeadline(time.Now().Add(2 * pingEvery)) }
	_ = alive("") // a deadline on an open connection cannot fail
	s.conn.SetPongHandler(alive)
	go s.ping(ctx)
	go func() {
		defer cancel()
		defer typed.Close()
		for {
			kind, data, err := s.conn.ReadMessage()
			if err != nil {
				return
			}
			_ = alive("")
			if kind == websocket.BinaryMessage {
				if _, err := typed.Write(data); err != nil {
					return
				}
				continue
			}
			var ctl apiclient.ShellControl
			if json.Unmarshal(data, &ctl) == nil && ctl.Cols > 0 && ctl.Rows > 0 {
				select {
				case sizes <- service.TerminalSize{Cols: ctl.Cols, Rows: ctl.Rows}:
				default: // several sizes wait already; the person will send another
				}
			}
		}
	}()
	go func() {
		<-ctx.Done()
		_ = in.Close()
	}()
	return in, sizes
}

func (s *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)) != nil {
				return
			}
		}
	}
}
