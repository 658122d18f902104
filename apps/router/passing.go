package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// streamProtocol is what a connection between edges is changed to for one TCP stream.
const streamProtocol = "berth-stream"

// streamProto is the X-Forwarded-Proto of such a stream. A client's is never passed on, so
// none can ask for a stream under the name of an edge.
const streamProto = "tcp"

// switching is the answer after which the stream's bytes follow.
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + streamProtocol + "\r\n\r\n"

// isStream reports whether another edge passes a TCP stream on.
func isStream(r *http.Request, x *exchange) bool {
	return x.peer && r.Header.Get("X-Forwarded-Proto") == streamProto
}

// forStream asks the edge at an address for the app behind a host, on behalf of a client.
func (p *peers) forStream(host string, client netip.Addr) streamDialer {
	return func(ctx context.Context, address string) (halfCloser, error) {
		conn, err := p.dial(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline() // without one there is none
		_ = conn.SetDeadline(deadline)
		passed := &passed{Conn: conn.(*tls.Conn), answer: bufio.NewReaderSize(io.LimitReader(conn, maxHeaderBytes), quietBuffer)}
		if err := passed.ask(host, client); err != nil {
			_ = conn.Close()
			return nil, err
		}
		_ = conn.SetDeadline(time.Time{}) // a closed connection has none
		return passed, nil
	}
}

// passed is a stream's side towards another edge.
type passed struct {
	*tls.Conn

	// answer reads the other edge's answer, which has the limit of any headers.
	answer *bufio.Reader
}

// ask has the other edge connect to the app.
func (p *passed) ask(host string, client netip.Addr) error {
	_, err := fmt.Fprintf(p.Conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"+
		"X-Forwarded-Proto: %s\r\nX-Forwarded-For: %s\r\n\r\n", host, streamProtocol, streamProto, client)
	if err != nil {
		return err
	}
	res, err := http.ReadResponse(p.answer, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the edge of the app's host answers %s", res.Status)
	}
	return nil
}

// Read reads what came with the answer first.
func (p *passed) Read(b []byte) (int, error) {
	if p.answer.Buffered() > 0 {
		return p.answer.Read(b)
	}
	return p.Conn.Read(b)
}

// joinStream joins a stream that another edge passes on with its app.
func (e *Edge) joinStream(m *meter, r *http.Request, x *exchange) {
	upstream, endpoint, err := connect(r.Context(), x.target, dialStream)
	if err != nil {
		e.answer(problemNoConnection, m, r, x)
		return
	}
	x.app, x.endpoint = upstream, endpoint
	if _, _, err := m.Hijack(); err != nil {
		e.answer(problemNoConnection, m, r, x)
		return
	}
	m.status = http.StatusSwitchingProtocols
	// One that cannot be written to is noticed by whoever carries its bytes on.
	_, _ = io.WriteString(m.upgraded.Conn, switching)
}
