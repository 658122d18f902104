package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/portal/service"
)

const (
	// maxTyped bounds one message of a person's.
	maxTyped = 1 << 20
	// pingEvery keeps the connection alive; a peer silent for twice as long is gone. One that
	// gives signs of life takes what is sent to it as slowly as it likes.
	pingEvery = 20 * time.Second
)

// upgrader takes any origin: a token in a header is needed, and no browser sends that
// along by itself.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// notWebsocket refuses a request of another kind.
func notWebsocket(r *http.Request, command string) error {
	if websocket.IsWebSocketUpgrade(r) {
		return nil
	}
	return &statusError{status: http.StatusUpgradeRequired, message: "this address speaks websocket only", fix: "Use: " + command}
}

// socketed upgrades a request about an app and lets talk with the person. What talk gives
// is the last message.
func (a *API) socketed(
	w http.ResponseWriter, r *http.Request, command string, first service.TerminalSize,
	talk func(ctx context.Context, sock *socket, typed io.Reader, sizes <-chan service.TerminalSize) apiclient.PipeControl,
) error {
	if err := notWebsocket(r, command); err != nil {
		return err
	}
	// A refusal must have its status, so what can be seen beforehand is.
	tenant, name := target(r)
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
	sock := &socket{conn: conn, every: pingEvery}
	typed, sizes := sock.receive(ctx, cancel, first)
	if sock.control(talk(ctx, sock, typed, sizes)) != nil {
		return nil // a person who hung up needs no answer
	}
	// The person closes. Who closes first while more comes cuts off what was not taken yet.
	go func() { _, _ = io.Copy(io.Discard, typed) }()
	<-ctx.Done()
	return nil
}

// socket is the person's side of a connection to a process.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex
	// every is how often it is pinged.
	every time.Duration
	// heard is when the last sign of life came, in nanoseconds.
	heard atomic.Int64
}

// patience is how long a person may be silent.
func (s *socket) patience() time.Duration { return 2 * s.every }

// alive notes a sign of life, and gives what is being written more time.
func (s *socket) alive() {
	now := time.Now()
	s.heard.Store(now.UnixNano())
	_ = s.conn.NetConn().SetWriteDeadline(now.Add(s.patience())) // one that is closed needs none
}

// lives says whether a sign of life came lately.
func (s *socket) lives() bool { return time.Since(time.Unix(0, s.heard.Load())) < s.patience() }

// Started names the process.
func (s *socket) Started(process string) error {
	return s.control(apiclient.PipeControl{Process: process})
}

// Write sends the terminal's output.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.send(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *socket) control(c apiclient.PipeControl) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.send(websocket.TextMessage, raw)
}

func (s *socket) send(kind int, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.patience())); err != nil {
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
	listen := func() { _ = s.conn.SetReadDeadline(time.Now().Add(s.patience())) } // it cannot fail
	s.conn.SetPongHandler(func(string) error {
		s.alive()
		listen()
		return nil
	})
	go s.ping(ctx, cancel)
	go func() {
		defer cancel()
		defer typed.Close()
		for {
			// What was read before may have taken longer to pass on than a person is silent.
			listen()
			kind, data, err := s.conn.ReadMessage()
			if err != nil {
				return
			}
			s.alive()
			if kind == websocket.BinaryMessage {
				if _, err := typed.Write(data); err != nil {
					return
				}
				continue
			}
			var ctl apiclient.PipeControl
			if json.Unmarshal(data, &ctl) != nil {
				continue
			}
			if ctl.EOF {
				_ = typed.Close() // what comes after it is an error of the person's program
			}
			if ctl.Cols > 0 && ctl.Rows > 0 {
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

// ping keeps the connection alive, and cancels when the person is gone: while the process
// takes nothing, nobody reads, and only writing tells.
func (s *socket) ping(ctx context.Context, cancel context.CancelFunc) {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// It may have to wait for a message that is being written, so it has longer than one.
			err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(2*s.patience()))
			if err != nil && (!isTimeout(err) || !s.lives()) {
				cancel()
				return
			}
		}
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
