// Package router is the edge: it takes every request from outside and sends it to the
// component, the tenant's API server or the portal that its host name stands for, or to the
// edge of the host where that runs.
//
// Caddy is the engine. Its configuration is made once, at the start, and never changes:
// what changes is the table (package table), which our Caddy modules read on every
// request and every TLS handshake. A new route costs a map entry and no reload.
//
// Invariants:
//
//   - A request is retried only when no connection could be made, so no app ever gets
//     one twice from the edge.
//   - A certificate is made only for names the table knows; any other server name gets
//     no handshake. The Host of a request must be the name the handshake was made for.
//   - What a client says about itself in forwarding headers never reaches an app.
//   - What another edge sent goes no further than to our own endpoints; only who shows a
//     certificate for the name of edges is believed to be one.
//   - A certificate from outside is shown only while it is valid; the edge asks no
//     authority for any, and answers no proof of ownership.
//   - A shutdown finishes every answer that has begun, and tells streams that have no end
//     to go away, spread over the time there is.
//
// Caddy holds one configuration per process, so a process runs at most one Edge.
//
// This package alone imports Caddy. cmd/berth-router and tests import it, nobody else.
package router
