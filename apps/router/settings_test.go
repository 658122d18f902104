package router_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router"
	"github.com/berth-dev/berth/apps/router/access"
)

func TestTheMessageOfMaintenanceIsText(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop"))).Spec.Edge = v1alpha1.EdgeSettings{
		Maintenance: true, MaintenanceMessage: `Back at 5 <script>alert("x")</script>`,
	}
	e.apply()
	client := e.client(t, false)
	page := get(t, client, "https://"+shop+"/", "Accept", "text/html")
	if page.status != http.StatusServiceUnavailable || !strings.Contains(page.body, "Back at 5 &lt;script&gt;") || strings.Contains(page.body, "<script") {
		t.Errorf("page is %d %s", page.status, page.body)
	}
	if got := get(t, client, "https://"+shop+"/"); !strings.Contains(got.body, "Back at 5 <script>") {
		t.Errorf("text is %q", got.body)
	}
	var doc struct{ Error struct{ Message string } }
	must(t, json.Unmarshal([]byte(get(t, client, "https://"+shop+"/", "Accept", "application/json").body), &doc))
	if !strings.Contains(doc.Error.Message, "Back at 5 <script>") {
		t.Errorf("document says %q", doc.Error.Message)
	}
}

func TestOnlyAllowedNetworksAreLetThrough(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	e.serveTCP("db", "db.acme.berth.localhost", stream(t))
	client := e.client(t, false)
	for cidr, allowed := range map[string]bool{"127.0.0.0/8": true, "203.0.113.0/24": false} {
		for i := range e.sources.Routes {
			e.sources.Routes[i].Spec.Edge = v1alpha1.EdgeSettings{AllowedCIDRs: []string{cidr}, Maintenance: !allowed}
		}
		e.apply()
		got := get(t, client, "https://"+shop+"/", "X-Forwarded-For", "203.0.113.1", "Accept", "text/html")
		if want := map[bool]int{true: 200, false: 403}[allowed]; got.status != want || !allowed && !strings.Contains(got.body, "Not from here") {
			t.Errorf("%s: %d %s", cidr, got.status, got.body)
		}
		conn, err := e.dialTCP("db.acme.berth.localhost")
		if (err == nil) != allowed {
			t.Errorf("%s: a stream is opened with %v", cidr, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestABodyIsBounded(t *testing.T) {
	e := start(t, "")
	var whole atomic.Int64
	e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Add(1)
			_, _ = fmt.Fprint(w, n)
		}
	})).Spec.Edge.MaxBodyMiB = 1
	e.apply()
	for _, http2 := range []bool{false, true} {
		client := e.client(t, http2)
		// A client that writes on while it is refused may see a reset in place of the answer.
		client.Transport.(*http.Transport).ExpectContinueTimeout = patience
		for name, test := range map[string]struct {
			size    int
			chunked bool
			status  int
		}{
			"as large as allowed":              {1 << 20, false, 200},
			"as large as allowed, unannounced": {1 << 20, true, 200},
			"one byte more":                    {1<<20 + 1, false, 413},
			"one byte more, unannounced":       {1<<20 + 1, true, 413},
		} {
			before := whole.Load()
			var body io.Reader = bytes.NewReader(make([]byte, test.size))
			if test.chunked {
				body = io.MultiReader(body) // of no length that is known
			}
			got := do(t, client, request(t, http.MethodPost, "https://"+shop+"/", body, "Expect", "100-continue"))
			if got.status != test.status {
				t.Errorf("%s: %d %q, want %d", name, got.status, got.body, test.status)
			}
			if (whole.Load() > before) != (test.status == http.StatusOK) {
				t.Errorf("%s: the app got %d whole bodies", name, whole.Load()-before)
			}
		}
	}
}

func TestAnAppThatTakesTooLongIsGivenUp(t *testing.T) {
	e := start(t, "")
	gone := make(chan struct{})
	e.serve("web", shop, app(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	})).Spec.Edge.AnswerTimeoutSeconds = 1
	e.apply()
	got := get(t, e.client(t, true), "https://"+shop+"/")
	if got.status != http.StatusGatewayTimeout || !strings.HasPrefix(got.body, "Too slow") {
		t.Errorf("got %d %q", got.status, got.body)
	}
	<-gone // the app learns that nobody waits any more
}

// through dials the edge and says first, by the PROXY protocol, whose connection it is.
func through(header string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			_, err = io.WriteString(conn, header)
		}
		return conn, err
	}
}

func TestALoadBalancerSaysWhoseConnectionItIs(t *testing.T) {
	version2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + string([]byte{203, 0, 113, 7, 127, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb})
	for name, test := range map[string]struct {
		trusted, header string
		client          string
	}{
		"version 1":            {"127.0.0.0/8", "PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n", "203.0.113.7"},
		"version 2":            {"127.0.0.0/8", version2, "203.0.113.7"},
		"none, where it may":   {"127.0.0.0/8", "", "127.0.0.1"},
		"none, where it can't": {"", "", "127.0.0.1"},
		"from elsewhere":       {"192.0.2.0/24", "PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n", ""},
		"when switched off":    {"", version2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := startWith(t, "", func(c *router.Config) {
				if test.trusted != "" {
					c.ProxyProtocolCIDRs = []string{test.trusted}
				}
			})
			e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
			}))
			e.serveTCP("db", "db.acme.berth.localhost", stream(t))
			for i := range e.sources.Routes {
				e.sources.Routes[i].Spec.Edge.AllowedCIDRs = []string{"203.0.113.7/32", "127.0.0.1/32"}
			}
			e.apply()
			client := e.client(t, false)
			dial := through(test.header)
			client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dial(ctx, network, e.HTTPSAddr().String())
			}
			res, err := client.Do(request(t, http.MethodGet, "https://"+shop+"/", http.NoBody))
			if test.client == "" {
				if err == nil {
					_ = res.Body.Close()
					t.Errorf("answered %d", res.StatusCode)
				}
				return
			}
			must(t, err)
			body, err := io.ReadAll(res.Body)
			must(t, err)
			_ = res.Body.Close()
			if string(body) != test.client {
				t.Errorf("the app was told %q, want %q", body, test.client)
			}
			raw, err := dial(t.Context(), "tcp", e.TCPAddr().String())
			must(t, err)
			defer func() { _ = raw.Close() }()
			conn := tls.Client(raw, &tls.Config{RootCAs: e.ca.pool(), ServerName: "db.acme.berth.localhost", MinVersion: tls.VersionTLS12})
			if err := conn.HandshakeContext(t.Context()); err != nil {
				t.Errorf("a stream: %v", err)
			}
		})
	}
}

// lines gives what is written line by line.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		l <- bytes.Clone(line)
	}
	return len(p), nil
}

// next is the next line of the access log.
func (l lines) next(t *testing.T) access.Line {
	t.Helper()
	select {
	case raw := <-l:
		var line access.Line
		must(t, json.Unmarshal(raw, &line))
		return line
	case <-time.After(patience):
		t.Fatal("no line came")
		return access.Line{}
	}
}

// logged runs an edge whose access log can be read.
func logged(t *testing.T) (*edge, lines) {
	t.Helper()
	out := make(lines, 64)
	log, err := access.New(out, prometheus.NewRegistry())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go log.Run(ctx)
	return startWith(t, "", func(c *router.Config) { c.Access = log }), out
}

func TestTheAccessLogOfAnApp(t *testing.T) {
	e, out := logged(t)
	e.serve("web", shop, app(t, say("12345"))).Spec.App = "shop"
	e.sources.Routes[0].Spec.Component = "web"
	e.apply()
	client := e.client(t, true)
	get(t, client, "https://made-up.berth.localhost/") // nobody's
	got := get(t, client, "https://"+shop+"/a%2Fb/%C3%BC?token=secret", "User-Agent", "test", "X-Request-Id", "mine-1", "Authorization", "Bearer secret")
	line := out.next(t)
	if line.Time.IsZero() || line.DurationMS <= 0 || line.ConnectMS <= 0 || line.ConnectMS > line.DurationMS {
		t.Errorf("times are %+v", line)
	}
	line.Time, line.DurationMS, line.ConnectMS = time.Time{}, 0, 0
	want := access.Line{
		Tenant: "acme", App: "shop", Component: "web", Host: shop, Method: http.MethodGet, Path: "/a%2Fb/%C3%BC",
		Status: http.StatusOK, Bytes: 5, RequestID: "mine-1", Client: "127.0.0.1", Protocol: "HTTP/2.0", UserAgent: "test",
	}
	if got.status != http.StatusOK || line != want {
		t.Errorf("%d, logged %+v", got.status, line)
	}
	e.sources.Routes[0].Spec.Edge.Maintenance = true
	e.apply()
	get(t, client, "https://"+shop+"/")
	get(t, client, "http://"+shop+"/")
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusPermanentRedirect} {
		if line := out.next(t); line.Status != status || line.App != "shop" {
			t.Errorf("logged %+v, want status %d", line, status)
		}
	}
}
