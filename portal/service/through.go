package service

import (
	"net/http"

	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/internal/errs"
)

// throughEdge makes a configuration lead to a tenant's API server on another host cluster,
// which only the edge has a way to. The connection is made to the portal's own edge,
// whatever the name says; the name is asked for in the handshake and in each request.
func (s *Service) throughEdge(conf *rest.Config, name string) error {
	roots, err := s.EdgeRoots()
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the edge's certificate authority cannot be read")
	}
	conf.Host = "https://" + s.EdgeAddress
	conf.ServerName, conf.CAData = name, roots
	conf.Wrap(func(next http.RoundTripper) http.RoundTripper { return &asked{next, name} })
	return nil
}

// asked asks a server for a host of another name than its address.
type asked struct {
	next http.RoundTripper
	name string
}

// RoundTrip implements http.RoundTripper.
func (a *asked) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Host = a.name
	// Clients of websockets read it here; all others leave it out.
	request.Header.Set("Host", a.name)
	return a.next.RoundTrip(request)
}

// WrappedRoundTripper lets client-go find the transport beneath, such as to close its
// idle connections.
func (a *asked) WrappedRoundTripper() http.RoundTripper { return a.next }
