package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// attackFor is how long each attack goes on, longer than the edge waits for a header.
const attackFor = 15 * time.Second

// slowConnections is how many connections a slowloris holds.
const slowConnections = 400

// TestEdgeAttacked attacks the edge through one app's host while another is asked 200 times a
// second: none of its requests fails, and the log compares its p99 with that of a quiet time. Every
// attack must have ended as it should: connections cut, requests refused, nothing smuggled.
func TestEdgeAttacked(t *testing.T) {
	berth.tenant(t, "attacked", "small")
	berth.apply(t, "attacked", helloApp)
	berth.apply(t, "attacked", strings.Replace(helloApp, "app: hello", "app: bystander", 1))
	answers(t, "hello.attacked", "/version", 200, "1")
	answers(t, "bystander.attacked", "/version", 200, "1")
	a := &attacker{host: "hello.attacked." + berth.up.Domain, address: fmt.Sprintf("127.0.0.1:%d", berth.up.HTTPSPort)}

	for _, attack := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"none", func(ctx context.Context, _ *testing.T) { <-ctx.Done() }},
		{"slow headers", a.slowHeaders},
		{"slow bodies", a.slowBodies},
		{"header bombs", a.headerBombs},
		{"smuggling", a.smuggle},
		{"unknown server names", a.unknownNames},
	} {
		t.Run(attack.name, func(t *testing.T) {
			load := startReading(t, berth.url("bystander.attacked", "/version"), 200)
			ctx, stop := context.WithTimeout(t.Context(), attackFor)
			defer stop()
			attack.run(ctx, t)
			load.end(t)
		})
	}
	answers(t, "hello.attacked", "/version", 200, "1")
}

// attacker speaks to the edge below HTTP.
type attacker struct{ host, address string }

// dial makes a TLS connection for a server name. One that has begun is not cut by the end of
// the attack.
func (a *attacker) dial(ctx context.Context, name string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: berth.roots, ServerName: name, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	connection, err := dialer.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	secure, ok := connection.(*tls.Conn)
	if !ok {
		return nil, errors.New("no TLS connection")
	}
	return secure, nil
}

// slowHeaders holds connections with a header that never ends, a byte a second.
func (a *attacker) slowHeaders(ctx context.Context, t *testing.T) {
	t.Helper()
	a.hold(ctx, t, "GET /version HTTP/1.1\r\nHost: "+a.host+"\r\nX-Slow: ")
}

// slowBodies holds connections with a body that never ends: a slow upload is a right of
// clients, so these may live, and must only harm nobody.
func (a *attacker) slowBodies(ctx context.Context, t *testing.T) {
	t.Helper()
	var open sync.WaitGroup
	for range slowConnections {
		time.Sleep(5 * time.Millisecond) // our own handshakes, all at once, would be what is measured
		open.Go(func() {
			connection, err := a.dial(ctx, a.host)
			if err != nil {
				return // the end of the attack
			}
			defer connection.Close()
			_, _ = io.WriteString(connection, "POST /body HTTP/1.1\r\nHost: "+a.host+"\r\nContent-Length: 1000000\r\n\r\n")
			drip(ctx, connection)
		})
	}
	open.Wait()
}

// hold opens connections that begin so and drip on; the edge must cut every one.
func (a *attacker) hold(ctx context.Context, t *testing.T, beginning string) {
	t.Helper()
	var open sync.WaitGroup
	var closed atomic.Int64
	for range slowConnections {
		time.Sleep(5 * time.Millisecond) // our own handshakes, all at once, would be what is measured
		open.Go(func() {
			connection, err := a.dial(ctx, a.host)
			if err != nil {
				t.Error(err)
				return
			}
			defer connection.Close()
			_, _ = io.WriteString(connection, beginning)
			if drip(ctx, connection) {
				closed.Add(1)
			}
		})
	}
	open.Wait()
	if closed.Load() != slowConnections {
		t.Errorf("%d of %d connections were cut within %s", closed.Load(), slowConnections, attackFor)
	}
}

// drip sends a byte a second and says whether the other end closed the connection.
func drip(ctx context.Context, connection net.Conn) (closed bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, connection) // whatever is answered, the end counts
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		case <-tick.C:
			_, _ = io.WriteString(connection, "a") // a failure shows as the end
		}
	}
}

// headerBombs sends headers that are too large or too many, forty times a second.
func (a *attacker) headerBombs(ctx context.Context, t *testing.T) {
	t.Helper()
	bombs := []string{
		"X-Bomb: " + strings.Repeat("a", 1<<20) + "\r\n",
		strings.Repeat("X-Bomb: a\r\n", 100_000),
		"Cookie: " + strings.Repeat("a=b; ", 40_000) + "\r\n",
	}
	a.every(ctx, t, 25*time.Millisecond, func(n int) error {
		answer, err := a.raw(ctx, "GET /version HTTP/1.1\r\nHost: "+a.host+"\r\n"+bombs[n%len(bombs)]+"\r\n")
		if err != nil || answer == cut || answer == http.StatusRequestHeaderFieldsTooLarge || answer == http.StatusBadRequest {
			return err
		}
		return fmt.Errorf("bomb %d is answered with %d", n%len(bombs), answer)
	})
}

// smuggle sends requests whose length can be read in two ways. Each must be refused, and the
// second one hidden in it never be answered. A length beside chunks is not among them: the
// chunks count (RFC 9112, 6.3), and what follows is the client's own next request; what apps see
// of that is held by tests of the edge.
func (a *attacker) smuggle(ctx context.Context, t *testing.T) {
	t.Helper()
	hidden := "GET /exit?code=9 HTTP/1.1\r\nHost: " + a.host + "\r\n\r\n"
	head := "POST /body HTTP/1.1\r\nHost: " + a.host + "\r\n"
	pairs := []string{
		head + "Content-Length: 4\r\nContent-Length: 0\r\n\r\n" + hidden,
		head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		head + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		head + "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		head + "Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		head + "Content-Length: +0\r\n\r\n" + hidden,
		head + "X: y\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n" + hidden,
	}
	a.every(ctx, t, 50*time.Millisecond, func(n int) error {
		answer, err := a.raw(ctx, pairs[n%len(pairs)])
		if err != nil || answer == cut || answer == http.StatusBadRequest || answer == http.StatusNotImplemented {
			return err
		}
		return fmt.Errorf("pair %d is answered with %d", n%len(pairs), answer)
	})
	// The hidden request would have ended the process.
	if ps := berth.berth(t, "ps", "-t", "attacked", "-a", "hello", "--json"); !strings.Contains(ps, `"restarts": 0`) {
		t.Errorf("the app's process was restarted: a hidden request came through\n%s", ps)
	}
}

// cut stands for a status where the edge closed the connection without an answer.
const cut = 0

// raw sends bytes on a new connection and gives the status of the first answer.
func (a *attacker) raw(ctx context.Context, text string) (int, error) {
	connection, err := a.dial(ctx, a.host)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	go func() { _, _ = io.WriteString(connection, text) }() // the edge may answer before it has all
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return 0, errors.New("the edge neither answers nor closes the connection")
	case err != nil:
		return cut, nil
	}
	return response.StatusCode, response.Body.Close()
}

// unknownNames asks for handshakes for made-up names, fifty a second.
func (a *attacker) unknownNames(ctx context.Context, t *testing.T) {
	t.Helper()
	a.every(ctx, t, 20*time.Millisecond, func(n int) error {
		connection, err := a.dial(ctx, fmt.Sprintf("a%d.of-nobody.example", n))
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "remote error: tls: "):
			return nil // an alert, as it should be
		default:
			return err
		}
		return errors.Join(errors.New("a name of nobody's gets a handshake"), connection.Close())
	})
}

// every attacks at a rate until the time is over; the first attack that did not end as it
// should fails the scenario.
func (a *attacker) every(ctx context.Context, t *testing.T, pause time.Duration, attack func(n int) error) {
	t.Helper()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var attacks errgroup.Group
	attacks.SetLimit(50)
	n := 0
	for ; ctx.Err() == nil; n++ {
		this := n
		attacks.Go(func() error { return attack(this) })
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if err := attacks.Wait(); err != nil {
		t.Error(err)
	}
	if n < 50 {
		t.Errorf("only %d attacks were made", n)
	}
}
