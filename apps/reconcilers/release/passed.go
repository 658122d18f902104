package release

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// counts remember how long ago the moments of each app's rollout were that are written down:
// when it began, and when the tenant's API server went away. The wall clock, which anybody
// may set, says so once, when this process first sees a moment; from then on the time that
// really goes by is counted. What another process counted before this one took over is not
// known.
type counts struct {
	mu sync.Mutex
	of map[types.NamespacedName]rollout
}

// rollout is what is known of one release's moments.
type rollout struct {
	release types.UID
	moments map[int64]count
}

// count is when a moment was first seen, and how long ago it was then by the wall clock.
type count struct {
	seen time.Time
	ago  time.Duration
}

// passed is how long ago a moment of an app's release was; less than nothing for one in the
// future.
func (c *counts) passed(app types.NamespacedName, release types.UID, moment, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[app].release != release {
		if c.of == nil {
			c.of = map[types.NamespacedName]rollout{}
		}
		c.of[app] = rollout{release, map[int64]count{}}
	}
	known, found := c.of[app].moments[moment.UnixNano()]
	if !found {
		known = count{seen: now, ago: now.Round(0).Sub(moment)}
		c.of[app].moments[moment.UnixNano()] = known
	}
	return known.ago + now.Sub(known.seen)
}

// forget ends the counts of an app.
func (c *counts) forget(app types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, app)
}

// passed is how long ago a moment of the target's rollout was.
func (r *Reconciler) passed(work *work, moment time.Time) time.Duration {
	return r.counts.passed(client.ObjectKeyFromObject(work.app), work.target.UID, moment, r.Clock.Now())
}

// lasted is how long the target's rollout has lasted; nothing if it has not begun.
func (r *Reconciler) lasted(work *work) time.Duration {
	began := work.target.Status.StartedAt
	if began == nil {
		return 0
	}
	return r.passed(work, began.Time)
}

// earliest is the time to tell the age of a rollout's processes by: the earlier of what the
// clock shows and what it would show if nobody had set it since the rollout began. One of
// the two makes those that came before it was set, or those that came after, older than they
// are, and a trouble that may pass would not be let pass.
func (r *Reconciler) earliest(work *work) time.Time {
	now := r.Clock.Now()
	began := work.target.Status.StartedAt
	if began == nil {
		return now
	}
	if counted := began.Add(r.lasted(work)); counted.Before(now) {
		return counted
	}
	return now
}
