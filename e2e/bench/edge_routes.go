package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// routeChanges is how many changes the p99 is of.
const routeChanges = 200

// insecure is for both sides alike: what they prove is not measured here.
var insecure = &tls.Config{InsecureSkipVerify: true}

// addRoute makes a host that leads to the app, by a Route of its own.
func (e *edgeBench) addRoute(ctx context.Context, name string) error {
	var app berthv1.Route
	namespace := berthv1.ManagementNamespace(e.tenant)
	if err := e.instance.host.Get(ctx, client.ObjectKey{Namespace: namespace, Name: edgeApp + "-web-http"}, &app); err != nil {
		return err
	}
	route := &berthv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: app.Spec}
	route.Spec.Host = e.routeHost(name)
	return e.instance.host.Create(ctx, route)
}

func (e *edgeBench) routeHost(name string) string { return name + "." + e.tenant + "." + e.up.Domain }

// served waits until a host of addRoute answers.
func (e *edgeBench) served(ctx context.Context, name string) error {
	return until(ctx, tick, time.Minute, name+" is served", func() (bool, error) {
		one, err := e.connect(ctx, e.routeHost(name))
		if err != nil {
			return false, err
		}
		defer one.Close()
		status, err := one.ask()
		return status == http.StatusOK, err
	})
}

// measureRoutes changes a route again and again and looks when the edge does what it says. The
// time is from the API server's answer to the change.
func (e *edgeBench) measureRoutes(ctx context.Context) error {
	if err := e.addRoute(ctx, "turning"); err != nil {
		return err
	}
	if err := e.served(ctx, "turning"); err != nil {
		return err
	}
	if err := e.quiet(ctx); err != nil {
		return err
	}
	e.say("edge: %d changes of a route", routeChanges)
	one, err := e.connect(ctx, e.routeHost("turning"))
	if err != nil {
		return err
	}
	defer one.Close()
	key := client.ObjectKey{Namespace: berthv1.ManagementNamespace(e.tenant), Name: "turning"}
	for change := range routeChanges {
		var route berthv1.Route
		if err := e.instance.host.Get(ctx, key, &route); err != nil {
			return err
		}
		route.Spec.Edge.Maintenance = change%2 == 0
		want := http.StatusOK
		if route.Spec.Edge.Maintenance {
			want = http.StatusServiceUnavailable
		}
		if err := e.instance.host.Update(ctx, &route); err != nil {
			return err
		}
		start := time.Now()
		if err := one.until(want, 10*time.Second); err != nil {
			return err
		}
		e.record(Record{Measure: "edge", Case: edgeOurs, Part: partRoute, Round: change + 1, P50Micros: time.Since(start).Microseconds()})
		// A change that comes in the same tick as the one before would wait for it.
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// connection is one kept connection to the edge.
type connection struct {
	net.Conn
	host   string
	reader *bufio.Reader
}

func (e *edgeBench) connect(ctx context.Context, host string) (*connection, error) {
	raw, err := e.dialInside(ctx, "tcp", e.edge)
	if err != nil {
		return nil, err
	}
	config := insecure.Clone()
	config.ServerName, config.NextProtos = host, []string{"http/1.1"}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return &connection{Conn: secure, host: host, reader: bufio.NewReader(secure)}, nil
}

// ask sends one request and gives the status.
func (c *connection) ask() (int, error) {
	if _, err := fmt.Fprintf(c, "GET /version HTTP/1.1\r\nHost: %s\r\n\r\n", c.host); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// until asks until the status is the wanted one.
func (c *connection) until(want int, within time.Duration) error {
	for deadline := time.Now().Add(within); ; {
		status, err := c.ask()
		if err != nil {
			return err
		}
		if status == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the edge answers %d, not %d, after %s", status, want, within)
		}
	}
}

// openSockets opens idle websockets through one side, and says how to close them.
func (e *edgeBench) openSockets(ctx context.Context, address string, count int) (closeAll func(), err error) {
	dialer := &websocket.Dialer{
		TLSClientConfig:  insecure,
		HandshakeTimeout: 10 * time.Second,
		NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return e.dialInside(ctx, network, address)
		},
	}
	var open []*websocket.Conn
	closeAll = func() {
		for _, socket := range open {
			_ = socket.Close() // the other end sees it; there is nothing to keep
		}
	}
	for range count {
		socket, response, err := dialer.DialContext(ctx, "wss://"+e.host+"/ws", nil)
		if err != nil {
			closeAll()
			return nil, err
		}
		_ = response.Body.Close()
		open = append(open, socket)
	}
	return closeAll, nil
}
