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
	"net/url"
	"strings"
	"time"
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
	base  *url.URL
	opts  Options
	tls   *tls.Config
	http  *http.Client
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	agent string
}

// New makes a client. It does not connect.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("the API address %q is not a URL such as https://api.example.com", opts.URL)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(opts.CA) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(opts.CA) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	c := &Client{base: base, opts: opts, tls: conf, dial: DialLocalhost, agent: opts.UserAgent}
	c.http = &http.Client{Transport: retrier{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           c.dial,
		TLSClientConfig:       conf,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       30 * time.Second,
	}}}
	return c, nil
}

// DialLocalhost connects like a net.Dialer, except that localhost and every name
// below it is this machine: glibc resolves only the bare name.
func DialLocalhost(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		host = strings.TrimSuffix(strings.ToLower(host), ".")
		if host == "localhost" || strings.HasSuffix(host, ".localhost") {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
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

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// endpoint builds the address of a path made of already separate parts.
func (c *Client) endpoint(query url.Values, parts ...string) string {
	u := c.base.JoinPath(append([]string{"v1"}, escape(parts)...)...)
	u.RawQuery = query.Encode()
	return u.String()
}

func escape(parts []string) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = url.PathEscape(p)
	}
	return out
}

// send makes one request and gives back the answer when its status is below 400.
func (c *Client) send(ctx context.Context, method, target, accept string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, reader)
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
func (c *Client) call(ctx context.Context, method, target string, body, out any) error {
	resp, err := c.send(ctx, method, target, "application/json", body)
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
