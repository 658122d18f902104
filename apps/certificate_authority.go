package apps

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Authority issues certificates. Its implementation speaks ACME.
type Authority interface {
	// Issue gets a certificate for a host, which may be a wildcard. It proves the host
	// through the answers. Its error is a RefusedError, or the authority is away.
	Issue(ctx context.Context, host string, answers Answers) (*Pair, error)
	// Wildcards tells whether it can prove the name of a wildcard.
	Wildcards() bool
}

// Answers are what the authority is shown at a host while it looks (RFC 8555, 8.3).
type Answers interface {
	// Present makes http://<host>/.well-known/acme-challenge/<token> answer with the key
	// authorization.
	Present(ctx context.Context, token, keyAuthorization string) error
	// CleanUp takes it away.
	CleanUp(ctx context.Context) error
}

// Pair is a certificate chain, its own certificate first, and its key, both PEM.
type Pair struct {
	Certificate, Key []byte
}

// RefusedError is an authority's no.
type RefusedError struct {
	// Detail is what the authority said, fit to show to a tenant.
	Detail string
	// RetryAfter is how long it asks to be left alone; zero if it does not.
	RetryAfter time.Duration

	err error
}

// Refused makes a RefusedError with its cause.
func Refused(detail string, retryAfter time.Duration, err error) *RefusedError {
	return &RefusedError{Detail: detail, RetryAfter: max(0, retryAfter), err: err}
}

// Error is what the authority said.
func (e *RefusedError) Error() string { return "the certificate authority refused: " + e.Detail }

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.err }

// AsRefused finds the RefusedError in err's chain.
func AsRefused(err error) (*RefusedError, bool) { return errors.AsType[*RefusedError](err) }

// TenantWildcard is the host that a tenant's one certificate is for.
func TenantWildcard(tenant, domain string) string { return "*." + tenant + "." + domain }

// PlatformWildcards are the hosts that the platform's own certificates are for: its pages
// and API, and the addresses of tenants' clusters.
func PlatformWildcards(domain string) []string { return []string{"*." + domain, "*.k8s." + domain} }

// Provable tells whether an authority that can prove wildcards may do so for a host: only
// the platform's own zone is written to.
func Provable(host, domain string) bool {
	base, wildcard := strings.CutPrefix(host, "*.")
	return wildcard && (base == domain || strings.HasSuffix(base, "."+domain))
}
