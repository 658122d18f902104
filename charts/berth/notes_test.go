package berth_test

import (
	"slices"
	"strings"
	"testing"
)

// A kind that the notes forget is left in the cluster by who follows them.
func TestTheNotesNameEveryKindThatStays(t *testing.T) {
	files, err := render(t, minimal(), "berth-system")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(files["berth/templates/NOTES.txt"])
	for _, crd := range load(t).CRDObjects() {
		plural := strings.TrimSuffix(strings.TrimPrefix(crd.Name, "crds/berth.dev_"), ".yaml")
		if !slices.Contains(words, plural+".berth.dev") {
			t.Errorf("%s.berth.dev is not among what to delete", plural)
		}
	}
}
