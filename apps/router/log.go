package router

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/berth-dev/berth/apps/router/access"
	"github.com/berth-dev/berth/apps/router/table"
)

// note writes an app's request into its access log. Its path is noted without the query:
// tokens and passwords ride in that.
func (e *Edge) note(r *http.Request, x *exchange, m *meter, target *table.Target) {
	if line, ok := e.line(r, x, m, target); ok {
		e.config.Access.Note(line)
	}
}

// line is what is noted of a request up to now, if it is. The edge that a request came to
// first notes it.
func (e *Edge) line(r *http.Request, x *exchange, m *meter, target *table.Target) (line access.Line, ok bool) {
	if e.config.Access == nil || x.peer || target == nil || target.Class != table.ClassApp {
		return line, false
	}
	return access.Line{
		Time: x.started, Tenant: target.Tenant, App: target.App, Component: target.Component,
		Host: x.host, Method: r.Method, Path: x.path, Status: m.code(), Bytes: m.bytes,
		DurationMS: milliseconds(now().Sub(x.started)), ConnectMS: milliseconds(time.Duration(x.connect.Load())),
		RequestID: x.id, Client: client(r).String(), Protocol: r.Proto, UserAgent: r.UserAgent(),
	}, true
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

// client is the address a request's connection comes from, or the one that a load balancer
// or another edge we trust said it comes from.
func client(r *http.Request) netip.Addr {
	return addressOf(r.RemoteAddr)
}

// addressOf is the address of a host:port, invalid if it has none.
func addressOf(hostPort string) netip.Addr {
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
