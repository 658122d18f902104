package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	// orderDeadline bounds an order with everything it waits for.
	orderDeadline = 5 * time.Minute
	// requestTimeout bounds one request to the authority.
	requestTimeout = 30 * time.Second
	// cleanUpTimeout bounds taking back what the authority was shown, which happens also
	// when the order's own time is over.
	cleanUpTimeout = 30 * time.Second
)

// Config is what an Authority works with.
type Config struct {
	// Directory is the URL where the authority's protocol begins.
	Directory string
	// Email is told to the authority for notices about the account; it may be empty.
	Email string
	// Roots, PEM, are trusted besides the system's when speaking to the authority.
	Roots []byte
	// Accounts keeps the key that is known to the authority.
	Accounts *Accounts
	// Settle is how long every edge is given to see what it has to answer.
	Settle time.Duration
	// DNS proves wildcards; nil means that none can be had.
	DNS *DNS
}

// Authority is an ACME server.
type Authority struct {
	Config
	transport http.RoundTripper

	mu sync.Mutex
	// account as the authority knows it; without a location it was not asked yet.
	account acme.Account
}

var _ apps.Authority = (*Authority)(nil)

// New makes an Authority. It does not connect.
func New(config Config) (*Authority, error) {
	trusted, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's trusted roots: %w", err)
	}
	if len(config.Roots) > 0 && !trusted.AppendCertsFromPEM(config.Roots) {
		return nil, errs.New(errs.Invalid, "acme-roots", "holds no certificate in PEM form", "Give the roots that sign the authority's own address.")
	}
	return &Authority{Config: config, transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: requestTimeout / 3,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     time.Minute,
	}}, nil
}

// Wildcards tells whether wildcards can be proven.
func (a *Authority) Wildcards() bool { return a.DNS != nil }

// Issue orders a certificate and waits for it, five minutes at most.
func (a *Authority) Issue(ctx context.Context, host string, answers apps.Answers) (*apps.Pair, error) {
	ctx, cancel := context.WithTimeout(ctx, orderDeadline)
	defer cancel()
	pair, err := a.issue(ctx, host, answers)
	if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
		// The authority lost its accounts, or the key was registered with another.
		a.forget()
		pair, err = a.issue(ctx, host, answers)
	}
	return pair, err
}

// issue makes a client for one order: what the authority says about when to come back is
// then about this order.
func (a *Authority) issue(ctx context.Context, host string, answers apps.Answers) (*apps.Pair, error) {
	pauses := &pauses{next: a.transport}
	o := &order{
		host: host, answers: answers, settle: a.Settle, dns: a.DNS,
		client: &acme.Client{
			Directory: a.Directory, UserAgent: "berth", PollTimeout: orderDeadline,
			HTTPClient: &http.Client{Transport: pauses, Timeout: requestTimeout},
		},
	}
	var err error
	if o.account, err = a.register(ctx, o.client); err != nil {
		return nil, judge(fmt.Errorf("opening the account: %w", err), pauses.asked())
	}
	pair, err := o.run(ctx)
	return pair, judge(err, pauses.asked())
}

// register gives the account, which it makes at the authority if there is none: asked for
// a new one with a known key, an authority answers with the one it has.
func (a *Authority) register(ctx context.Context, client *acme.Client) (acme.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.account.Location != "" {
		return a.account, nil
	}
	key, err := a.Accounts.Key(ctx, a.Directory)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.Email != "" {
		account.Contact = []string{"mailto:" + a.Email}
	}
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, err
	}
	account.PrivateKey = key
	a.account = account
	return account, nil
}

func (a *Authority) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = acme.Account{}
}
