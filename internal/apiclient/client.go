package apiclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/berth-dev/berth/internal/errs"
)

// maxAnswer bounds what the client reads of one document.
const maxAnswer = 32 << 20

// Options say where the API is and how to reach it.
type Options struct {
	// URL of the API, such as https://api.berth.localhost:8443.
	URL string
	// Token is the bearer token; empty sends none.
	Token string
	// CA is PEM certificates to trust instead of the system's; empty means the system's.
	CA []byte
	// UserAgent is sent along.
	UserAgent string
}

// Client speaks the JSON API.
type Client struct {
	base    *url.URL
	opts    Options
	sockets *tls.Config
	http    *http.Client
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	agent   string
}

// New makes a client. It does not connect.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, badURL(fmt.Sprintf("%q is not an address of Berth", opts.URL), "Write it as https://api.example.com")
	}
	if base.Scheme == "http" && !thisMachine(base.Hostname()) {
		return nil, badURL(fmt.Sprintf("%s would send your token where everybody on the way can read it", opts.URL), "Write it with https://")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(opts.CA) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(opts.CA) {
			return nil, badCA()
		}
	}
	// The transport below offers HTTP/2 in its own; a websocket is HTTP/1.1.
	sockets := conf.Clone()
	sockets.NextProtos = []string{"http/1.1"}
	c := &Client{base: base, opts: opts, sockets: sockets, dial: DialLocalhost, agent: opts.UserAgent}
	c.http = &http.Client{Transport: retrier{&http.Transport{
		Proxy:                 proxy,
		DialContext:           c.dial,
		TLSClientConfig:       conf,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       30 * time.Second,
	}}}
	return c, nil
}

func badCA() error {
	return &Problem{Code: string(errs.Invalid), Field: "caFile", Detail: "the file of the certificate to trust holds none", Fix: "Give a PEM file: berth login URL --ca-file FILE"}
}

func badURL(what, fix string) error {
	return &Problem{Code: string(errs.Invalid), Field: "url", Detail: what, Fix: fix}
}

// thisMachine tells whether a host name or address can only be this machine's.
func thisMachine(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// proxy is the environment's, for other machines than this one.
func proxy(request *http.Request) (*url.URL, error) {
	if thisMachine(request.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(request)
}

// DialLocalhost connects like a net.Dialer, except that localhost and every name
// below it is this machine: glibc resolves only the bare name.
func DialLocalhost(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	host, port, err := net.SplitHostPort(addr)
	if _, notIP := netip.ParseAddr(host); err == nil && notIP != nil && thisMachine(host) {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return d.DialContext(ctx, network, addr)
}

// URL is the address the client speaks to.
func (c *Client) URL() string { return c.base.String() }

// UnreachableError says that no answer came at all.
type UnreachableError struct {
	URL string
	Err error
}

// Error names the address.
func (e *UnreachableError) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.URL, e.Err) }

// ThisMachine tells whether the address is one of this machine's.
func (e *UnreachableError) ThisMachine() bool {
	u, err := url.Parse(e.URL)
	return err == nil && thisMachine(u.Hostname())
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// target is the address of a request, or why there can be none.
type target struct {
	url string
	err error
}

// namePattern is what a name in an address can be. It leaves the rest to the server, but
// "." and ".." would be the address of something else.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// endpoint builds the address of a path made of already separate parts.
func (c *Client) endpoint(query url.Values, parts ...string) target {
	for i, part := range parts {
		if !namePattern.MatchString(part) || len(part) > 63 {
			return target{err: badName(parts[max(0, i-1)], part)}
		}
	}
	u := c.base.JoinPath(append([]string{"v1"}, parts...)...)
	u.RawQuery = query.Encode()
	return target{url: u.String()}
}

// badName refuses what cannot be the name of one of a collection.
func badName(collection, name string) error {
	field := strings.TrimSuffix(collection, "s")
	return &Problem{
		Status: http.StatusUnprocessableEntity, Code: string(errs.Invalid), Field: field,
		Detail: fmt.Sprintf("%q cannot be a name", name),
		Fix:    "Names are lower-case letters, digits and single hyphens. See: berth " + collection,
	}
}

// send makes one request and gives back the answer when its status is below 400.
func (c *Client) send(ctx context.Context, method string, to target, accept string, body any) (*http.Response, error) {
	if to.err != nil {
		return nil, to.err
	}
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.url, reader)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c.header(req.Header, accept)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &UnreachableError{URL: c.URL(), Err: err}
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, problemOf(resp)
	}
	return resp, nil
}

func (c *Client) header(h http.Header, accept string) {
	h.Set("Accept", accept)
	if c.opts.Token != "" {
		h.Set("Authorization", "Bearer "+c.opts.Token)
	}
	if c.agent != "" {
		h.Set("User-Agent", c.agent)
	}
}

// problemOf reads the problem document of a refusal, or makes one of the status.
func problemOf(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &Problem{}
	if json.Unmarshal(raw, p) != nil || p.Detail == "" {
		*p = Problem{Detail: "the server answered " + resp.Status}
	}
	p.Status = resp.StatusCode
	return p
}

// call makes one request and decodes the answer into out unless out is nil.
func (c *Client) call(ctx context.Context, method string, to target, body, out any) error {
	resp, err := c.send(ctx, method, to, "application/json", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("the answer of %s is not what this version of berth understands: %w", c.URL(), err)
	}
	return nil
}
