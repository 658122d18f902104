package tenancy

import (
	"cmp"
	"slices"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Region is one place that tenants may choose.
type Region struct {
	Name string
	// Zones its host clusters have nodes in.
	Zones []string
	// Room: a tenant that asks now gets a cluster, at once or after one was made.
	Room bool
}

// Regions are those that host clusters serve, by name.
func Regions(hosts []v1alpha1.HostCluster, clusters []v1alpha1.VirtualCluster) []Region {
	byName := map[string]*Region{}
	for i := range hosts {
		host := &hosts[i]
		if host.DeletionTimestamp != nil {
			continue
		}
		region := byName[host.Spec.Region]
		if region == nil {
			region = &Region{Name: host.Spec.Region}
			byName[region.Name] = region
		}
		region.Zones = append(region.Zones, host.Spec.Zones...)
		skipped := Judge(host, clusters)
		region.Room = region.Room || skipped == nil || skipped.Reason == v1alpha1.ReasonRefilling
	}
	regions := make([]Region, 0, len(byName))
	for _, region := range byName {
		slices.Sort(region.Zones)
		region.Zones = slices.Compact(region.Zones)
		regions = append(regions, *region)
	}
	slices.SortFunc(regions, func(a, b Region) int { return cmp.Compare(a.Name, b.Name) })
	return regions
}
