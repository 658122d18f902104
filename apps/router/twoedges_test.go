package router_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

// secondEdge is set for the process that runs the second edge: the files of the authority.
const secondEdge = "BERTH_TEST_SECOND_EDGE"

// TestSecondEdge is no test but the edge of the host that acme runs on. It says where it
// listens and serves until its input ends.
func TestSecondEdge(t *testing.T) {
	files := os.Getenv(secondEdge)
	if files == "" {
		t.Skip("TestTwoEdgesAreLikeOne runs it in a process of its own")
	}
	e := startWith(t, "", func(c *router.Config) { c.CACertFile, c.CAKeyFile, _ = strings.Cut(files, ":") })
	e.serve("web", shop, app(t, report(t)))
	e.serveTCP("db", database, stream(t))
	if _, err := io.WriteString(os.Stdout, "listening on "+e.HTTPSAddr().String()+"\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// report is an app that tells what it sees, answers WebSockets, and on /events says a word
// at once and the next when it is told to go on.
func report(t *testing.T) http.HandlerFunc {
	t.Helper()
	sockets := echo(t, make(chan error, 64))
	goOn := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chat":
			sockets(w, r)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-goOn
			_, _ = io.WriteString(w, "data: second\n\n")
		case "/go-on":
			goOn <- struct{}{}
		default:
			body, _ := io.ReadAll(r.Body)
			_ = json.NewEncoder(w).Encode(seen{Host: r.Host, URI: r.RequestURI, Header: r.Header, Body: len(body)})
		}
	}
}

// seen is what the app was asked.
type seen struct {
	Host, URI string
	Header    http.Header
	Body      int
}

// startSecondEdge runs it in a process of its own, and sends there what acme has.
func (e *edge) startSecondEdge(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	second := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSecondEdge$")
	second.Env = append(os.Environ(), secondEdge+"="+e.ca.certFile+":"+e.ca.keyFile)
	input, err := second.StdinPipe()
	must(t, err)
	output, err := second.StdoutPipe()
	must(t, err)
	must(t, second.Start())
	t.Cleanup(func() {
		defer cancel()
		_ = input.Close()
		_, _ = io.Copy(io.Discard, output)
		if err := second.Wait(); err != nil {
			t.Errorf("the second edge ended with %v", err)
		}
	})
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			e.serve("web", shop, nowhere(t))
			e.serveTCP("db", database, nowhere(t))
			tabletest.Move(&e.sources, acme, address)
			e.apply()
			return
		}
	}
	t.Fatal("the second edge says nothing")
}

func TestTwoEdgesAreLikeOne(t *testing.T) {
	e := start(t, "")
	e.startSecondEdge(t)
	t.Run("an app sees what it would see of one", func(t *testing.T) {
		for _, http2 := range []bool{false, true} {
			got := do(t, e.client(t, http2), request(t, http.MethodPost, "https://"+shop+"/a%2Fb?q=1", strings.NewReader(strings.Repeat("a", 1<<20)),
				"X-Forwarded-For", forged, "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil.example", "X-Forwarded-Port", "1",
				"Forwarded", "for="+forged, "X-Real-Ip", forged, "X-Remote-User", "root", "X-Request-Id", "mine-1", "Cookie", "a=b"))
			var saw seen
			must(t, json.Unmarshal([]byte(got.body), &saw))
			for _, unsteady := range []string{"Accept-Encoding", "User-Agent", "Content-Length", "Via"} {
				saw.Header.Del(unsteady)
			}
			want := seen{Host: shop, URI: "/a%2Fb?q=1", Body: 1 << 20, Header: http.Header{
				"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {shop},
				"X-Request-Id": {"mine-1"}, "Cookie": {"a=b"},
			}}
			if diff := cmp.Diff(want, saw); diff != "" {
				t.Error(diff)
			}
			if got.header.Get("X-Request-Id") != "mine-1" || got.header.Get("Server") != "" {
				t.Errorf("answered with %v", got.header)
			}
		}
	})
	t.Run("what edges say to each other is nothing when a client says it", func(t *testing.T) {
		got := get(t, e.client(t, false), "https://"+shop+"/", "Connection", "Upgrade", "Upgrade", "berth-stream", "X-Forwarded-Proto", "tcp")
		var saw seen
		must(t, json.Unmarshal([]byte(got.body), &saw))
		if saw.Header.Get("Upgrade") != "berth-stream" || saw.Header.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("answered %d; the app saw %v", got.status, saw.Header)
		}
	})
	t.Run("WebSockets pass", func(t *testing.T) {
		conn := e.webSocket(t)
		for _, text := range []string{"a", strings.Repeat("b", 100_000)} {
			must(t, ask(conn, text))
		}
	})
	t.Run("events arrive one by one", func(t *testing.T) {
		client := e.client(t, true)
		res, err := client.Do(request(t, http.MethodGet, "https://"+shop+"/events", http.NoBody))
		must(t, err)
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		for _, want := range []string{"data: first", "", "data: second", ""} {
			if want == "data: second" {
				get(t, client, "https://"+shop+"/go-on")
			}
			if !lines.Scan() || lines.Text() != want {
				t.Fatalf("got %q, want %q", lines.Text(), want)
			}
		}
	})
	t.Run("streams pass and end one way at a time", func(t *testing.T) {
		conn, err := e.dialTCP(database)
		must(t, err)
		defer func() { _ = conn.Close() }()
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		converse(t, conn, conn)
	})
}
