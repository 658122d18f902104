// Package aws keeps the records that prove names to a certificate authority in Route 53.
//
// Credentials and, where it is not given, the region come from the SDK's default chain: on
// EKS the role of the controller's service account. They are in no value, flag or log.
//
// Only cmd imports it. It imports the AWS SDK, which stays here.
package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/libdns/libdns"
	"github.com/libdns/route53"
)

// maxSync bounds how long a change may take to reach all of Route 53's servers. It is a
// minute at most as a rule.
const maxSync = 3 * time.Minute

// Config says which zone is written to.
type Config struct {
	// Region whose endpoint is asked; empty means the environment's.
	Region string
	// HostedZoneID of the zone; empty means the public one that has the domain's name.
	HostedZoneID string
}

// Route53 is a zone in Route 53.
type Route53 struct{ config Config }

// New makes a Route53. It does not connect, but refuses an environment that the SDK cannot
// read.
func New(ctx context.Context, c Config) (*Route53, error) {
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if _, err := config.LoadDefaultConfig(ctx, options...); err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return &Route53{config: c}, nil
}

// SetRecords writes records and returns when all servers of the zone have them.
func (r *Route53) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return r.provider().SetRecords(ctx, zone, records)
}

// DeleteRecords removes records; it does not wait until they are gone everywhere.
func (r *Route53) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return r.provider().DeleteRecords(ctx, zone, records)
}

// provider is a new one for each call: it makes its client at the first use, without a lock.
func (r *Route53) provider() *route53.Provider {
	return &route53.Provider{
		Region: r.config.Region, HostedZoneID: r.config.HostedZoneID,
		WaitForRoute53Sync: true, SkipRoute53SyncOnDelete: true, Route53MaxWait: maxSync,
	}
}
