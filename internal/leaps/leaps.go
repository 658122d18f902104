package leaps

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

const (
	// every is how often the clock is looked at.
	every = 5 * time.Second
	// least is the least leap that counts. What is less is what clocks that are kept right do.
	least = 30 * time.Second
)

// Source asks for a look at each of some objects whenever the clock was set.
func Source(now clock.PassiveClock, objects func(context.Context) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		started := watch{now.Now()}
		go func() {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			started.run(ctx, ticker.C, now, func(by time.Duration) {
				log.FromContext(ctx).Info("The clock was set", "by", by.String())
				for _, request := range objects(ctx) {
					queue.Add(request)
				}
			})
		}()
		return nil
	})
}

// watch holds what the clock showed at the start, or after its last leap.
type watch struct{ since time.Time }

// run tells of each leap until the context ends.
func (w *watch) run(ctx context.Context, ticks <-chan time.Time, now clock.PassiveClock, tell func(by time.Duration)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			if by := w.leapt(now.Now()); by != 0 {
				tell(by)
			}
		}
	}
}

// leapt is by how much the clock was set since it was last said to be; zero for less than
// counts. The difference of two readings is the time that went by, that of what they show
// is what the clock makes of it.
func (w *watch) leapt(now time.Time) time.Duration {
	by := now.Round(0).Sub(w.since.Round(0)) - now.Sub(w.since)
	if by.Abs() < least {
		return 0
	}
	w.since = now
	return by
}
