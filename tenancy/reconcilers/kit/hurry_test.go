package kit

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestALeavingTenantsPodHasThirtySecondsAndIsDroppedAfterAMinute(t *testing.T) {
	began := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	// pod was deleted when the tenant was, with a grace.
	pod := func(grace int64) *corev1.Pod {
		ends := metav1.NewTime(began.Add(time.Duration(grace) * time.Second))
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &ends, DeletionGracePeriodSeconds: ptr.To(grace)}}
	}
	for name, test := range map[string]struct {
		pod     *corev1.Pod
		after   time.Duration
		seconds int64
		due     bool
	}{
		"one that nobody deleted":              {&corev1.Pod{}, time.Second, 30, true},
		"one that nobody deleted, a day late":  {&corev1.Pod{}, 24 * time.Hour, 30, true},
		"one with a day of grace":              {pod(86400), time.Second, 30, true},
		"one with a day of grace, a day late":  {pod(86400), 24 * time.Hour, 30, true},
		"one with the usual grace":             {pod(30), time.Second, 0, false},
		"one whose grace is just over":         {pod(30), 31 * time.Second, 0, false},
		"one that is left after a minute":      {pod(30), 61 * time.Second, 0, true},
		"one that was dropped already":         {pod(0), 61 * time.Second, 0, false},
		"one left by a clock that is set back": {pod(30), -time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			seconds, due := graceOf(test.pod, began, began.Add(test.after))
			if seconds != test.seconds || due != test.due {
				t.Errorf("grace %d, due %t; want %d, %t", seconds, due, test.seconds, test.due)
			}
		})
	}
}
