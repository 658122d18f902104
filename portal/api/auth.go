package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// Principal is who makes a request.
type Principal struct {
	// Name is unique among principals.
	Name string
	// Operator may do everything to every tenant.
	Operator bool
}

// account is the principal's service account inside tenants' clusters.
func (p Principal) account() string {
	if p.Operator {
		return tenancy.OperatorAccount
	}
	return tenancy.MemberAccount(p.Name)
}

// Authenticator tells who a bearer token belongs to. A token nobody has gives an
// error of code Unauthorized; a failed look-up refuses too.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Principal, error)
}

// Verb is what a request wants to do.
type Verb string

// The verbs, each including less than the next.
const (
	// VerbRead looks.
	VerbRead Verb = "read"
	// VerbWrite changes a tenant's apps, runs processes and gets tokens.
	VerbWrite Verb = "write"
	// VerbOperate makes and removes tenants and sees the platform.
	VerbOperate Verb = "operate"
)

// authorize is the one place that says who may do what to whom. Tenant is empty for
// what belongs to no tenant.
func authorize(who Principal, tenant string, verb Verb) error {
	if who.Operator {
		return nil
	}
	if tenant == "" && verb == VerbRead {
		return nil
	}
	if tenant == "" {
		return errs.New(errs.Forbidden, "", "only an operator may do this", "Ask the operator of this platform.")
	}
	return errs.New(errs.Forbidden, "tenant", "you are not a member of the tenant “"+tenant+"”", "Ask an owner of the tenant to invite you.")
}

// caller tells who makes the request.
func (a *API) caller(r *http.Request) (Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, errs.New(errs.Unauthorized, "", "the request brings no token", "Log in with: berth login")
	}
	return a.Auth.Authenticate(r.Context(), token)
}
