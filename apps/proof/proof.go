package proof

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/apps"
)

const (
	// lookWithin bounds each of the two ways to look.
	lookWithin = 5 * time.Second
	maxAnswer  = 1 << 10
	maxHeader  = 16 << 10
	httpPort   = 80
)

// Options say how to look.
type Options struct {
	// Resolver is the DNS server to ask, host:port; empty means the system's.
	Resolver string
	// PrivateCIDRs are addresses to connect to besides public ones.
	PrivateCIDRs []netip.Prefix
	// Port that hosts answer HTTP at; 0 means 80.
	Port int
}

// Looker looks for proofs.
type Looker struct {
	opts     Options
	resolver *net.Resolver
	http     *http.Client
}

// New makes a Looker.
func New(opts Options) *Looker {
	l := &Looker{opts: opts, resolver: &net.Resolver{PreferGo: true}}
	if opts.Resolver != "" {
		l.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, opts.Resolver)
		}
	}
	dialer := &net.Dialer{Resolver: l.resolver, Control: l.control}
	l.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				host, _, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return dialer.DialContext(ctx, network, net.JoinHostPort(rooted(host), strconv.Itoa(cmp.Or(opts.Port, httpPort))))
			},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	return l
}

// rooted keeps the resolver from trying a name below the domains it searches.
func rooted(name string) string { return name + "." }

// Finding is what a look saw.
type Finding struct {
	Proven bool
	// Message says what was seen, in words fit to show to a tenant.
	Message string
}

// Look looks for a token at a host, in its DNS first. What cannot be looked at proves
// nothing.
func (l *Looker) Look(ctx context.Context, host, token string) Finding {
	found := l.record(ctx, host, token)
	if found.Proven || apps.IsWildcard(host) {
		return found
	}
	answer := l.answer(ctx, host, token)
	if !answer.Proven {
		answer.Message = found.Message + " " + answer.Message
	}
	return answer
}

// record looks for the TXT record.
func (l *Looker) record(ctx context.Context, host, token string) Finding {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	name := apps.ProofRecord(host)
	texts, err := l.resolver.LookupTXT(ctx, rooted(name))
	var failure *net.DNSError
	switch {
	case slices.Contains(texts, apps.ProofText(token)):
		return Finding{Proven: true, Message: "The TXT record of " + name + " proves it."}
	case errors.As(err, &failure) && failure.IsNotFound, err == nil && len(texts) == 0:
		return Finding{Message: name + " has no TXT record."}
	case err != nil:
		return Finding{Message: "The DNS of " + name + " does not answer."}
	}
	return Finding{Message: "The TXT record of " + name + " has another text."}
}

// answer looks for the token where the host leads.
func (l *Looker) answer(ctx context.Context, host, token string) Finding {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	url := apps.ProofURL(host, token)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return Finding{Message: url + " is no address."}
	}
	request.Header.Set("User-Agent", "berth-domain-proof")
	response, err := l.http.Do(request)
	if err != nil {
		return Finding{Message: url + " " + silence(err) + "."}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		what := fmt.Sprintf(" answers with status %d.", response.StatusCode)
		if response.StatusCode/100 == 3 {
			what = fmt.Sprintf(" redirects (status %d), which is not followed.", response.StatusCode)
		}
		return Finding{Message: url + what}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || strings.TrimSpace(string(body)) != apps.ProofText(token) {
		return Finding{Message: url + " answers with another text."}
	}
	return Finding{Proven: true, Message: url + " proves it."}
}

// silence says why no answer came. A host without an address and one with an address that
// is not public read alike, or a tenant could ask for the names inside the host's network
// one by one.
func silence(err error) string {
	var failure *net.DNSError
	if errors.Is(err, errNotPublic) || errors.As(err, &failure) && failure.IsNotFound {
		return "leads to no public address"
	}
	return "does not answer"
}
