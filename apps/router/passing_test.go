package router_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
)

const database = "db.acme.berth.localhost"

// asksFor dials an edge as another would and asks for a stream.
func (e *edge) asksFor(t *testing.T, host, client string) (*tls.Conn, *bufio.Reader, int) {
	t.Helper()
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		RootCAs: e.ca.pool(), ServerName: peerName, Certificates: []tls.Certificate{e.ca.peer(t)}, MinVersion: tls.VersionTLS12,
	})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: berth-stream\r\n"+
		"X-Forwarded-Proto: tcp\r\nX-Forwarded-For: %s\r\n\r\n", host, client)
	must(t, err)
	reader := bufio.NewReader(conn)
	res, err := http.ReadResponse(reader, nil)
	must(t, err)
	return conn, reader, res.StatusCode
}

// converse sends two lines and the end, and expects the app's answers to all three.
func converse(t *testing.T, conn *tls.Conn, answers io.Reader) {
	t.Helper()
	_, err := io.WriteString(conn, "one\ntwo\n")
	must(t, err)
	must(t, conn.CloseWrite())
	got, err := io.ReadAll(answers)
	must(t, err)
	if string(got) != "ONE\nTWO\n2\n" {
		t.Errorf("got %q", got)
	}
}

func TestAStreamAnotherEdgePassesOnReachesItsApp(t *testing.T) {
	e := start(t, "")
	e.serveTCP("db", database, stream(t))
	e.serve("web", shop, app(t, say("shop")))
	e.serveTCP("gone", "gone.acme.berth.localhost", nowhere(t))
	e.sources.Routes[0].Spec.Edge.AllowedCIDRs = []string{"192.0.2.0/24"}
	e.apply()
	conn, reader, status := e.asksFor(t, database, "192.0.2.1")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("answered %d", status)
	}
	converse(t, conn, reader)
	for name, test := range map[string]struct {
		host, client string
		status       int
	}{
		"a client from elsewhere":      {database, "203.0.113.1", http.StatusForbidden},
		"nobody says for whom":         {database, "", http.StatusBadRequest},
		"a host that is not for these": {shop, "192.0.2.1", http.StatusLoopDetected},
		"an app that does not listen":  {"gone.acme.berth.localhost", "192.0.2.1", http.StatusBadGateway},
	} {
		if _, _, status := e.asksFor(t, test.host, test.client); status != test.status {
			t.Errorf("%s: answered %d, want %d", name, status, test.status)
		}
	}
	tabletest.Move(&e.sources, acme, "192.0.2.9:443")
	e.apply()
	if _, _, status := e.asksFor(t, database, "192.0.2.1"); status != http.StatusLoopDetected {
		t.Errorf("a second hop: answered %d", status)
	}
}

// To everybody else the protocol between edges is one like any other.
func TestAClientCannotAskForAStream(t *testing.T) {
	e := start(t, "")
	e.serveTCP("db", database, stream(t))
	e.serve("web", shop, app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Upgrade")) }))
	if got := get(t, e.client(t, false), "https://"+shop+"/", "Connection", "Upgrade", "Upgrade", "berth-stream", "X-Forwarded-Proto", "tcp"); got.body != "berth-stream" {
		t.Errorf("got %d %q", got.status, got.body)
	}
	if got := get(t, e.client(t, false), "https://"+database+"/", "Connection", "Upgrade", "Upgrade", "berth-stream", "X-Forwarded-Proto", "tcp"); got.status != http.StatusNotFound {
		t.Errorf("got %d %q", got.status, got.body)
	}
}

func TestAStreamForAnotherHostGoesToItsEdge(t *testing.T) {
	e := start(t, "")
	backend := stream(t)
	asked := make(chan string, 1)
	address := e.other(t, e.ca.issue(t, peerName), func(w http.ResponseWriter, r *http.Request) {
		asked <- fmt.Sprint(r.Host, " ", r.Header.Get("Upgrade"), " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("X-Forwarded-For"), " ", r.TLS.PeerCertificates[0].DNSNames)
		if strings.HasPrefix(r.Host, "no.") {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		relay(t, w, backend)
	})
	e.serveTCP("db", database, nowhere(t))
	e.serveTCP("no", "no.acme.berth.localhost", nowhere(t))
	tabletest.Move(&e.sources, acme, address)
	e.apply()

	conn, err := e.dialTCP(database)
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	converse(t, conn, conn)
	if got, want := <-asked, database+" berth-stream tcp 127.0.0.1 ["+peerName+"]"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}

	refused, err := e.dialTCP("no.acme.berth.localhost")
	must(t, err)
	defer func() { _ = refused.Close() }()
	must(t, refused.SetDeadline(time.Now().Add(patience)))
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("something came of a stream that was refused")
	}
	e.sources.Routes[0].Spec.Edge = v1alpha1.EdgeSettings{AllowedCIDRs: []string{"192.0.2.0/24"}}
	e.apply()
	if _, err := e.dialTCP(database); err == nil {
		t.Error("a client from elsewhere was let in")
	}
}

func TestAnotherEdgesAnswerToAStreamHasALimit(t *testing.T) {
	e := start(t, "")
	for size, opens := range map[int]bool{60 << 10: true, 64 << 10: false} {
		address := e.other(t, e.ca.issue(t, peerName), func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: berth-stream\r\nLong: "+
				strings.Repeat("x", size)+"\r\n\r\n"+strings.Repeat("y", 8<<10))
		})
		e.sources = table.Sources{}
		e.serveTCP("db", database, nowhere(t))
		tabletest.Move(&e.sources, acme, address)
		e.apply()
		conn, err := e.dialTCP(database)
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		got, _ := io.ReadAll(conn)
		_ = conn.Close()
		if want := strings.Repeat("y", 8<<10); opens && string(got) != want || !opens && len(got) > 0 {
			t.Errorf("after headers of %d bytes %d came", size, len(got))
		}
	}
}
