package apiclient

import (
	"context"
	"net/http"
	"time"
)

// Certificate is one that a tenant uploaded. Its key is never given out.
type Certificate struct {
	Name string `json:"name"`
	// Hosts it is for.
	Hosts     []string  `json:"hosts"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Domains of the tenant that use it.
	Domains []string `json:"domains,omitempty"`
	// Problem says why it cannot be used now; empty if it can.
	Problem   string    `json:"problem,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewCertificate is a pair in PEM form: a chain, the host's certificate first, and its key.
type NewCertificate struct {
	Name        string `json:"name"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Certificates lists the certificates that a tenant uploaded.
func (c *Client) Certificates(ctx context.Context, tenant string) ([]Certificate, error) {
	var out List[Certificate]
	err := c.call(ctx, http.MethodGet, c.endpoint(nil, "tenants", tenant, "certificates"), nil, &out)
	return out.Items, err
}

// Certificate reads one.
func (c *Client) Certificate(ctx context.Context, tenant, name string) (out Certificate, err error) {
	return out, c.call(ctx, http.MethodGet, c.endpoint(nil, "tenants", tenant, "certificates", name), nil, &out)
}

// AddCertificate uploads a pair, or replaces the one of its name.
func (c *Client) AddCertificate(ctx context.Context, tenant string, in NewCertificate) (out Certificate, err error) {
	if at := c.endpoint(nil, "tenants", tenant, "certificates", in.Name); at.err != nil {
		return out, at.err
	}
	return out, c.call(ctx, http.MethodPost, c.endpoint(nil, "tenants", tenant, "certificates"), in, &out)
}

// RemoveCertificate removes one that no domain uses.
func (c *Client) RemoveCertificate(ctx context.Context, tenant, name string) error {
	return c.call(ctx, http.MethodDelete, c.endpoint(nil, "tenants", tenant, "certificates", name), nil, nil)
}
