package router

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/berth-dev/berth/apps/router/table"
)

// certificates gives handshakes their certificates: the table's from outside if there is
// one that is valid at this moment, else one of our own. The table says which of our own
// covers a server name; certmagic, Caddy's own keeper, issues it at the first handshake
// that needs it, stores it and renews it.
//
// Caddy's on-demand TLS is not used for this: it knows only certificates for the exact
// server name, so strangers could not be told 404 without a certificate per guess, and
// it refuses names such as db--web.acme.example whose third and fourth characters are
// hyphens.
type certificates struct {
	table   *table.Table
	log     *slog.Logger
	outside prometheus.Counter
	own     prometheus.Counter
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuing singleflight.Group
}

func newCertificates(ctx caddy.Context, e *Edge) (*certificates, error) {
	raw, err := json.Marshal(object{"ca": caID, "lifetime": leafLifetime})
	if err != nil {
		return nil, err
	}
	loaded, err := ctx.LoadModuleByID("tls.issuance.internal", raw)
	if err != nil {
		return nil, fmt.Errorf("loading the issuer: %w", err)
	}
	issuer, ok := loaded.(certmagic.Issuer)
	if !ok {
		return nil, errors.New("the internal issuer issues nothing")
	}
	c := &certificates{
		table: e.table, log: e.log,
		outside: e.metrics.certificates.WithLabelValues("outside"),
		own:     e.metrics.certificates.WithLabelValues("internal"),
	}
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: c.upkeep,
		Logger:           ctx.Logger(),
	})
	c.magic = certmagic.New(c.cache, certmagic.Config{
		Storage:   ctx.Storage(),
		Issuers:   []certmagic.Issuer{issuer},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:      certmagic.OCSPConfig{DisableStapling: true},
		Logger:    ctx.Logger(),
	})
	return c, nil
}

// get is the GetCertificate of every TLS listener. A name the table does not know has no
// certificate, and crypto/tls ends the handshake with the alert unrecognized_name.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := c.table.CertificateName(hello.ServerName)
	if name == "" {
		return nil, nil
	}
	if host, ok := table.ParseHost(hello.ServerName); ok && name != c.table.PeerName() {
		if certificate := c.table.Certificate(host, now()); certificate != nil {
			c.outside.Inc()
			return certificate, nil
		}
	}
	c.own.Inc()
	return c.issued(hello.Context(), hello, name)
}

// forPeer is the certificate by which the edge at the other end of a connection knows us.
func (c *certificates) forPeer(ctx context.Context, conn net.Conn) (*tls.Certificate, error) {
	name := c.table.PeerName()
	// certmagic knows servers only: it is told of the handshake that we would get.
	return c.issued(ctx, &tls.ClientHelloInfo{ServerName: name, Conn: conn}, name)
}

// issued is the certificate of our own that has a name.
func (c *certificates) issued(ctx context.Context, hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	// A wildcard that covers the name too is found where the one of that name is not there yet.
	if cert, err := c.magic.GetCertificateWithContext(ctx, hello); err == nil && slices.Contains(cert.Leaf.DNSNames, name) {
		return cert, nil
	}
	// One handshake issues, the others that need the same name wait for it. The first
	// client's going away must not fail the rest, hence its context is not used.
	_, err, _ := c.issuing.Do(name, func() (any, error) {
		return nil, c.magic.ManageSync(context.WithoutCancel(ctx), []string{name})
	})
	if err != nil {
		c.log.Error("issuing a certificate failed", "name", name, "error", err)
		return nil, err
	}
	return c.magic.GetCertificateWithContext(ctx, hello)
}

// upkeep is asked for each certificate of our own whenever it may have to be renewed. One
// that no host needs any more is forgotten; should its host come back, it is read again or
// made anew.
func (c *certificates) upkeep(certificate certmagic.Certificate) (*certmagic.Config, error) {
	var gone []certmagic.SubjectIssuer
	for _, name := range certificate.Names {
		if !needed(c.table, name) {
			gone = append(gone, certmagic.SubjectIssuer{Subject: name})
		}
	}
	if len(gone) > 0 {
		go c.cache.RemoveManaged(gone) // the cache is locked while it asks
	}
	return c.magic, nil
}

// needed reports whether some handshake would be given the certificate of a name.
func needed(t *table.Table, name string) bool {
	host := name
	if base, wildcard := strings.CutPrefix(name, "*."); wildcard {
		host = "any-other-host." + base
	}
	return t.CertificateName(host) == name
}

func (c *certificates) stop() { c.cache.Stop() }
