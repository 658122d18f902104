package reconcilers_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
	"github.com/berth-dev/berth/internal/leaps/leapstest"
)

// leaps are how clocks are set while something goes on, one after the other.
var leaps = map[string][]time.Duration{
	"an hour on":                {time.Hour},
	"an hour back":              {-time.Hour},
	"an hour on and back again": {time.Hour, -time.Hour},
}

// timed is a stage whose clock is a machine's: it shows the time, which can be set, and
// counts what goes by, which cannot.
func timed(t *testing.T) *stage.Stage {
	t.Helper()
	s := running(t)
	s.Clock.SetTime(time.Now())
	return s
}

// rollingOn is a stage whose app's v2 is rolling out.
func rollingOn(t *testing.T) *stage.Stage {
	t.Helper()
	s := timed(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	return s
}

func later(s *stage.Stage, by time.Duration) { s.Clock.SetTime(s.Clock.Now().Add(by)) }

// set sets the clock, and lets the controller look after each time.
func set(s *stage.Stage, by ...time.Duration) {
	for _, leap := range by {
		s.Clock.SetTime(leapstest.Set(s.Clock.Now(), leap))
		s.Settle(s.App)
	}
}

// endsIn wants the rollout to fail when so much time has gone by, and not before.
func endsIn(t *testing.T, s *stage.Stage, left time.Duration) {
	t.Helper()
	later(s, left-2*time.Second)
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	later(s, 4*time.Second)
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
	if failure := s.List(s.App)[0].Status.Failure; failure == nil || failure.Reason != v1alpha1.ReasonTimedOut {
		t.Errorf("failure: %+v", failure)
	}
}

func TestARolloutHasItsTimeAndNoMoreWhateverTheClockIsSetTo(t *testing.T) {
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			s := rollingOn(t)
			later(s, time.Minute)
			set(s, leap...)
			s.WantPhases(s.App, live, rollingOut)
			endsIn(t, s, 4*time.Minute)
		})
	}
}

func TestARolloutThatTheClockLeapsOverGoesLiveByItself(t *testing.T) {
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			s := rollingOn(t)
			set(s, leap...)
			s.Healthy(s.App, "ui", "api")
			s.Settle(s.App)
			s.WantPhases(s.App, superseded, live)
		})
	}
}

func TestTheTimeInWhichAClusterIsAwayIsCountedRightWhateverTheClockIsSetTo(t *testing.T) {
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			s := rollingOn(t)
			later(s, time.Minute)
			s.Clusters.Away.Store(true)
			s.Settle(s.App)
			set(s, leap...)
			later(s, 10*time.Minute)
			s.Clusters.Away.Store(false)
			s.Settle(s.App)
			endsIn(t, s, 4*time.Minute)
		})
	}
}

func TestATroubleThatMayPassIsLetPassThoughTheClockIsSet(t *testing.T) {
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			s := rollingOn(t)
			s.Unfetched(s.App, "ui", 2)
			set(s, leap...)
			s.WantPhases(s.App, live, rollingOut)
		})
	}
	t.Run("and no longer than else", func(t *testing.T) {
		s := rollingOn(t)
		s.Unfetched(s.App, "ui", 2)
		set(s, time.Hour)
		later(s, 2*time.Minute)
		s.Settle(s.App)
		s.WantPhases(s.App, live, failed)
		if failure := s.List(s.App)[0].Status.Failure; failure == nil || failure.Reason != v1alpha1.ReasonImageNotFound {
			t.Errorf("failure: %+v", failure)
		}
	})
}

// Nobody can tell an hour that was skipped from one that went by while no controller was
// there. One that comes later takes the clock's word, but gives no rollout more than its
// whole time again.
func TestAControllerThatComesAfterTheClockWasSetTakesItsWord(t *testing.T) {
	t.Run("set back, the rollout has its whole time once more", func(t *testing.T) {
		s := rollingOn(t)
		s.Clock.SetTime(leapstest.Set(s.Clock.Now(), -time.Hour))
		s.Start(unbroken)
		s.Settle(s.App)
		s.WantPhases(s.App, live, rollingOut)
		endsIn(t, s, 5*time.Minute)
	})
	t.Run("set on, the rollout fails, and a restart tries it again", func(t *testing.T) {
		s := rollingOn(t)
		s.Clock.SetTime(leapstest.Set(s.Clock.Now(), time.Hour))
		s.Start(unbroken)
		s.Settle(s.App)
		s.WantPhases(s.App, live, failed)
		s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
		s.Healthy(s.App, "ui", "api")
		later(s, time.Minute)
		s.Change(s.App, func(app *v1alpha1.App) { app.Spec.RestartedAt = new(metav1.NewTime(s.Clock.Now())) })
		s.Settle(s.App)
		s.Healthy(s.App, "ui", "api")
		s.Settle(s.App)
		s.WantPhases(s.App, superseded, failed, live)
		s.WantRunning(s.App, map[string]string{"ui": "ui2", "api": "api1"})
	})
}

func TestALiveAppDoesNotNoticeThatTheClockIsSet(t *testing.T) {
	for name, leap := range leaps {
		t.Run(name, func(t *testing.T) {
			s := timed(t)
			before := s.List(s.App)[0].ResourceVersion
			set(s, leap...)
			s.WantPhases(s.App, live)
			if after := s.List(s.App)[0].ResourceVersion; after != before {
				t.Error("the release was written to")
			}
			if ready := condition(s, s.App, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
				t.Errorf("ready: %+v", ready)
			}
		})
	}
}
