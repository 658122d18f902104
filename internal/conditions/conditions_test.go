package conditions_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/internal/conditions"
)

// seen is a condition without its time.
type seen struct {
	Type            string
	Status          metav1.ConditionStatus
	Generation      int64
	Reason, Message string
}

func see(conds []metav1.Condition) []seen {
	var all []seen
	for _, c := range conds {
		all = append(all, seen{c.Type, c.Status, c.ObservedGeneration, c.Reason, c.Message})
	}
	return all
}

func TestInitializeMakesAllPresentAndKeepsWhatIsKnown(t *testing.T) {
	var conds []metav1.Condition
	conditions.Set(&conds, 1, "Bound", true, "Succeeded", "")
	conditions.Initialize(&conds, 2, "Bound", "Applied")
	want := []seen{
		{"Bound", metav1.ConditionTrue, 1, "Succeeded", ""},
		{"Ready", metav1.ConditionUnknown, 2, "Waiting", "Not looked at yet"},
		{"Applied", metav1.ConditionUnknown, 2, "Waiting", "Not looked at yet"},
	}
	if diff := cmp.Diff(want, see(conds)); diff != "" {
		t.Errorf("unlike what was wanted (-want +got):\n%s", diff)
	}
}

func TestDeriveReady(t *testing.T) {
	type set struct {
		conditionType string
		generation    int64
		status        metav1.ConditionStatus
		reason        string
	}
	tests := map[string]struct {
		sets []set
		want seen
	}{
		"ready when all are true": {
			[]set{{"A", 3, metav1.ConditionTrue, "Done"}, {"B", 3, metav1.ConditionTrue, "Done"}},
			seen{"Ready", metav1.ConditionTrue, 3, "Succeeded", ""},
		},
		"not ready for the reason of the first that is false": {
			[]set{{"A", 3, metav1.ConditionFalse, "First"}, {"B", 3, metav1.ConditionFalse, "Second"}},
			seen{"Ready", metav1.ConditionFalse, 3, "First", "First"},
		},
		"an unknown before a false decides": {
			[]set{{"A", 3, metav1.ConditionUnknown, "First"}, {"B", 3, metav1.ConditionFalse, "Second"}},
			seen{"Ready", metav1.ConditionUnknown, 3, "First", "First"},
		},
		"unknown while one is missing": {
			[]set{{"A", 3, metav1.ConditionTrue, "Done"}},
			seen{"Ready", metav1.ConditionUnknown, 3, "Waiting", "Not looked at yet"},
		},
		"unknown while one speaks of an older generation": {
			[]set{{"A", 3, metav1.ConditionTrue, "Done"}, {"B", 2, metav1.ConditionTrue, "Done"}},
			seen{"Ready", metav1.ConditionUnknown, 3, "Waiting", "The newest change has not been looked at yet"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var conds []metav1.Condition
			for _, s := range test.sets {
				conditions.Set(&conds, s.generation, s.conditionType, s.status, s.reason, s.reason)
			}
			conditions.DeriveReady(&conds, 3, "A", "B")
			all := see(conds)
			if diff := cmp.Diff(test.want, all[len(all)-1]); diff != "" {
				t.Errorf("unlike what was wanted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetMovesTheTransitionTimeOnlyWithTheStatus(t *testing.T) {
	before := metav1.NewTime(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	conds := []metav1.Condition{{Type: "A", Status: metav1.ConditionFalse, Reason: "Progressing", LastTransitionTime: before}}
	conditions.Set(&conds, 2, "A", false, "NoCapacity", "no room")
	if got := conds[0].LastTransitionTime; !got.Equal(&before) {
		t.Errorf("the same status moved the time to %v", got)
	}
	conditions.Set(&conds, 2, "A", true, "Succeeded", "")
	if got := conds[0].LastTransitionTime; got.Equal(&before) {
		t.Error("a new status kept the old time")
	}
}

func TestSetCutsLongMessagesBetweenRunes(t *testing.T) {
	var conds []metav1.Condition
	conditions.Set(&conds, 1, "A", false, "Any", strings.Repeat("ä", 5000))
	got := conds[0].Message
	if len(got) > 2100 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d bytes, valid %t", len(got), utf8.ValidString(got))
	}
}

func TestIsTrueWantsThisGeneration(t *testing.T) {
	var conds []metav1.Condition
	conditions.Set(&conds, 1, "A", true, "Succeeded", "")
	if !conditions.IsTrue(conds, 1, "A") || conditions.IsTrue(conds, 2, "A") || conditions.IsTrue(conds, 1, "B") {
		t.Errorf("misjudged %+v", conds)
	}
}
