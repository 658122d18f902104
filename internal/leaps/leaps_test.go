package leaps

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/berth-dev/berth/internal/leaps/leapstest"
)

func TestALeapIsToldOnceAndTimeThatGoesByIsNone(t *testing.T) {
	later := func(d time.Duration) func(time.Time) time.Time {
		return func(now time.Time) time.Time { return now.Add(d) }
	}
	set := func(d time.Duration) func(time.Time) time.Time {
		return func(now time.Time) time.Time { return leapstest.Set(now.Add(every), d) }
	}
	for name, test := range map[string]struct {
		happens []func(time.Time) time.Time
		want    []time.Duration
	}{
		"time goes by":                           {[]func(time.Time) time.Time{later(every), later(time.Hour), later(every)}, nil},
		"it is set an hour on":                   {[]func(time.Time) time.Time{later(every), set(time.Hour), later(every)}, []time.Duration{time.Hour}},
		"it is set an hour back":                 {[]func(time.Time) time.Time{set(-time.Hour), later(every)}, []time.Duration{-time.Hour}},
		"it is set on and back again":            {[]func(time.Time) time.Time{set(time.Hour), set(-time.Hour)}, []time.Duration{time.Hour, -time.Hour}},
		"it is set right by a little":            {[]func(time.Time) time.Time{set(29 * time.Second), set(-29 * time.Second)}, nil},
		"it is set by a little again and again":  {[]func(time.Time) time.Time{set(20 * time.Second), set(20 * time.Second)}, []time.Duration{40 * time.Second}},
		"it is set while nobody looks for a day": {[]func(time.Time) time.Time{func(now time.Time) time.Time { return leapstest.Set(now.Add(24*time.Hour), time.Minute) }}, []time.Duration{time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			now := clocktesting.NewFakePassiveClock(time.Now())
			ctx, stop := context.WithCancel(t.Context())
			ticks, ended := make(chan time.Time), make(chan struct{})
			var told []time.Duration
			w := watch{now.Now()}
			go func() {
				defer close(ended)
				w.run(ctx, ticks, now, func(by time.Duration) { told = append(told, by) })
			}()
			for _, happens := range test.happens {
				now.SetTime(happens(now.Now()))
				// The second is taken when the first was seen through.
				ticks <- time.Time{}
				ticks <- time.Time{}
			}
			stop()
			<-ended
			if diff := cmp.Diff(test.want, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}
