package router

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// framed has nothing read after a request that somebody on the way may have seen end
// elsewhere: its connection ends with the answer. A length beside chunks demands that
// (RFC 9112, 6.1), and so do chunks in HTTP/1.0. Go's server drops the length of the one and
// the chunks of the other before anybody can see them, so it holds for all in chunks, and
// for all of HTTP/1.0. In HTTP/2 a request ends where its stream does.
type framed struct{ http.Handler }

// ServeHTTP passes the request on.
func (f framed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0) {
		w.Header().Set("Connection", "close")
	}
	f.Handler.ServeHTTP(w, r)
}

// framing is a server's ConnContext callback, which puts framed before all that answers.
// Caddy refuses some requests before any handler that it can be given, and Go's server
// answers one, OPTIONS *, before Caddy. The server is first seen when it accepts its first
// connection, before it serves any.
func framing() func(context.Context, net.Conn) context.Context {
	var once sync.Once
	return func(ctx context.Context, _ net.Conn) context.Context {
		once.Do(func() {
			server := ctx.Value(http.ServerContextKey).(*http.Server)
			server.Handler = framed{server.Handler}
			server.DisableGeneralOptionsHandler = true
		})
		return ctx
	}
}
