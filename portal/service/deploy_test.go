package service

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

// What was looked up for one image must not be put over another.
func TestADeployGivesWayToOneThatCameFirst(t *testing.T) {
	old, next := v1alpha1.Component{Name: "web", Image: "a"}, v1alpha1.Component{Name: "web", Image: "b", User: new(int64(7))}
	swaps := map[string]swap{"web": {old: old, next: next}}
	template := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "db", Image: "x"}, old}}
	if err := applySwaps(template, swaps); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]v1alpha1.Component{{Name: "db", Image: "x"}, next}, template.Components); diff != "" {
		t.Error(diff)
	}
	for name, meanwhile := range map[string][]v1alpha1.Component{
		"another image":          {{Name: "web", Image: "c"}},
		"another user":           {{Name: "web", Image: "a", User: new(int64(1))}},
		"the component is taken": {{Name: "db", Image: "x"}},
	} {
		if err := applySwaps(&v1alpha1.AppTemplate{Components: meanwhile}, swaps); errs.CodeOf(err) != errs.Conflict {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
}
