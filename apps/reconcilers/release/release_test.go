package release

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/reconcilers/internal/place"
)

var moment = metav1.NewTime(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))

func releaseIn(version int64, phase v1alpha1.ReleasePhase, finished bool) v1alpha1.Release {
	r := v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("shop-v%d", version)},
		Spec:       v1alpha1.ReleaseSpec{App: "shop", Version: version},
		Status:     v1alpha1.ReleaseStatus{Phase: phase},
	}
	if finished {
		r.Status.FinishedAt = &moment
	}
	return r
}

func TestWhatBecomesOfReleasesThatAreNotTheTarget(t *testing.T) {
	tests := map[string]struct {
		release, target v1alpha1.Release
		want            v1alpha1.ReleasePhase
		changes         bool
	}{
		"what is live serves until the target is": {releaseIn(1, v1alpha1.ReleaseLive, true), releaseIn(2, v1alpha1.ReleaseRollingOut, false), "", false},
		"what was live is superseded by a live target": {
			releaseIn(1, v1alpha1.ReleaseLive, true), releaseIn(2, v1alpha1.ReleaseLive, true), v1alpha1.ReleaseSuperseded, true,
		},
		"what was never judged is superseded at once": {
			releaseIn(1, v1alpha1.ReleaseRollingOut, false), releaseIn(2, v1alpha1.ReleasePending, false), v1alpha1.ReleaseSuperseded, true,
		},
		"what failed stays failed": {releaseIn(3, v1alpha1.ReleaseFailed, true), releaseIn(2, v1alpha1.ReleaseLive, true), "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := &work{target: &test.target}
			if got, changes := w.retired(&test.release); got != test.want || changes != test.changes {
				t.Errorf("got %q, %t", got, changes)
			}
		})
	}
}

func TestARefusalIsExplained(t *testing.T) {
	kind := schema.GroupKind{Kind: "Thing"}
	tests := map[string]struct {
		err  error
		want string
	}{
		"secrets that are gone":    {apierrors.NewInvalid(kind, secretsGone, nil), "berth secrets:set"},
		"a namespace made by hand": {apierrors.NewInvalid(kind, namespaceTaken, nil), "made by hand"},
		"a volume that cannot grow": {
			fmt.Errorf("applying PersistentVolumeClaim db-data: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, "db-data", errors.New("only dynamically provisioned"))),
			"A volume cannot be changed",
		},
		"anything else": {fmt.Errorf("applying Service ui: %w", apierrors.NewInvalid(kind, "ui", nil)), "refused the release: applying Service ui"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if !place.Refused(test.err) {
				t.Error("it is not taken for a refusal")
			}
			got := refused(test.err)
			if text := got.Message + " " + got.Hint; !strings.Contains(text, test.want) || got.Hint == "" {
				t.Errorf("got %q", text)
			}
		})
	}
}

func TestTheTailIsShortAndValid(t *testing.T) {
	lines := strings.Repeat("line\n", 50)
	tests := map[string]struct {
		text, want string
	}{
		"the last lines are kept":       {lines + "the end\n\n", strings.Repeat("line\n", 19) + "the end"},
		"bytes that are no text go":     {"a\xffb\x00c", "a?b?c"},
		"nothing stays nothing":         {"\n", ""},
		"a long line loses its start":   {strings.Repeat("x", 9000) + "end", strings.Repeat("x", 4096-3) + "end"},
		"a rune is not cut in its half": {"a" + strings.Repeat("ä", 4096), strings.Repeat("ä", 2048)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := tidyTail(test.text)
			if diff := cmp.Diff(test.want, got); diff != "" || !utf8.ValidString(got) {
				t.Error(diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	failure := v1alpha1.ReleaseFailure{Reason: v1alpha1.ReasonOutOfMemory, Message: "too much"}
	tests := map[string]struct {
		changes []change
		phase   v1alpha1.ReleasePhase
		healthy metav1.ConditionStatus
	}{
		"a rollout is not healthy yet":            {[]change{rollingOut(moment)}, v1alpha1.ReleaseRollingOut, metav1.ConditionFalse},
		"an absent cluster leaves the phase":      {[]change{rollingOut(moment), waiting}, v1alpha1.ReleaseRollingOut, metav1.ConditionUnknown},
		"a rollout ends well":                     {[]change{rollingOut(moment), progressing("ui"), live(moment)}, v1alpha1.ReleaseLive, metav1.ConditionTrue},
		"a rollout ends badly":                    {[]change{rollingOut(moment), failed(moment, failure)}, v1alpha1.ReleaseFailed, metav1.ConditionFalse},
		"a release that was live stays known so":  {[]change{live(moment), superseded}, v1alpha1.ReleaseSuperseded, metav1.ConditionTrue},
		"a release that was not live is known so": {[]change{rollingOut(moment), superseded}, v1alpha1.ReleaseSuperseded, metav1.ConditionFalse},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var status v1alpha1.ReleaseStatus
			for _, change := range test.changes {
				change(&status, 1)
			}
			if status.Phase != test.phase {
				t.Errorf("the phase is %s", status.Phase)
			}
			for _, condition := range status.Conditions {
				if condition.Type == v1alpha1.ConditionHealthy && condition.Status != test.healthy {
					t.Errorf("healthy: %s %s", condition.Status, condition.Message)
				}
			}
		})
	}
}
