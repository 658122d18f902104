package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/certificates"
	"github.com/berth-dev/berth/apps/certificates/aws"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	// edgeSettle is how long every edge is given to see what it has to answer: the objects
	// it watches reach it within a second.
	edgeSettle = 2 * time.Second
	// maxPropagation leaves time for the rest of an order.
	maxPropagation = 120

	dnsRoute53 = "route53"
)

// acmeConfig says which authority certificates are ordered from. Without a directory there
// is none.
type acmeConfig struct {
	directory string
	email     string
	// roots is a file of PEM certificates.
	roots string

	dnsProvider string
	dnsRegion   string
	dnsZone     string
	// dnsPropagation in seconds.
	dnsPropagation int
}

// flags adds the flags; text is parse's own.
func (c *acmeConfig) flags(flags *flag.FlagSet, text func(into *string, name, fallback, usage string)) error {
	text(&c.directory, "acme-directory", "", "URL of the ACME directory of a certificate authority, whose terms you then agree to; empty for none")
	text(&c.email, "acme-email", "", "address the authority may write to about its account")
	text(&c.roots, "acme-roots", "", "file of PEM certificates to trust, besides the system's, when speaking to the authority")
	text(&c.dnsProvider, "acme-dns-provider", "", "who serves the domain's zone, to prove wildcards: route53, or empty for no wildcards")
	text(&c.dnsRegion, "acme-dns-region", "", "region of the provider, empty for the environment's")
	text(&c.dnsZone, "acme-dns-zone", "", "id of the hosted zone, empty to look for the one named as the domain")
	seconds, err := strconv.Atoi(fromEnvironment("acme-dns-propagation", "10"))
	flags.IntVar(&c.dnsPropagation, "acme-dns-propagation", seconds, "seconds to wait for a record after the provider has it")
	if err != nil {
		return errs.New(errs.Invalid, "BERTH_ACME_DNS_PROPAGATION", "is not a number", "give seconds, such as 10")
	}
	return nil
}

// Validate says what is wrong, all of it at once.
func (c *acmeConfig) Validate() error {
	var problems []error
	wrong := func(field, what, fix string) { problems = append(problems, errs.New(errs.Invalid, field, what, fix)) }
	if at, err := url.Parse(c.directory); c.directory != "" && (err != nil || at.Scheme != "https" || at.Host == "") {
		wrong("acme-directory", strconv.Quote(c.directory)+" is no https address", "give one such as https://acme-v02.api.letsencrypt.org/directory")
	}
	if at, err := mail.ParseAddress(c.email); c.email != "" && (err != nil || at.Address != c.email) {
		wrong("acme-email", strconv.Quote(c.email)+" is no mail address", "give one such as ops@example.com, or none")
	}
	if _, err := os.Stat(c.roots); c.roots != "" && err != nil {
		wrong("acme-roots", strconv.Quote(c.roots)+" cannot be read", "give a file of PEM certificates, or none")
	}
	if c.dnsProvider != "" && c.dnsProvider != dnsRoute53 {
		wrong("acme-dns-provider", strconv.Quote(c.dnsProvider)+" is not known", "give route53, or none")
	}
	if c.dnsProvider != "" && c.directory == "" {
		wrong("acme-dns-provider", "proves nothing without an authority", "give acme-directory too, or neither")
	}
	if c.dnsPropagation < 0 || c.dnsPropagation > maxPropagation {
		wrong("acme-dns-propagation", strconv.Itoa(c.dnsPropagation)+" is out of range", "give 0 to 120 seconds")
	}
	return errors.Join(problems...)
}

// authority makes what certificates are ordered from; nil if none is configured.
func (c *config) authority(mgr manager.Manager) (apps.Authority, error) {
	if c.acme.directory == "" {
		return nil, nil
	}
	settings := certificates.Config{
		Directory: c.acme.directory, Email: c.acme.email, Settle: edgeSettle,
		// The manager's client reads Secrets without a cache.
		Accounts: &certificates.Accounts{Client: mgr.GetClient(), Namespace: c.namespace},
	}
	if c.acme.roots != "" {
		var err error
		if settings.Roots, err = os.ReadFile(c.acme.roots); err != nil {
			return nil, fmt.Errorf("reading the authority's roots: %w", err)
		}
	}
	if c.acme.dnsProvider == dnsRoute53 {
		zone, err := aws.New(context.Background(), aws.Config{Region: c.acme.dnsRegion, HostedZoneID: c.acme.dnsZone})
		if err != nil {
			return nil, err
		}
		settings.DNS = &certificates.DNS{Zone: zone, Domain: c.domain, Wait: time.Duration(c.acme.dnsPropagation) * time.Second}
	}
	return certificates.New(settings)
}
