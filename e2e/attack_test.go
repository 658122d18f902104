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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// attackFor is how long each attack goes on, longer than the edge waits for a header, and
// quietFor how long the neighbour is measured before and after it.
const (
	attackFor = 15 * time.Second
	quietFor  = 10 * time.Second
)

// slowConnections is how many connections a slowloris holds.
const slowConnections = 400

// A neighbour's p99 may be slowerAtMost times what it was before the attack: attacker, edge
// and apps share the processors here. Below unnoticed it may be anything: on a busy machine
// that much comes and goes by itself.
const (
	slowerAtMost = 5
	unnoticed    = time.Second
)

// TestEdgeAttacked attacks the edge through one app's host while another is asked 200 times a
// second: none of its requests fails, and they take about as long as before, during the attack
// and after it. Every attack must have ended as it should: connections cut, requests refused,
// nothing smuggled.
func TestEdgeAttacked(t *testing.T) {
	berth.tenant(t, "attacked", "small")
	berth.apply(t, "attacked", helloApp)
	berth.apply(t, "attacked", strings.Replace(helloApp, "app: hello", "app: bystander", 1))
	answers(t, "hello.attacked", "/version", 200, "1")
	answers(t, "bystander.attacked", "/version", 200, "1")
	a := &attacker{host: "hello.attacked." + berth.up.Domain, address: fmt.Sprintf("127.0.0.1:%d", berth.up.HTTPSPort)}
	before := bystander(t, quietFor, quiet)

	for _, attack := range []struct {
		name string
		run  func(context.Context, *testing.T)
	}{
		{"slow headers", a.slowHeaders},
		{"slow bodies", a.slowBodies},
		{"header bombs", a.headerBombs},
		{"smuggling", a.smuggle},
		{"unknown server names", a.unknownNames},
	} {
		t.Run(attack.name, func(t *testing.T) {
			during := bystander(t, attackFor, attack.run)
			after := bystander(t, quietFor, quiet)
			unchanged(t, before.quick, during.quick, after.quick)
			unchanged(t, before.fresh, during.fresh, after.fresh)
			before = after
		})
	}
	answers(t, "hello.attacked", "/version", 200, "1")
}

// bystander is the load on the neighbour while something goes on for so long.
func bystander(t *testing.T, length time.Duration, meanwhile func(context.Context, *testing.T)) *load {
	t.Helper()
	l := startReading(t, berth.url("bystander.attacked", "/version"), 200)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	meanwhile(ctx, t)
	l.end(t)
	return l
}

// quiet is no attack.
func quiet(ctx context.Context, _ *testing.T) { <-ctx.Done() }

// unchanged fails when one kind of the neighbour's requests became noticeably slower during an
// attack, or stayed so after it.
func unchanged(t *testing.T, before, during, after *traffic) {
	t.Helper()
	const quantile = 0.99
	limit := max(slowerAtMost*before.at(quantile), unnoticed)
	t.Logf("%s: p99 %s before, %s during, %s after; %s is too slow", before.kind, before.at(quantile), during.at(quantile), after.at(quantile), limit)
	if during.at(quantile) > limit || after.at(quantile) > limit {
		t.Errorf("%s: the neighbour became slower: p99 %s before, %s during the attack and %s after it",
			before.kind, before.at(quantile), during.at(quantile), after.at(quantile))
	}
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

// slowBodies holds connections with a body that never ends: a slow upload is a right of
// clients, so these live, and must only harm nobody.
func (a *attacker) slowBodies(ctx context.Context, t *testing.T) {
	t.Helper()
	opened, closed := a.hold(ctx, t, "POST /body HTTP/1.1\r\nHost: "+a.host+"\r\nContent-Length: 1000000\r\n\r\n")
	if opened != slowConnections || closed != 0 {
		t.Errorf("%d of %d connections were opened, and %d of them cut within %s", opened, slowConnections, closed, attackFor)
	}
}

// slowHeaders holds connections with a header that never ends, a byte a second; the edge must
// cut every one.
func (a *attacker) slowHeaders(ctx context.Context, t *testing.T) {
	t.Helper()
	opened, closed := a.hold(ctx, t, "GET /version HTTP/1.1\r\nHost: "+a.host+"\r\nX-Slow: ")
	if opened != slowConnections || closed != slowConnections {
		t.Errorf("%d of %d connections were opened, and %d of them cut within %s", opened, slowConnections, closed, attackFor)
	}
}

// hold opens connections that begin so and drip on, and says how many it opened and how many
// of them the edge cut.
func (a *attacker) hold(ctx context.Context, t *testing.T, beginning string) (opened, closed int64) {
	t.Helper()
	var running sync.WaitGroup
	var open, cut atomic.Int64
	for range slowConnections {
		time.Sleep(5 * time.Millisecond) // our own handshakes, all at once, would be what is measured
		running.Go(func() {
			connection, err := a.dial(ctx, a.host)
			if err != nil {
				t.Error(err)
				return
			}
			defer connection.Close()
			if _, err := io.WriteString(connection, beginning); err != nil {
				t.Error(err)
				return
			}
			open.Add(1)
			if drip(ctx, connection) {
				cut.Add(1)
			}
		})
	}
	running.Wait()
	return open.Load(), cut.Load()
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
		answers, err := a.raw(ctx, "GET /version HTTP/1.1\r\nHost: "+a.host+"\r\n"+bombs[n%len(bombs)]+"\r\n")
		if err != nil || refused(answers, http.StatusRequestHeaderFieldsTooLarge, http.StatusBadRequest) {
			return err
		}
		return fmt.Errorf("bomb %d is answered with %v", n%len(bombs), answers)
	})
}

// pair is a request whose length can be read in two ways, with another one hidden in it.
type pair struct{ name, bytes string }

// smuggle sends pairs. Each must be refused, or served alone: after one whose chunks count
// and whose length does not, the edge must read nothing (RFC 9112, 6.1).
func (a *attacker) smuggle(ctx context.Context, t *testing.T) {
	t.Helper()
	hidden := "GET /exit?code=9 HTTP/1.1\r\nHost: " + a.host + "\r\n\r\n"
	served, denied := a.servedPairs(hidden), a.deniedPairs(hidden)
	pairs := slices.Concat(served, denied)
	a.every(ctx, t, 50*time.Millisecond, func(n int) error {
		n %= len(pairs)
		answers, err := a.raw(ctx, pairs[n].bytes)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", pairs[n].name, err)
		case n < len(served) && slices.Equal(answers, []int{http.StatusOK}):
			return nil
		case n >= len(served) && refused(answers, http.StatusBadRequest, http.StatusNotImplemented):
			return nil
		}
		return fmt.Errorf("%s: the answers are %v", pairs[n].name, answers)
	})
	// The hidden request would have ended the process.
	if ps := berth.berth(t, "ps", "-t", "attacked", "-a", "hello", "--json"); !strings.Contains(ps, `"restarts": 0`) {
		t.Errorf("the app's process was restarted: a hidden request came through\n%s", ps)
	}
}

// servedPairs are those whose chunks say where they end. CL.TE hides a request from who reads
// the length, TE.CL from who reads the chunks.
func (a *attacker) servedPairs(hidden string) []pair {
	const chunked, end = "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"
	host := "Host: " + a.host + "\r\n"
	head := "POST /body HTTP/1.1\r\n" + host
	beyond := fmt.Sprintf("Content-Length: %d\r\n", len(end+hidden))
	size := fmt.Sprintf("%x\r\n", len(hidden))
	within := fmt.Sprintf("Content-Length: %d\r\n", len(size))
	return []pair{
		{"CL.TE", head + beyond + chunked + "\r\n" + end + hidden},
		{"CL.TE, the chunks first", head + chunked + beyond + "\r\n" + end + hidden},
		{"CL.TE on a connection to keep", head + "Connection: keep-alive\r\n" + beyond + chunked + "\r\n" + end + hidden},
		{"CL.TE, the chunks on a second line", head + beyond + "Transfer-Encoding:\r\n chunked\r\n\r\n" + end + hidden},
		{"CL.TE for the server itself", "OPTIONS * HTTP/1.1\r\n" + host + beyond + chunked + "\r\n" + end + hidden},
		{"TE.CL", head + chunked + within + "\r\n" + size + hidden + "\r\n" + end},
		{"TE.CL, and more after the chunks", head + within + chunked + "\r\n" + size + hidden + "\r\n" + end + hidden},
		{"both in HTTP/1.0", "POST /body HTTP/1.0\r\nConnection: keep-alive\r\n" + host + within + chunked + "\r\n" + size + hidden + "\r\n" + end},
	}
}

// deniedPairs are those that do not say where they end. TE.TE names the chunks in a way that
// some do not see.
func (a *attacker) deniedPairs(hidden string) []pair {
	head := "POST /body HTTP/1.1\r\nHost: " + a.host + "\r\n"
	const none, chunked = "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"
	return []pair{
		{"two lengths", head + "Content-Length: 4\r\n" + none + "\r\n" + hidden},
		{"a length with a sign", head + "Content-Length: +0\r\n\r\n" + hidden},
		{"a bare line feed before two lengths", head + "X: y\n" + none + "Content-Length: 1\r\n\r\n" + hidden},
		{"TE.TE, two encodings", head + chunked + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden},
		{"TE.TE, chunks twice", head + chunked + chunked + none + "\r\n0\r\n\r\n" + hidden},
		{"TE.TE, an unknown one", head + "Transfer-Encoding: xchunked\r\n" + none + "\r\n" + hidden},
		{"TE.TE, within another", head + "Transfer-Encoding: chunked, identity\r\n" + none + "\r\n" + hidden},
		{"TE.TE, a blank before the colon", head + "Transfer-Encoding : chunked\r\n" + none + "\r\n" + hidden},
		{"TE.TE, a vertical tab", head + "Transfer-Encoding:\x0bchunked\r\n" + none + "\r\n" + hidden},
	}
}

// refused reports whether a request was answered with one of these alone, or not at all.
func refused(answers []int, with ...int) bool {
	return len(answers) == 0 || len(answers) == 1 && slices.Contains(with, answers[0])
}

// patient is how long the edge has for answers that it gives at once.
const patient = 20 * time.Second

// raw sends bytes on a new connection and gives the statuses of all answers until the edge
// ends it.
func (a *attacker) raw(ctx context.Context, text string) ([]int, error) {
	connection, err := a.dial(ctx, a.host)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(patient)); err != nil {
		return nil, err
	}
	go func() { _, _ = io.WriteString(connection, text) }() // the edge may answer before it has all
	var answers []int
	for reader := bufio.NewReader(connection); ; {
		response, err := http.ReadResponse(reader, nil)
		if err == nil {
			answers = append(answers, response.StatusCode)
			_, err = io.Copy(io.Discard, response.Body)
		}
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			return answers, fmt.Errorf("after the answers %v the edge keeps the connection", answers)
		case err != nil:
			return answers, nil
		}
	}
}

// unknownNames asks for handshakes for made-up names, fifty a second.
func (a *attacker) unknownNames(ctx context.Context, t *testing.T) {
	t.Helper()
	a.every(ctx, t, 20*time.Millisecond, func(n int) error {
		connection, err := a.dial(ctx, fmt.Sprintf("a%d.of-nobody.example", n))
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "remote error: tls: unrecognized name"):
			return nil // the alert for it, as it should be
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
