package apiclient

import (
	"cmp"
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
	"time"

	"github.com/gorilla/websocket"
)

const (
	// silence is how long the server of a pipe may say nothing; it pings three times as often.
	silence = 60 * time.Second
	// beatEvery is how often we say that we are there, unasked: while nobody takes what came,
	// the server's pings wait behind it.
	beatEvery = silence / 3
)

// ErrPipeLost says that a connection to a process broke before its last message.
var ErrPipeLost = errors.New("the connection to the process was lost")

// Pipe is a connection to a process: read what it sends, write what it gets.
type Pipe struct {
	conn    *websocket.Conn
	writing sync.Mutex
	stop    context.CancelFunc
}

// ProcessRef names a process of an app: by its own name, or by its component, of which any
// that is up will do. An empty one is left to the server.
type ProcessRef struct {
	Component, Process string
}

func (p ProcessRef) query() url.Values {
	query := url.Values{}
	for key, value := range map[string]string{"component": p.Component, "process": p.Process} {
		if value != "" {
			query.Set(key, value)
		}
	}
	return query
}

// Shell starts an interactive one-off process with a terminal of the given size. It ends
// with ctx.
func (c *Client) Shell(ctx context.Context, tenant, app string, in Run, cols, rows uint16) (*Pipe, error) {
	query := ProcessRef{Component: in.Component}.query()
	query["command"] = in.Command
	query.Set("cols", strconv.Itoa(int(cols)))
	query.Set("rows", strconv.Itoa(int(rows)))
	if in.OCUs > 0 {
		query.Set("ocus", strconv.Itoa(int(in.OCUs)))
	}
	return c.pipe(ctx, c.app(query, tenant, app, "shell"))
}

// Forward connects to a port of a process.
func (c *Client) Forward(ctx context.Context, tenant, app string, to ProcessRef, port int) (*Pipe, error) {
	query := to.query()
	query.Set("port", strconv.Itoa(port))
	return c.pipe(ctx, c.app(query, tenant, app, "forward"))
}

// Upload unpacks the tar archive that is written to the pipe in a folder of a process.
func (c *Client) Upload(ctx context.Context, tenant, app string, to ProcessRef, folder string) (*Pipe, error) {
	query := to.query()
	query.Set("folder", folder)
	return c.pipe(ctx, c.app(query, tenant, app, "upload"))
}

// Download packs a file or folder of a process into the tar archive that comes down the
// pipe. Its names are the path's last part and what lies below; a process may send others.
func (c *Client) Download(ctx context.Context, tenant, app string, from ProcessRef, path string) (*Pipe, error) {
	query := from.query()
	query.Set("path", path)
	return c.pipe(ctx, c.app(query, tenant, app, "download"))
}

// pipe opens a websocket. It ends with ctx.
func (c *Client) pipe(ctx context.Context, to target) (*Pipe, error) {
	if to.err != nil {
		return nil, to.err
	}
	header := http.Header{}
	c.header(header, "*/*")
	dialer := websocket.Dialer{NetDialContext: c.dial, TLSClientConfig: c.sockets, Proxy: proxy, HandshakeTimeout: silence}
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
	ctx, stop := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	p := &Pipe{conn: conn, stop: stop}
	conn.SetReadLimit(maxEvent)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		_ = p.alive()
		return answer(data)
	})
	if err := p.alive(); err != nil {
		_ = p.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	go p.beat(ctx, beatEvery)
	return p, nil
}

// beat tells the server that we are there, until ctx ends. It waits for a message that is
// being written for as long as that takes.
func (p *Pipe) beat(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if p.conn.WriteControl(websocket.PongMessage, nil, time.Time{}) != nil {
				return // reading tells why
			}
		}
	}
}

// alive waits for the next sign of life from now on.
func (p *Pipe) alive() error { return p.conn.SetReadDeadline(time.Now().Add(silence)) }

// Write sends bytes to the process.
func (p *Pipe) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite tells the process that nothing more comes.
func (p *Pipe) CloseWrite() error { return p.control(PipeControl{EOF: true}) }

// Resize tells the terminal's new size.
func (p *Pipe) Resize(cols, rows uint16) error { return p.control(PipeControl{Cols: cols, Rows: rows}) }

func (p *Pipe) control(c PipeControl) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.conn.WriteJSON(c)
}

// Close ends the connection, and a shell's process with it.
func (p *Pipe) Close() error {
	defer p.stop()
	return p.conn.Close()
}

// Next copies what comes to w until a control message does, and returns that.
func (p *Pipe) Next(w io.Writer) (PipeControl, error) {
	for {
		// What was read before may have taken longer to write than the server is silent.
		err := p.alive()
		kind, data := 0, []byte(nil)
		if err == nil {
			kind, data, err = p.conn.ReadMessage()
		}
		if err != nil {
			return PipeControl{}, fmt.Errorf("%w: %w", ErrPipeLost, err)
		}
		if kind == websocket.TextMessage {
			var ctl PipeControl
			if err := json.Unmarshal(data, &ctl); err != nil {
				return PipeControl{}, fmt.Errorf("reading the stream: %w", err)
			}
			return ctl, nil
		}
		if _, err := w.Write(data); err != nil {
			return PipeControl{}, err
		}
	}
}
