package hostcluster

import (
	"sync"
	"time"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// youngLimit is how long a cache may take to show what was created.
const youngLimit = time.Minute

// young remembers the members this process created until the cache shows them, so
// that the next pass does not create them once more. What another process created
// just before this one took over may be missed; then the pool is too large for a
// while and shrinks again.
type young struct {
	mu      sync.Mutex
	members map[string]member
}

// member is a cluster as it was created, and when.
type member struct {
	v1alpha1.VirtualCluster
	created time.Time
}

func (y *young) remember(vc *v1alpha1.VirtualCluster, now time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.members == nil {
		y.members = map[string]member{}
	}
	y.members[vc.Name] = member{*vc, now}
}

// add gives the clusters with those that are not shown yet, and forgets the others.
func (y *young) add(clusters []v1alpha1.VirtualCluster, now time.Time) []v1alpha1.VirtualCluster {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, c := range clusters {
		delete(y.members, c.Name)
	}
	for name, c := range y.members {
		if now.Sub(c.created) > youngLimit {
			delete(y.members, name) // Deleted before it was ever shown.
			continue
		}
		clusters = append(clusters, c.VirtualCluster)
	}
	return clusters
}
