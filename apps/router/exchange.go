package router

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/berth-dev/berth/apps/router/table"
)

// exchangeKey is the context key that carries the exchange through Caddy. Caddy's own
// request variables are a map: a dial that goes on beside its request must not read it.
type exchangeKey struct{}

// exchange is one request on its way: where it goes and what was tried.
type exchange struct {
	target   *table.Target
	endpoint *table.Endpoint
	tried    []*table.Endpoint
	host     string
	id       string
	// peer says that another edge sent it. It goes no further than to our own endpoints.
	peer bool
	// path as the client wrote it, without the query.
	path    string
	started time.Time
	// connect is how long it took to make a connection for this, in nanoseconds.
	connect atomic.Int64
	// tooLarge is set by whoever reads the body.
	tooLarge atomic.Bool
	// app is the app's side of a connection that changes its protocol.
	app halfCloser
}

func newExchange(r *http.Request) *exchange {
	return &exchange{id: requestID(r.Header), path: r.URL.EscapedPath(), started: now()}
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

func (x *exchange) class() table.Class {
	if x.target == nil {
		return table.ClassUnknown
	}
	return x.target.Class
}

// countedAs is the class that metrics know it by.
func (x *exchange) countedAs() string {
	if x.peer {
		return classPeer
	}
	return string(x.class())
}

// next chooses the endpoint of the next attempt, nil if there is none. When all have
// been tried it begins again: the caller limits how often.
func (x *exchange) next(t *table.Table) *table.Endpoint {
	if x.endpoint != nil {
		x.endpoint.Refused()
		x.tried = append(x.tried, x.endpoint)
		x.release()
		// The endpoints may have changed while the connection was tried.
		if target, ok := t.Lookup(x.host); ok && (!x.peer || !target.Elsewhere) {
			x.target = target
		}
	}
	picked := x.target.Pick(x.tried)
	if picked == nil && len(x.tried) > 0 {
		x.tried = x.tried[:0]
		picked = x.target.Pick(nil)
	}
	if picked != nil {
		picked.Acquire()
		x.endpoint = picked
	}
	return picked
}

// release lets go of the endpoint in use, if any.
func (x *exchange) release() {
	if x.endpoint != nil {
		x.endpoint.Release()
		x.endpoint = nil
	}
}

// classMatcher matches requests by the class of their target.
type classMatcher struct {
	// Class to match.
	Class table.Class `json:"class"`
}

// CaddyModule names the module.
func (*classMatcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.berth", New: func() caddy.Module { return new(classMatcher) }}
}

// MatchWithError reports whether the request's target is of the class.
func (m *classMatcher) MatchWithError(r *http.Request) (bool, error) {
	x := exchangeOf(r.Context())
	return x != nil && x.class() == m.Class, nil
}

var _ caddyhttp.RequestMatcherWithError = (*classMatcher)(nil)
