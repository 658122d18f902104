package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
// to is replaced, and even their host is, they go on until it ends them. When the edge is
// replaced each is told to go away, at a moment of its own.
func TestStreams(t *testing.T) {
	berth.tenant(t, "streams", "small")
	berth.apply(t, "streams", streamsApp)
	answers(t, "talk.streams", "/version", 200, "1")
	in := []string{"-t", "streams", "-a", "talk"}
	open := openStreams(t, "talk.streams")

	moved := streamsApp[:strings.LastIndex(streamsApp, "    command:")] + fmt.Sprintf(`    command: [/testapp, serve, "8090"]
    ports:
      http: {port: 8090, expose: true, host: aside.streams.%s}
    health: {path: /healthz}
`, berth.up.Domain)
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a rollout of another component", func() {
			berth.berth(t, append([]string{"deploy", "side=" + testImage("2")}, in...)...)
			answers(t, "side--talk.streams", "/version", 200, "2")
		}},
		{"a route with another host and port", func() {
			berth.apply(t, "streams", moved)
			answers(t, "aside.streams", "/version", 200, "1")
			answers(t, "side--talk.streams", "/version", 404, "")
		}},
		{"another setting of its own route", func() {
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
		open.fine(t, step.what, step.do)
	}
	endWithTheirProcess(t, open, moved)
	endWithTheirEdge(t)
}

// endWithTheirProcess gives the app a configuration and a host that are new, which replaces
// its process. Streams end when the old one ends them, which is after the new one answers.
func endWithTheirProcess(t *testing.T, open *streams, file string) {
	t.Helper()
	file = strings.Replace(file, "expose: true}", "expose: true, host: speech.streams."+berth.up.Domain+"}", 1) + "config:\n  MOOD: new\n"
	if out, errOut, code := berth.tryApply(t, "streams", file, "--no-wait"); code != 0 {
		t.Fatalf("applying: exit code %d\n%s%s", code, out, errOut)
	}
	eventually(t, 5*time.Minute, "an answer of the new process", func() (bool, string) {
		_, old := berth.answer(berth.url("talk.streams", "/env?name=MOOD"))
		_, now := berth.answer(berth.url("speech.streams", "/env?name=MOOD"))
		return old == "new" || now == "new", fmt.Sprintf("%q at the old host, %q at the new one", old, now)
	})
	answered := time.Now()
	if first, _ := open.ended(t, "of their process", websocket.CloseServiceRestart); first.Before(answered) {
		t.Errorf("a stream ended %s before the new process answered", answered.Sub(first))
	}
	eventually(t, 5*time.Minute, "the new host and not the old one", func() (bool, string) {
		_, now := berth.answer(berth.url("speech.streams", "/env?name=MOOD"))
		stays, old := berth.answer(berth.url("talk.streams", "/env?name=MOOD"))
		return now == "new" && !stays, fmt.Sprintf("%q at the new host, %q at the old one", now, old)
	})
}

// endWithTheirEdge replaces the edge: it tells each stream to go away, not all at once, and
// who comes back comes to the next one.
func endWithTheirEdge(t *testing.T) {
	t.Helper()
	// The edge spreads the ends over 40 seconds.
	const atOnce = 5 * time.Second
	open := openStreams(t, "speech.streams")
	open.fine(t, "streams to the new process", func() {})
	for _, args := range [][]string{{"restart"}, {"status", "--timeout", "5m"}} {
		args = append(append([]string{"rollout"}, args...), "deployment/berth-router", "-n", systemNamespace)
		if out, err := berth.kubectl(berth.up.Kubeconfig, args...); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	first, last := open.ended(t, "of their edge", websocket.CloseGoingAway)
	if last.Sub(first) < atOnce {
		t.Errorf("the edge ended all %d streams within %s", len(open.all), last.Sub(first))
	}
	openStreams(t, "speech.streams").fine(t, "streams through the next edge", func() {})
}

// streams are the open websockets and server-sent events of a scenario.
type streams struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu  sync.Mutex // of what the streams saw
	all []*stream
}

// stream is one of them.
type stream struct {
	name string
	// heard counts the messages, the last of them, or the end, was at the time last.
	heard int
	last  time.Time
	// silence is the longest since it was last asked for.
	silence time.Duration
	// end is how it ended, nil while it is open. That of events between two is io.EOF.
	end error
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
		one := s.add(fmt.Sprintf("websocket %d", n))
		s.running.Go(func() { s.talk(ctx, one, socket) })
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
		one := s.add(fmt.Sprintf("events %d", n))
		s.running.Go(func() { s.listen(ctx, one, response) })
	}
	return s
}

func (s *streams) add(name string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &stream{name: name, last: time.Now()}
	s.all = append(s.all, one)
	return one
}

// talk says a number ten times a second and wants to hear all of them back.
func (s *streams) talk(ctx context.Context, one *stream, socket *websocket.Conn) {
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	ended := make(chan struct{})
	defer close(ended)
	s.running.Go(func() { speak(socket, ended) })
	for n := 0; ; n++ {
		_, heard, err := socket.ReadMessage()
		if err == nil && !strings.HasSuffix(string(heard), fmt.Sprint(" ", n)) {
			err = fmt.Errorf("message %d is %.100q", n, heard)
		}
		if !s.note(ctx, one, err) {
			return
		}
	}
}

func speak(socket *websocket.Conn, ended <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if socket.WriteMessage(websocket.TextMessage, fmt.Append(nil, n)) != nil {
			return // whoever reads hears how it ended
		}
	}
}

// listen reads events, which come ten times a second, and wants all of them.
func (s *streams) listen(ctx context.Context, one *stream, response *http.Response) {
	defer response.Body.Close()
	scanner, between := bufio.NewScanner(response.Body), true
	for n := 0; scanner.Scan(); {
		if between = scanner.Text() == ""; between {
			continue
		}
		var err error
		if scanner.Text() != fmt.Sprint("data: ", n) {
			err = fmt.Errorf("%s, event %d is %.100q", response.Status, n, scanner.Text())
		}
		if !s.note(ctx, one, err) {
			return
		}
		n++
	}
	err := scanner.Err()
	switch {
	case err == nil && between:
		err = io.EOF
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	s.note(ctx, one, err)
}

// note keeps what a stream saw, and says whether it goes on.
func (s *streams) note(ctx context.Context, one *stream, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	now := time.Now()
	one.silence, one.last = max(one.silence, now.Sub(one.last)), now
	if err != nil {
		one.end = err
		return false
	}
	one.heard++
	return true
}

// fine does something, waits until each stream has spoken again since, and fails the scenario
// if one was cut or silent.
func (s *streams) fine(t *testing.T, what string, do func()) {
	t.Helper()
	do()
	before := s.heard()
	eventually(t, time.Minute, "each stream speaks after "+what, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for n, one := range s.all {
			if one.end == nil && one.heard < before[n]+10 {
				return false, fmt.Sprintf("%s said %d messages since, the last %s ago", one.name, one.heard-before[n], time.Since(one.last))
			}
		}
		return true, ""
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	var cut []string
	var quietest *stream
	for _, one := range s.all {
		if one.end != nil {
			cut = append(cut, fmt.Sprintf("%s at %s: %v", one.name, one.last.Format("15:04:05.000"), one.end))
		}
		if quietest == nil || one.silence > quietest.silence {
			quietest = one
		}
	}
	if len(cut) > 0 {
		t.Fatalf("%s: %d of %d streams were cut:\n%s", what, len(cut), len(s.all), strings.Join(cut[:min(3, len(cut))], "\n"))
	}
	t.Logf("%s: the longest silence was that of %s, %s", what, quietest.name, quietest.silence.Round(time.Millisecond))
	if quietest.silence > longestSilence {
		t.Errorf("%s: %s said nothing for %s", what, quietest.name, quietest.silence)
	}
	for _, one := range s.all {
		one.silence = 0
	}
}

// heard counts the messages of each stream.
func (s *streams) heard() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var counts []int
	for _, one := range s.all {
		counts = append(counts, one.heard)
	}
	return counts
}

// ended waits until all streams have ended by themselves, and gives the times of the first
// and the last. Websockets must have ended by a close frame with a code, events after a whole
// one.
func (s *streams) ended(t *testing.T, what string, code int) (first, last time.Time) {
	t.Helper()
	eventually(t, 3*time.Minute, "the end of all streams "+what, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var open []string
		for _, one := range s.all {
			if one.end == nil {
				open = append(open, one.name)
			}
		}
		return len(open) == 0, fmt.Sprintf("%d are open: %s", len(open), strings.Join(open, ", "))
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	var wrong []string
	first, last = s.all[0].last, s.all[0].last
	for _, one := range s.all {
		if one.last.Before(first) {
			first = one.last
		}
		if one.last.After(last) {
			last = one.last
		}
		if !websocket.IsCloseError(one.end, code) && !errors.Is(one.end, io.EOF) {
			wrong = append(wrong, fmt.Sprintf("%s at %s: %v", one.name, one.last.Format("15:04:05.000"), one.end))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d of %d streams ended %s neither by a close frame with %d nor after a whole event:\n%s",
			len(wrong), len(s.all), what, code, strings.Join(wrong[:min(3, len(wrong))], "\n"))
	}
	t.Logf("all %d streams ended %s, within %s", len(s.all), what, last.Sub(first).Round(time.Millisecond))
	return first, last
}

// close ends what is still open.
func (s *streams) close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
}
