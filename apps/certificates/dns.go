package certificates

import (
	"context"
	"fmt"
	"time"

	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3/acme"
)

// recordTTL is short: nobody needs the record when the authority has looked.
const recordTTL = time.Minute

// Zone is a provider of DNS. SetRecords returns when the provider's servers have the
// records.
type Zone interface {
	libdns.RecordSetter
	libdns.RecordDeleter
}

// DNS proves names by records in one zone.
type DNS struct {
	Zone Zone
	// Domain is the zone's name, which all hosts that are proven lie in.
	Domain string
	// Wait is how long a record is given to reach every server of the zone, after the
	// provider said that it is there.
	Wait time.Duration
}

// present writes the one record the authority looks for. Others of the name go: they are
// left over from an order that was broken off.
func (d *DNS) present(ctx context.Context, challenge acme.Challenge) error {
	if _, err := d.Zone.SetRecords(ctx, d.zone(), d.record(challenge)); err != nil {
		return fmt.Errorf("writing %s: %w", challenge.DNS01TXTRecordName(), err)
	}
	return wait(ctx, d.Wait)
}

func (d *DNS) cleanUp(ctx context.Context, challenge acme.Challenge) error {
	if _, err := d.Zone.DeleteRecords(ctx, d.zone(), d.record(challenge)); err != nil {
		return fmt.Errorf("removing %s: %w", challenge.DNS01TXTRecordName(), err)
	}
	return nil
}

func (d *DNS) zone() string { return d.Domain + "." }

func (d *DNS) record(challenge acme.Challenge) []libdns.Record {
	return []libdns.Record{libdns.TXT{
		Name: libdns.RelativeName(challenge.DNS01TXTRecordName(), d.Domain), TTL: recordTTL,
		Text: challenge.DNS01KeyAuthorization(),
	}}
}
