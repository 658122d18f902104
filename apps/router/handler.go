package router

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/time/rate"

	"github.com/berth-dev/berth/apps/router/table"
)

const headerRequestID = "X-Request-Id"

// handler is the first thing a request meets: it finds the target, refuses what has
// none, cleans the headers and answers for what went wrong further on.
type handler struct {
	edge *Edge
	// complaints keeps a broken app from filling the log.
	complaints *rate.Limiter
}

// CaddyModule names the module.
func (*handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.berth", New: func() caddy.Module { return new(handler) }}
}

// Provision finds the edge.
func (h *handler) Provision(caddy.Context) error {
	if h.edge = running.Load(); h.edge == nil {
		return errNoEdge
	}
	h.complaints = rate.NewLimiter(rate.Every(time.Second), 20)
	return nil
}

// ServeHTTP routes one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := newExchange(r)
	m := newMeter(w, r, x.id, h.edge.streams)
	defer h.end(r, x, m)
	// Only answers of an app name a server, and only the app's.
	m.Header().Del("Server")

	if refused := h.find(r, x); refused != nil {
		h.edge.answer(*refused, m, r, x)
		return nil
	}
	if isStream(r, x) {
		h.edge.joinStream(m, r, x)
		return nil
	}
	if x.target.Redirect != "" {
		h.edge.redirect(m, r, x.target.Redirect)
		return nil
	}
	clean(r.Header, x)
	if err := next.ServeHTTP(m, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))); err != nil {
		h.failed(m, r, x, err)
	}
	return nil
}

// end notes what was answered, or has the bytes of a connection that changed its protocol
// carried on until they end.
func (h *handler) end(r *http.Request, x *exchange, m *meter) {
	h.edge.metrics.observe(x, m)
	if m.upgraded != nil {
		h.edge.carry(r, x, m)
		return
	}
	if x.app != nil {
		_ = x.app.Close() // the client's side could not change
	}
	x.release()
	h.edge.note(r, x, m, x.target)
}

// find looks the request's host up, and says what to answer when there is nothing to
// pass the request to.
func (h *handler) find(r *http.Request, x *exchange) *problem {
	host, ok := requestHost(r)
	if !ok {
		return &problemBadHost
	}
	x.host = host
	x.peer = h.edge.peers.sent(r)
	target, known := h.lookup(r, x)
	if x.peer {
		if !known || target.Elsewhere || target.Redirect != "" {
			return &problemSecondHop
		}
		if !believe(r) {
			return &problemBadPeer
		}
	} else if name, ok := table.ParseHost(serverName(r)); !ok || name != host {
		// A browser may reuse a connection for another host of the same certificate. It is
		// sent back to make its own: which host a connection is for is settled once.
		return &problemMisdirected
	}
	if !known {
		return &problemUnknown
	}
	return h.judge(r, x, target)
}

// lookup finds the target of a request, or of a stream that another edge passes on.
func (h *handler) lookup(r *http.Request, x *exchange) (*table.Target, bool) {
	if isStream(r, x) {
		return h.edge.table.LookupTCP(x.host)
	}
	return h.edge.table.Lookup(x.host)
}

// judge says what to answer in place of the target. What another edge sent was judged there
// already; with the client's address that it gives us the outcome is the same.
func (h *handler) judge(r *http.Request, x *exchange, target *table.Target) *problem {
	x.target = target
	switch {
	case target.Redirect != "":
		return nil
	case !target.Allows(client(r)):
		return &problemForbidden
	case target.Maintenance:
		return maintenance(target)
	case bound(r, x):
		return &problemTooLarge
	case len(target.Endpoints) == 0 && target.Elsewhere:
		return &problemNoWay
	case len(target.Endpoints) == 0:
		return &problemNotReady
	}
	return nil
}

// requestHost is the host a request is for. A client that dials an address and names the
// host in the TLS handshake alone, as kubectl does with tls-server-name, means the latter.
func requestHost(r *http.Request) (string, bool) {
	if name, _, err := net.SplitHostPort(r.Host); err == nil && net.ParseIP(name) != nil {
		return table.ParseHost(serverName(r))
	}
	return table.ParseHost(r.Host)
}

func serverName(r *http.Request) string {
	if r.TLS == nil {
		return ""
	}
	return r.TLS.ServerName
}

// failed answers for a request that could not be proxied, unless its answer has begun.
func (h *handler) failed(m *meter, r *http.Request, x *exchange, err error) {
	status := http.StatusBadGateway
	var handlerErr caddyhttp.HandlerError
	if errors.As(err, &handlerErr) && handlerErr.StatusCode != 0 {
		status = handlerErr.StatusCode
	}
	if x.tooLarge.Load() {
		status = http.StatusRequestEntityTooLarge
	}
	if status >= http.StatusInternalServerError && h.complaints.Allow() {
		h.edge.log.Warn("a request could not be passed on",
			"host", x.host, "request", x.id, "status", status, "error", err)
	}
	if !m.written() {
		h.edge.answer(problemOf(err, status, x), m, r, x)
	}
}

// problemOf is what to say about an error: nobody should look into an app whose whole host
// is away.
func problemOf(err error, status int, x *exchange) problem {
	var unreached reverseproxy.DialError
	if x.target != nil && x.target.Elsewhere && errors.As(err, &unreached) {
		return problemHostAway
	}
	return problemFor(status)
}

// clean removes what a client says about who it is and where it came from; the proxy
// then writes the forwarding headers from what it saw itself.
func clean(headers http.Header, x *exchange) {
	for name := range headers {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Remote-") {
			delete(headers, name)
		}
	}
	delete(headers, "Forwarded")
	delete(headers, "X-Real-Ip")
	headers[headerRequestID] = []string{x.id}
}

// requestID keeps an id that a client chose if it is one short plain word, so that a
// request can be followed from further out, and makes one otherwise.
func requestID(headers http.Header) string {
	if ids := headers[headerRequestID]; len(ids) == 1 && plainWord(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

func plainWord(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

var (
	_ caddy.Provisioner           = (*handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*handler)(nil)
)
