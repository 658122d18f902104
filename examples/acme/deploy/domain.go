package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/localcluster/zone"
)

// domain is the shop's own. Every name under localhost is this machine to browsers and curl.
const domain = "acme-shop.localhost"

// hosts of the domain and the component behind each.
var hosts = []struct{ name, component string }{{"www." + domain, "ui"}, {"api." + domain, "api"}}

// serveDomain serves the shop on hosts of its own domain too: it adds them, proves them as
// the owner of a domain does, with records in its zone, and has the proofs looked at.
func (b berth) serveDomain(ctx context.Context, zoneFile string) error {
	var known []apiclient.Domain
	if err := b.answer(ctx, &known, "domains", "--tenant", tenant); err != nil {
		return fmt.Errorf("listing the shop's hosts: %w", err)
	}
	for _, host := range hosts {
		at := slices.IndexFunc(known, func(d apiclient.Domain) bool { return d.Host == host.name })
		if at >= 0 && known[at].Ready {
			continue
		}
		var added apiclient.Domain
		asked := []string{"domains:info", host.name, "--tenant", tenant}
		if at < 0 {
			asked = []string{"domains:add", host.name, "--tenant", tenant, "--app", app, "--component", host.component}
		}
		if err := b.answer(ctx, &added, asked...); err != nil {
			return fmt.Errorf("adding the host %s: %w", host.name, err)
		}
		if added.Proof == nil {
			return fmt.Errorf("%s has no proof to set yet: deploy again", host.name)
		}
		if err := zone.Set(zoneFile, map[string]string{added.Proof.Record: fmt.Sprintf("TXT %q", added.Proof.Text)}); err != nil {
			return fmt.Errorf("proving %s: %w", host.name, err)
		}
		if err := b.answer(ctx, &added, "domains:check", host.name, "--tenant", tenant); err != nil {
			return fmt.Errorf("proving %s: %w", host.name, err)
		}
	}
	return nil
}
