package router

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Sizes of the buffers of streams. Most are silent most of the time, so each holds two
// quiet buffers for as long as it is open, and a loud one only while there is much to copy.
const (
	quietBuffer = 2 << 10
	loudBuffer  = 32 << 10
)

var loudBuffers = sync.Pool{New: func() any { return new([loudBuffer]byte) }}

// halfCloser is one side of a stream, whose sending can end by itself.
type halfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// over is a side of a stream that has ended. Caddy's proxy is given two of them when a
// connection changes its protocol. It would keep the request, a goroutine as deep as its
// handlers and large buffers for as long as the stream is open, which is most of what an
// idle WebSocket costs.
type over struct{ net.Conn }

// Read is at the end.
func (over) Read([]byte) (int, error) { return 0, io.EOF }

// Write says that it did.
func (over) Write(p []byte) (int, error) { return len(p), nil }

// CloseWrite and Close have nothing to do.
func (over) CloseWrite() error { return nil }
func (over) Close() error      { return nil }

// takeOver keeps the app's side of a connection that changes its protocol for ourselves.
func (x *exchange) takeOver(res *http.Response) error {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	app, ok := res.Body.(halfCloser)
	if !ok {
		return errors.Join(errors.New("the app's connection cannot be written to"), res.Body.Close())
	}
	x.app, res.Body = app, over{}
	return nil
}

// carry passes the bytes of a connection that changed its protocol on until both sides
// have ended. It returns at once; nothing of the request is kept.
func (e *Edge) carry(r *http.Request, x *exchange, m *meter) {
	client, app, endpoint, started := m.upgraded, x.app, x.endpoint, x.started
	line, noted := e.line(r, x, m, x.target)
	line.Shorten()
	released := r.Context().Done()
	go func() {
		// Until its handlers have returned, the server may set deadlines.
		<-released
		_ = client.SetDeadline(time.Time{}) // a closed connection has none
		if client.forward(app) == nil {
			_ = join(client, app) // an end is an end, whoever broke off
		}
		_ = app.Close()
		_ = client.Close()
		if endpoint != nil {
			endpoint.Release()
		}
		if noted {
			line.Bytes, line.DurationMS = client.sent(), milliseconds(now().Sub(started))
			e.config.Access.Note(line)
		}
		e.streams.remove(client)
	}()
}

// join copies both ways until both have ended. An end in one direction is passed on
// as such: a client that has sent its last byte still gets the rest of the answer.
func join(a, b halfCloser) error {
	pass := func(to, from halfCloser) error {
		err := transfer(to, from)
		if err == nil {
			err = to.CloseWrite()
		}
		if err != nil {
			// Broken one way is broken both ways: end the other copy too.
			_ = a.Close()
			_ = b.Close()
		}
		return err
	}
	there := make(chan error, 1)
	go func() { there <- pass(a, b) }()
	back := pass(b, a)
	return errors.Join(<-there, back)
}

// transfer copies until the end.
func transfer(to io.Writer, from io.Reader) error {
	buffer := make([]byte, quietBuffer)
	for {
		n, err := step(to, from, buffer)
		if err == nil && n == len(buffer) {
			err = transferMuch(to, from)
		}
		if err != nil {
			return ended(err)
		}
	}
}

// transferMuch copies until less comes at once than there is room for.
func transferMuch(to io.Writer, from io.Reader) error {
	buffer := loudBuffers.Get().(*[loudBuffer]byte)
	defer loudBuffers.Put(buffer)
	for {
		if n, err := step(to, from, buffer[:]); err != nil || n < len(buffer) {
			return err
		}
	}
}

// step passes on what one read gives. The end is an error to it.
func step(to io.Writer, from io.Reader, buffer []byte) (int, error) {
	n, err := from.Read(buffer)
	if n > 0 {
		if _, failed := to.Write(buffer[:n]); failed != nil {
			return n, failed
		}
	}
	return n, err
}

// ended is what an error means for a whole transfer: its end is none.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
