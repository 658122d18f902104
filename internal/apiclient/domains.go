package apiclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/berth-dev/berth/internal/errs"
)

// Domain is a host name of a tenant's own.
type Domain struct {
	// Host in the form DNS has it; Display as people write it.
	Host    string `json:"host"`
	Display string `json:"display"`
	// URL of the host; a wildcard has none.
	URL        string `json:"url,omitempty"`
	App        string `json:"app,omitempty"`
	Component  string `json:"component,omitempty"`
	Port       string `json:"port,omitempty"`
	RedirectTo string `json:"redirectTo,omitempty"`
	// Certificate is the name of an uploaded one.
	Certificate string `json:"certificate,omitempty"`
	// PointTo is the host that the DNS of this one can name.
	PointTo string `json:"pointTo"`
	// Proof is what shows that the host is the tenant's; absent for a moment at first.
	Proof *DomainProof `json:"proof,omitempty"`

	Owned    bool `json:"owned"`
	Ready    bool `json:"ready"`
	Deleting bool `json:"deleting,omitempty"`
	// Checking is true until a look that was asked for has its result.
	Checking   bool        `json:"checking,omitempty"`
	ProvenAt   *time.Time  `json:"provenAt,omitempty"`
	CheckedAt  *time.Time  `json:"checkedAt,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	CreatedAt  time.Time   `json:"createdAt"`
}

// DomainProof is what to set: the record with the text, or the address with the answer.
type DomainProof struct {
	// Record is the name of a TXT record, Text what it holds.
	Record string `json:"record"`
	Text   string `json:"text"`
	// URL that answers with Answer; a wildcard has none.
	URL    string `json:"url,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// NewDomain asks for a domain, with hosts as a person writes them.
type NewDomain struct {
	Host        string `json:"host"`
	App         string `json:"app,omitempty"`
	Component   string `json:"component,omitempty"`
	Port        string `json:"port,omitempty"`
	RedirectTo  string `json:"redirectTo,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

// Domains lists a tenant's domains.
func (c *Client) Domains(ctx context.Context, tenant string) ([]Domain, error) {
	var out List[Domain]
	err := c.call(ctx, http.MethodGet, c.endpoint(nil, "tenants", tenant, "domains"), nil, &out)
	return out.Items, err
}

// Domain reads one domain.
func (c *Client) Domain(ctx context.Context, tenant, host string) (out Domain, err error) {
	return out, c.call(ctx, http.MethodGet, c.domain(tenant, host), nil, &out)
}

// AddDomain makes a domain; it is served once it is proven.
func (c *Client) AddDomain(ctx context.Context, tenant string, in NewDomain) (out Domain, err error) {
	return out, c.call(ctx, http.MethodPost, c.endpoint(nil, "tenants", tenant, "domains"), in, &out)
}

// CheckDomain asks for a look at the proof; it is over when Checking is false.
func (c *Client) CheckDomain(ctx context.Context, tenant, host string) (out Domain, err error) {
	return out, c.call(ctx, http.MethodPost, c.domain(tenant, host, "check"), nil, &out)
}

// RemoveDomain begins to remove a domain.
func (c *Client) RemoveDomain(ctx context.Context, tenant, host string) error {
	return c.call(ctx, http.MethodDelete, c.domain(tenant, host), nil, nil)
}

// domain is the address of a domain. A host may have signs that other names have not, such
// as dots and letters of any script, but none that could make it the address of something
// else.
func (c *Client) domain(tenant, host string, more ...string) target {
	at := c.endpoint(nil, "tenants", tenant, "domains")
	if at.err != nil {
		return at
	}
	const longest = 1024
	host = strings.TrimSpace(host)
	if strings.Trim(host, ".") == "" || len(host) > longest || strings.ContainsAny(host, "/%\\?#") {
		return target{err: &Problem{
			Status: http.StatusUnprocessableEntity, Code: string(errs.Invalid), Field: "host",
			Detail: fmt.Sprintf("%q is not a host", host), Fix: "Write it like shop.example.com. See: berth domains",
		}}
	}
	parts := append([]string{at.url, url.PathEscape(host)}, more...)
	return target{url: strings.Join(parts, "/")}
}
