package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// How many streams are open in TestStreams.
const (
	sockets = 40
	feeds   = 10
)

// longestSilence is how long a stream may say nothing: its app speaks ten times a second.
const longestSilence = 5 * time.Second

const streamsApp = `app: talk
components:
  web:
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
  side:
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
`

// TestStreams holds websockets and server-sent events open through everything that happens
// around them: a rollout of another component, routes that come and change, settings of the
// edge, another app's deletion. None is cut and none falls silent. When the process they talk
// to is replaced they end with it, and not before it ends them.
func TestStreams(t *testing.T) {
	berth.tenant(t, "streams", "small")
	berth.apply(t, "streams", streamsApp)
	answers(t, "talk.streams", "/version", 200, "1")
	in := []string{"-t", "streams", "-a", "talk"}
	open := openStreams(t, "talk.streams")

	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a rollout of another component", func() {
			berth.berth(t, append([]string{"deploy", "side=" + testImage("2")}, in...)...)
			answers(t, "side--talk.streams", "/version", 200, "2")
		}},
		{"a changed route", func() {
			berth.berth(t, append([]string{"limits:set", "--max-body", "5"}, in...)...)
		}},
		{"routes that come and go", func() {
			berth.apply(t, "streams", strings.Replace(helloApp, "app: hello", "app: other", 1))
			answers(t, "other.streams", "/", 200, "hello")
			berth.berth(t, "apps:delete", "other", "-t", "streams", "--confirm", "other")
		}},
		{"another component that scales", func() {
			berth.berth(t, append([]string{"ps:scale", "side=3"}, in...)...)
			berth.berth(t, append([]string{"ps:scale", "side=0"}, in...)...)
		}},
	} {
		before := open.heard()
		step.do()
		open.fine(t, step.what, before)
	}

	// A new configuration replaces the process. Streams end when the old process does, which
	// is after the new one answers.
	berth.berth(t, append([]string{"config:set", "MOOD=new"}, in...)...)
	answers(t, "talk.streams", "/env?name=MOOD", 200, "new")
	open.close()
	again := openStreams(t, "talk.streams")
	again.fine(t, "streams to the new process", 0)
	again.close()
}

// streams are the open websockets and server-sent events of a scenario.
type streams struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	total  int
	broken []string
	// longest silence of any stream since it was last asked for.
	silence time.Duration
}

func openStreams(t *testing.T, host string) *streams {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &streams{cancel: cancel}
	t.Cleanup(s.close)
	transport, ok := berth.http.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the scenarios' client has a %T", berth.http.Transport)
	}
	dialer := &websocket.Dialer{
		HandshakeTimeout: 10 * time.Second,
		TLSClientConfig:  &tls.Config{RootCAs: berth.roots, MinVersion: tls.VersionTLS12},
		NetDialContext:   transport.DialContext,
	}
	for n := range sockets {
		address := strings.Replace(berth.url(host, "/ws"), "https:", "wss:", 1)
		socket, response, err := dialer.DialContext(ctx, address, nil)
		if err != nil {
			t.Fatalf("websocket %d: %v", n, err)
		}
		_ = response.Body.Close()
		s.running.Go(func() { s.talk(ctx, n, socket) })
	}
	endless := &http.Client{Transport: transport.Clone()}
	for n := range feeds {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, berth.url(host, "/events"), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := endless.Do(request)
		if err != nil {
			t.Fatalf("events %d: %v", n, err)
		}
		s.running.Go(func() { s.listen(ctx, n, response) })
	}
	return s
}

// talk says a number ten times a second and wants to hear it back.
func (s *streams) talk(ctx context.Context, n int, socket *websocket.Conn) {
	defer socket.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for count := 0; ; count++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		said, start := fmt.Sprint(count), time.Now()
		_ = socket.SetReadDeadline(start.Add(30 * time.Second)) // fails only where reading does
		err := socket.WriteMessage(websocket.TextMessage, []byte(said))
		var heard []byte
		if err == nil {
			_, heard, err = socket.ReadMessage()
		}
		if err == nil && !strings.HasSuffix(string(heard), " "+said) {
			err = fmt.Errorf("said %s, heard %s", said, heard)
		}
		if !s.note(ctx, fmt.Sprintf("websocket %d", n), time.Since(start), err) {
			return
		}
	}
}

// listen reads events, which come ten times a second.
func (s *streams) listen(ctx context.Context, n int, response *http.Response) {
	defer response.Body.Close()
	scanner, last := bufio.NewScanner(response.Body), time.Now()
	for scanner.Scan() {
		if scanner.Text() == "" {
			continue
		}
		if !s.note(ctx, fmt.Sprintf("events %d", n), time.Since(last), nil) {
			return
		}
		last = time.Now()
	}
	err := scanner.Err()
	if err == nil {
		err = net.ErrClosed
	}
	s.note(ctx, fmt.Sprintf("events %d", n), time.Since(last), err)
}

// note keeps what a stream saw, and says whether it goes on.
func (s *streams) note(ctx context.Context, who string, silence time.Duration, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		s.broken = append(s.broken, fmt.Sprintf("%s at %s: %v", who, time.Now().Format("15:04:05.000"), err))
		return false
	}
	s.total++
	s.silence = max(s.silence, silence)
	return true
}

func (s *streams) heard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// fine fails the scenario if a stream was cut or silent, and waits until all have spoken
// again since.
func (s *streams) fine(t *testing.T, what string, before int) {
	t.Helper()
	eventually(t, 30*time.Second, "the streams speak after "+what, func() (bool, string) {
		heard := s.heard() - before
		return heard > 10*(sockets+feeds), fmt.Sprint(heard, " messages")
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Logf("%s: %d messages, longest silence %s", what, s.total-before, s.silence.Round(time.Millisecond))
	if len(s.broken) > 0 {
		t.Fatalf("%s: %d of %d streams were cut, the first: %s", what, len(s.broken), sockets+feeds, s.broken[0])
	}
	if s.silence > longestSilence {
		t.Errorf("%s: a stream said nothing for %s", what, s.silence)
	}
	s.silence = 0
}

func (s *streams) close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
}
