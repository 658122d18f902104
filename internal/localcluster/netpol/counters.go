package netpol

import (
	"context"
	"fmt"

	"sigs.k8s.io/knftables"
)

// Counters are the packets dropped since the table was made, by reason.
type Counters struct {
	// Ingress: no policy and no group of the destination pod allows them.
	Ingress uint64
	// Egress: no policy and no group of the source pod allows them.
	Egress uint64
	// Unknown: from or to a pod that is not known (yet).
	Unknown uint64
	// Spoofed: the source address was not the sending pod's.
	Spoofed uint64
}

// Counters reads the counters. It may be called at any time, from any goroutine.
func (e *Enforcer) Counters(ctx context.Context) (Counters, error) {
	var out Counters
	err := inside(e.opts.netNS, func() error {
		nft, err := knftables.New(knftables.InetFamily, tableName)
		if err != nil {
			return fmt.Errorf("preparing nftables: %w", err)
		}
		listed, err := nft.ListCounters(ctx)
		if err != nil {
			return fmt.Errorf("reading the counters: %w", err)
		}
		fields := map[string]*uint64{
			dropIngress: &out.Ingress, dropEgress: &out.Egress, dropUnknown: &out.Unknown, dropSpoofed: &out.Spoofed,
		}
		for _, counter := range listed {
			if field := fields[counter.Name]; field != nil && counter.Packets != nil {
				*field = *counter.Packets
			}
		}
		return nil
	})
	return out, err
}
