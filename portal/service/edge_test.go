package service

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

func TestNetworksOfThoseLetIn(t *testing.T) {
	some := func(networks ...string) v1alpha1.EdgeSettings {
		return v1alpha1.EdgeSettings{Maintenance: true, MaintenanceMessage: "soon", AllowedCIDRs: networks}
	}
	for name, c := range map[string]struct {
		before  v1alpha1.EdgeSettings
		patch   EdgePatch
		want    []string
		refused string
	}{
		"an address is a network of its own":    {some(), EdgePatch{Allow: []string{"203.0.113.7", "2001:db8::1"}}, []string{"203.0.113.7/32", "2001:db8::1/128"}, ""},
		"bits of a host are left out":           {some(), EdgePatch{Allow: []string{"203.0.113.7/24"}}, []string{"203.0.113.0/24"}, ""},
		"an IPv4 address in IPv6 is IPv4":       {some(), EdgePatch{Allow: []string{"::ffff:203.0.113.7"}}, []string{"203.0.113.7/32"}, ""},
		"one that is there stays once":          {some("10.0.0.0/8"), EdgePatch{Allow: []string{"10.1.0.0/8"}}, []string{"10.0.0.0/8"}, ""},
		"all are replaced":                      {some("10.0.0.0/8"), EdgePatch{AllowedCIDRs: &[]string{"192.0.2.0/24"}}, []string{"192.0.2.0/24"}, ""},
		"all are taken away":                    {some("10.0.0.0/8"), EdgePatch{AllowedCIDRs: &[]string{}}, nil, ""},
		"one of two is taken away":              {some("10.0.0.0/8", "192.0.2.0/24"), EdgePatch{Disallow: []string{"10.0.0.0/8"}}, []string{"192.0.2.0/24"}, ""},
		"the last one is not taken away":        {some("10.0.0.0/8"), EdgePatch{Disallow: []string{"10.0.0.0/8"}}, nil, "the last network"},
		"one that is not there cannot be":       {some("10.0.0.0/8"), EdgePatch{Disallow: []string{"10.0.0.0/16"}}, nil, "is not among"},
		"a name is no network":                  {some(), EdgePatch{Allow: []string{"example.com"}}, nil, "is not a network"},
		"a masked IPv4 network in IPv6 is none": {some(), EdgePatch{Allow: []string{"::ffff:10.0.0.0/104"}}, nil, "is not a network"},
	} {
		t.Run(name, func(t *testing.T) {
			edge := c.before
			err := c.patch.apply(&edge)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || errs.As(err).Fix == "" {
					t.Fatalf("got %v, want a refusal with %q and a fix", err, c.refused)
				}
				if diff := cmp.Diff(c.before, edge); diff != "" {
					t.Errorf("a refusal changed the settings:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(some(c.want...), edge); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAppFileSetsNetworksAndLimitsButNotMaintenance(t *testing.T) {
	edge := v1alpha1.EdgeSettings{Maintenance: true, MaintenanceMessage: "soon", MaxBodyMiB: 3, AllowedCIDRs: []string{"10.0.0.0/8"}}
	if err := putEdge(&edge, &v1alpha1.EdgeSettings{MaintenanceMessage: "x", AnswerTimeoutSeconds: 60, AllowedCIDRs: []string{"192.0.2.1"}}); err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.EdgeSettings{Maintenance: true, MaintenanceMessage: "soon", AnswerTimeoutSeconds: 60, AllowedCIDRs: []string{"192.0.2.1/32"}}
	if diff := cmp.Diff(want, edge); diff != "" {
		t.Error(diff)
	}
}
