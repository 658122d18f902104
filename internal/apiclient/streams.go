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
	return ndjson(ctx, c, http.MethodGet, c.app(opts.query(), tenant, app, "logs"), nil, each)
}

func (o LogOptions) query() url.Values {
	query := url.Values{}
	if o.Follow {
		query.Set("follow", "1")
	}
	if o.Component != "" {
		query.Set("component", o.Component)
	}
	if o.Tail >= 0 {
		query.Set("tail", strconv.Itoa(o.Tail))
	}
	return query
}

// Run runs a one-off process and calls each message of it.
func (c *Client) Run(ctx context.Context, tenant, app string, in Run, each func(RunEvent) error) error {
	return ndjson(ctx, c, http.MethodPost, c.app(nil, tenant, app, "run"), in, each)
}

// ndjson reads a stream of documents, one a line. Empty lines keep the connection alive.
func ndjson[T any](ctx context.Context, c *Client, method string, to target, body any, each func(T) error) error {
	resp, err := c.send(ctx, method, to, "application/x-ndjson", body)
	if err != nil {
		return err
	}
	return documents(ctx, c, resp.Body, "", each)
}

// documents reads the documents of a stream: what follows the prefix on each line that
// begins with it.
func documents[T any](ctx context.Context, c *Client, stream io.ReadCloser, prefix string, each func(T) error) error {
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte(prefix))
		if !ok || len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(data, &v); err != nil {
			if !lines.Scan() { // the last line of a connection that was cut
				return errors.Join(ErrStreamEnded, ctx.Err())
			}
			return fmt.Errorf("reading the stream: %w", err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
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

// errDone ends a stream after its last message.
var errDone = errors.New("done")

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
	resp, err := c.send(ctx, http.MethodGet, c.app(query, tenant, app, "releases", which, "watch"), "text/event-stream", nil)
	if err != nil {
		return err
	}
	err = documents(ctx, c, resp.Body, "data: ", func(ev ReleaseEvent) error {
		if err := each(ev); err != nil {
			return err
		}
		if ev.Done {
			return errDone
		}
		return nil
	})
	switch {
	case err == nil:
		return ErrStreamEnded
	case errors.Is(err, errDone):
		return nil
	}
	return err
}
