package apiclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// maxEvent bounds one message of a stream.
const maxEvent = 4 << 20

// LogOptions choose what to read of an app's output.
type LogOptions struct {
	Follow    bool
	Component string
	// Tail is how many lines of the past; negative means the server's own choice.
	Tail int
}

// Logs calls each line of an app's output until it ends or each fails.
func (c *Client) Logs(ctx context.Context, tenant, app string, opts LogOptions, each func(LogLine) error) error {
	query := url.Values{}
	if opts.Follow {
		query.Set("follow", "1")
	}
	if opts.Component != "" {
		query.Set("component", opts.Component)
	}
	if opts.Tail >= 0 {
		query.Set("tail", strconv.Itoa(opts.Tail))
	}
	return ndjson(ctx, c, http.MethodGet, c.app(query, tenant, app, "logs"), nil, each)
}

// Run runs a one-off process and calls each message of it.
func (c *Client) Run(ctx context.Context, tenant, app string, in Run, each func(RunEvent) error) error {
	return ndjson(ctx, c, http.MethodPost, c.app(nil, tenant, app, "run"), in, each)
}

// ndjson reads a stream of documents, one a line. Empty lines keep the connection alive.
func ndjson[T any](ctx context.Context, c *Client, method, target string, body any, each func(T) error) error {
	resp, err := c.send(ctx, method, target, "application/x-ndjson", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
	return c.streamEnd(ctx, lines.Err())
}

func (c *Client) streamEnd(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return &UnreachableError{URL: c.URL(), Err: err}
	}
}

// ErrStreamEnded says that a stream ended before its last message: ask again.
var ErrStreamEnded = errors.New("the stream ended early")

// WatchRelease follows a release until it is live or failed. Version 0 means the
// newest one, once the server has acted on the app's given generation.
func (c *Client) WatchRelease(ctx context.Context, tenant, app string, version, generation int64, each func(ReleaseEvent) error) error {
	which, query := "latest", url.Values{}
	if version > 0 {
		which = strconv.FormatInt(version, 10)
	}
	if generation > 0 {
		query.Set("generation", strconv.FormatInt(generation, 10))
	}
	target := c.app(query, tenant, app, "releases", which, "watch")
	resp, err := c.send(ctx, http.MethodGet, target, "text/event-stream", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var ev ReleaseEvent
		if err := json.Unmarshal([]byte(data), &ev); err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		if err := each(ev); err != nil {
			return err
		}
		if ev.Done {
			return nil
		}
	}
	if err := c.streamEnd(ctx, lines.Err()); err != nil {
		return err
	}
	return ErrStreamEnded
}

// Shell is an interactive process: read its terminal's output, write its input.
type Shell struct {
	conn    *websocket.Conn
	writing sync.Mutex
}

// Shell starts an interactive one-off process with a terminal of the given size.
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
	target := "ws" + strings.TrimPrefix(c.app(query, tenant, app, "shell"), "http")
	header := http.Header{}
	c.header(header, "*/*")
	dialer := websocket.Dialer{NetDialContext: c.dial, TLSClientConfig: c.tls, Proxy: http.ProxyFromEnvironment}
	conn, resp, err := dialer.DialContext(ctx, target, header)
	if err != nil {
		if resp != nil && resp.StatusCode >= 400 {
			defer resp.Body.Close()
			return nil, problemOf(resp)
		}
		return nil, &UnreachableError{URL: c.URL(), Err: err}
	}
	conn.SetReadLimit(maxEvent)
	return &Shell{conn: conn}, nil
}

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
func (s *Shell) Close() error { return s.conn.Close() }

// Next copies output to w until a control message comes, and returns that.
func (s *Shell) Next(w io.Writer) (ShellControl, error) {
	for {
		kind, data, err := s.conn.ReadMessage()
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
