package apiclient

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// silence is how long the server of a shell may say nothing; it pings three times as often.
const silence = 60 * time.Second

// Shell is an interactive process: read its terminal's output, write its input.
type Shell struct {
	conn    *websocket.Conn
	writing sync.Mutex
	stop    func() bool
}

// Shell starts an interactive one-off process with a terminal of the given size. It ends
// with ctx.
func (c *Client) Shell(ctx context.Context, tenant, app string, in Run, cols, rows uint16) (*Shell, error) {
	query := url.Values{"command": in.Command}
	query.Set("cols", strconv.Itoa(int(cols)))
	query.Set("rows", strconv.Itoa(int(rows)))
	if in.Component != "" {
		query.Set("component", in.Component)
	}
	if in.OCUs > 0 {
		query.Set("ocus", strconv.Itoa(int(in.OCUs)))
	}
	to := c.app(query, tenant, app, "shell")
	if to.err != nil {
		return nil, to.err
	}
	header := http.Header{}
	c.header(header, "*/*")
	dialer := websocket.Dialer{NetDialContext: c.dial, TLSClientConfig: c.tls, Proxy: proxy, HandshakeTimeout: silence}
	conn, resp, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(to.url, "http"), header)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if resp != nil && resp.StatusCode >= 400 {
			defer resp.Body.Close()
			return nil, problemOf(resp)
		}
		return nil, &UnreachableError{URL: c.URL(), Err: err}
	}
	s := &Shell{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	conn.SetReadLimit(maxEvent)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		_ = s.alive()
		return answer(data)
	})
	if err := s.alive(); err != nil {
		_ = s.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
}

// alive waits for the next sign of life from now on.
func (s *Shell) alive() error { return s.conn.SetReadDeadline(time.Now().Add(silence)) }

// Write sends what was typed.
func (s *Shell) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Resize tells the terminal's new size.
func (s *Shell) Resize(cols, rows uint16) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.conn.WriteJSON(ShellControl{Cols: cols, Rows: rows})
}

// Close ends the process.
func (s *Shell) Close() error {
	s.stop()
	return s.conn.Close()
}

// Next copies output to w until a control message comes, and returns that.
func (s *Shell) Next(w io.Writer) (ShellControl, error) {
	for {
		kind, data, err := s.conn.ReadMessage()
		if err == nil {
			err = s.alive()
		}
		if err != nil {
			return ShellControl{}, fmt.Errorf("the connection to the process was lost: %w", err)
		}
		if kind == websocket.TextMessage {
			var ctl ShellControl
			if err := json.Unmarshal(data, &ctl); err != nil {
				return ShellControl{}, fmt.Errorf("reading the stream: %w", err)
			}
			return ctl, nil
		}
		if _, err := w.Write(data); err != nil {
			return ShellControl{}, err
		}
	}
}
