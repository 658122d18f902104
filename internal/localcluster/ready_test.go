package localcluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

func TestWhatAPodSaidBeforeAStopIsNotBelieved(t *testing.T) {
	started := time.Date(2026, 5, 1, 12, 0, 0, 700_000_000, time.UTC)
	running := func(since time.Time) *corev1.Pod {
		state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since.Truncate(time.Second))}}
		return &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: state}}}}
	}
	leaving := running(started.Add(-time.Hour))
	leaving.DeletionTimestamp = &metav1.Time{Time: started}
	for name, test := range map[string]struct {
		pod   *corev1.Pod
		after time.Time
		stale bool
	}{
		"runs since before the stop":                     {running(started.Add(-time.Minute)), started, true},
		"was started again":                              {running(started.Add(time.Second)), started, false},
		"was started within the second the start was in": {running(started.Add(100 * time.Millisecond)), started, false},
		"is on its way out":                              {leaving, started, false},
		"runs in a cluster that others start":            {running(started.Add(-time.Hour)), time.Time{}, false},
	} {
		if got := isStale(test.pod, test.after); got != test.stale {
			t.Errorf("a pod that %s: stale is %t", name, got)
		}
	}
}

func TestKindsThatAreNotServedYetAreWaitedFor(t *testing.T) {
	missing := utilerrors.NewAggregate([]error{fmt.Errorf("building objects: %w", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Plan"}})})
	other := errors.New("another error")
	for name, c := range map[string]struct {
		answers []error
		want    error
	}{
		"served on the second attempt": {[]error{missing, nil}, nil},
		"another error ends it":        {[]error{missing, other, nil}, other},
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			err := served(t.Context(), func() error {
				attempts++
				return c.answers[attempts-1]
			})
			if !errors.Is(err, c.want) || attempts != 2 {
				t.Errorf("%v after %d attempts, want %v after 2", err, attempts, c.want)
			}
		})
	}
	t.Run("an end from outside ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := served(ctx, func() error { return missing }); !meta.IsNoMatchError(err) {
			t.Errorf("%v, want what was missing", err)
		}
	})
}
