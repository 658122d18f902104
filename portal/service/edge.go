package service

import (
	"net/netip"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// EdgePatch changes how the edge treats requests for an app; nil leaves a setting.
type EdgePatch struct {
	MaintenanceMessage *string
	// AllowedCIDRs replaces the networks that are let in; empty lets everybody in.
	AllowedCIDRs *[]string
	// Allow adds networks and Disallow takes some away.
	Allow, Disallow []string
	// MaxBodyMiB bounds a request's body, in MiB; 0 takes the bound away.
	MaxBodyMiB *int32
	// AnswerTimeoutSeconds is how long an answer may take to begin; 0 is the edge's limit.
	AnswerTimeoutSeconds *int32
}

// apply changes the settings, or refuses and leaves them.
func (p *EdgePatch) apply(edge *v1alpha1.EdgeSettings) error {
	if p == nil {
		return nil
	}
	next := *edge.DeepCopy()
	if p.MaintenanceMessage != nil {
		next.MaintenanceMessage = *p.MaintenanceMessage
	}
	if p.AllowedCIDRs != nil {
		next.AllowedCIDRs = *p.AllowedCIDRs
	}
	if p.MaxBodyMiB != nil {
		next.MaxBodyMiB = *p.MaxBodyMiB
	}
	if p.AnswerTimeoutSeconds != nil {
		next.AnswerTimeoutSeconds = *p.AnswerTimeoutSeconds
	}
	next.AllowedCIDRs = slices.Concat(next.AllowedCIDRs, p.Allow)
	if err := settleEdge(&next); err != nil {
		return err
	}
	if err := p.disallow(&next); err != nil {
		return err
	}
	*edge = next
	return nil
}

// disallow takes networks away. The last one stays: without any the edge would let
// everybody in, and nobody asks for that by closing a door.
func (p *EdgePatch) disallow(edge *v1alpha1.EdgeSettings) error {
	for _, text := range p.Disallow {
		network, err := networkOf(text)
		if err != nil {
			return err
		}
		at := slices.Index(edge.AllowedCIDRs, network)
		if at < 0 {
			return errs.New(errs.NotFound, "edge.allowedCIDRs", network+" is not among the networks that are let in", "See the list with: berth access")
		}
		if len(edge.AllowedCIDRs) == 1 {
			return errs.New(errs.Conflict, "edge.allowedCIDRs", network+" is the last network that is let in; without it everybody would be",
				"To let everybody in: berth access:clear; to let nobody in: berth maintenance:on")
		}
		edge.AllowedCIDRs = slices.Delete(edge.AllowedCIDRs, at, at+1)
	}
	return nil
}

// putEdge takes networks and limits from an app file. Maintenance is not its business.
func putEdge(edge, wanted *v1alpha1.EdgeSettings) error {
	next := v1alpha1.EdgeSettings{
		Maintenance: edge.Maintenance, MaintenanceMessage: edge.MaintenanceMessage,
		AllowedCIDRs: slices.Clone(wanted.AllowedCIDRs),
		MaxBodyMiB:   wanted.MaxBodyMiB, AnswerTimeoutSeconds: wanted.AnswerTimeoutSeconds,
	}
	if err := settleEdge(&next); err != nil {
		return err
	}
	*edge = next
	return nil
}

// settleEdge writes networks in one way, each once.
func settleEdge(edge *v1alpha1.EdgeSettings) error {
	var networks []string
	for _, text := range edge.AllowedCIDRs {
		network, err := networkOf(text)
		if err != nil {
			return err
		}
		if !slices.Contains(networks, network) {
			networks = append(networks, network)
		}
	}
	edge.AllowedCIDRs = networks
	return nil
}

// networkOf reads a network or one address and writes it in the one way it is kept:
// 203.0.113.7 is 203.0.113.7/32, and 203.0.113.7/24 is 203.0.113.0/24.
func networkOf(text string) (string, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()).String(), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return "", errs.New(errs.Invalid, "edge.allowedCIDRs", quote(text)+" is not a network", "Write it as 203.0.113.0/24, 2001:db8::/32, or one address such as 203.0.113.7.")
	}
	return prefix.Masked().String(), nil
}
