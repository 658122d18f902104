package reconcilers_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/stage"
)

func TestARolloutIsStillEndedInTimeAfterTheClockWasSetBack(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(-time.Hour))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(299 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, rollingOut)
	s.Clock.SetTime(s.Clock.Now().Add(2 * time.Second))
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
}

// Nobody can tell an hour that was skipped from one that went by: the release fails with a
// reason, what was live serves on, and asking for a restart tries the release again.
func TestARolloutThatTheClockLeapsOverFailsAndCanBeTriedAgain(t *testing.T) {
	s := running(t)
	s.Deploy(s.App, stage.Component("ui", "ui2"), stage.Component("api", "api1"))
	s.Settle(s.App)
	s.Clock.SetTime(s.Clock.Now().Add(time.Hour))
	s.Settle(s.App)
	s.WantPhases(s.App, live, failed)
	s.WantRunning(s.App, map[string]string{"ui": "ui1", "api": "api1"})
	if failure := s.List(s.App)[0].Status.Failure; failure == nil || failure.Reason != v1alpha1.ReasonTimedOut {
		t.Errorf("failure: %+v", failure)
	}
	s.Healthy(s.App, "ui", "api")
	s.Clock.SetTime(s.Clock.Now().Add(time.Minute))
	s.Change(s.App, func(app *v1alpha1.App) { app.Spec.RestartedAt = new(metav1.NewTime(s.Clock.Now())) })
	s.Settle(s.App)
	s.Healthy(s.App, "ui", "api")
	s.Settle(s.App)
	s.WantPhases(s.App, superseded, failed, live)
	s.WantRunning(s.App, map[string]string{"ui": "ui2", "api": "api1"})
}

func TestALiveAppDoesNotNoticeThatTheClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour on": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := running(t)
			before := s.List(s.App)[0].ResourceVersion
			s.Clock.SetTime(s.Clock.Now().Add(jump))
			s.Settle(s.App)
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
