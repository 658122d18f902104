package router_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificateFor is what the edge shows for a server name.
func (e *edge) certificateFor(serverName string) ([]string, error) {
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		InsecureSkipVerify: true, ServerName: serverName, // what is shown is looked at
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].DNSNames, nil
}

func TestCertificates(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	for host, want := range map[string]string{
		shop:                           "*.acme.berth.localhost",
		"db--web.acme.berth.localhost": "*.acme.berth.localhost",
		"api.berth.localhost":          "*.berth.localhost",
		"acmeacme.k8s.berth.localhost": "*.k8s.berth.localhost",
		"berth.localhost":              "berth.localhost",
	} {
		got, err := e.certificateFor(host)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s shows %v, %v; want %s", host, got, err, want)
		}
	}
	for name, host := range map[string]string{
		"an unknown domain":                "example.com",
		"another tenant's, without routes": "web.globex.berth.localhost",
		"a deeper name":                    "a.b.c.berth.localhost",
		"none":                             "",
	} {
		if got, err := e.certificateFor(host); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("the server name %s gets a handshake with %v, or ends it with %v", name, got, err)
		}
	}
}

func TestACertificateIsMadeOnceForManyHandshakes(t *testing.T) {
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	const n = 20
	serials := make(chan string, n)
	for range n {
		go func() {
			conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{RootCAs: e.ca.pool(), ServerName: shop, MinVersion: tls.VersionTLS12})
			if err != nil {
				serials <- err.Error()
				return
			}
			serials <- conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
			_ = conn.Close()
		}()
	}
	first := <-serials
	for range n - 1 {
		if got := <-serials; got != first {
			t.Errorf("one handshake gives %s, another %s", first, got)
		}
	}
}

func TestALeafOutlivesNoIssuerAndIsShort(t *testing.T) {
	e := start(t, "")
	conn, err := tls.Dial("tcp", e.HTTPSAddr().String(), &tls.Config{
		RootCAs: e.ca.pool(), ServerName: "api.berth.localhost", MinVersion: tls.VersionTLS12,
	})
	must(t, err)
	defer func() { _ = conn.Close() }()
	chain := conn.ConnectionState().PeerCertificates
	if len(chain) != 2 || !chain[0].NotAfter.Before(chain[1].NotAfter) {
		t.Fatalf("chain of %d certificates", len(chain))
	}
	if life := chain[0].NotAfter.Sub(chain[0].NotBefore); life > 80*time.Hour {
		t.Errorf("a leaf lives %s", life)
	}
}

func TestAClientThatSendsNoHeadersIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a timeout of ten seconds")
	}
	e := start(t, "")
	e.serve("web", shop, app(t, say("shop")))
	results := make(chan error)
	addresses := map[string]net.Addr{"HTTP": e.HTTPAddr(), "HTTPS": e.HTTPSAddr()}
	for name, address := range addresses {
		go func() { results <- e.sendHalfAHeader(name == "HTTPS", address.String()) }()
	}
	for range addresses {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// sendHalfAHeader fails unless the edge ends the connection before patience does.
func (e *edge) sendHalfAHeader(secure bool, address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if secure {
		conn = tls.Client(conn, &tls.Config{RootCAs: e.ca.pool(), ServerName: shop, MinVersion: tls.VersionTLS12})
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+shop+"\r\nX-Slow:"); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err = io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("still connected")
	}
	return nil
}

func TestOnlyOneEdgePerProcess(t *testing.T) {
	start(t, "")
	if _, err := startSecond(t); err == nil {
		t.Error("a second edge was started")
	}
}

func TestHostsAppearAndVanishWithoutReload(t *testing.T) {
	e := start(t, "")
	client := e.client(t, true)
	e.only(app(t, say("one")))
	if got := get(t, client, "https://"+shop+"/"); got.body != "one" {
		t.Errorf("got %q", got.body)
	}
	e.only(app(t, say("two")))
	if got := get(t, client, "https://"+shop+"/"); got.body != "two" {
		t.Errorf("got %q", got.body)
	}
	e.sources.Routes = nil
	e.apply()
	if got := get(t, client, "https://"+shop+"/"); got.status != http.StatusNotFound {
		t.Errorf("status %d on a connection from before, want 404", got.status)
	}
	if got, err := e.certificateFor(shop); err == nil {
		t.Errorf("a new connection shows %v", got)
	}
}
