package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	tests := map[string]struct {
		sorted []int64
		want   int64
	}{
		"of an odd number, the middle one":          {[]int64{1, 5, 100}, 5},
		"of an even number, the mean of the middle": {[]int64{1, 5, 7, 100}, 6},
		"of none, a number that no time is":         {nil, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := median(test.sorted); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestMeasuringAgainReplacesThatMeasureAlone(t *testing.T) {
	old := []Record{{Measure: "up", Round: 1}, {Measure: "tenant", Round: 1}, {Measure: "tenant", Round: 2}}
	got := replace(old, []Record{{Measure: "tenant", Round: 3}})
	want := []Record{{Measure: "up", Round: 1}, {Measure: "tenant", Round: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRecordsComeBackAsWritten(t *testing.T) {
	path := t.TempDir() + "/records.jsonl"
	want := []Record{
		{Measure: "tenant", Case: tenantCold, Round: 1, Milliseconds: 10, Stages: map[string]int64{"api": 9}},
		{Measure: "usage", Case: groupBerth, Part: "berth-router", Processes: 1, RSSKiB: 2, PSSKiB: 1, MilliCPU: 0.5},
	}
	if err := writeRecords(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := readRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTheReportSaysWhetherAnAimWasReached(t *testing.T) {
	var records []Record
	for _, ms := range []int64{900, 1000, 5000} {
		records = append(records, Record{Measure: "tenant", Case: tenantCold, Milliseconds: ms},
			Record{Measure: "tenant", Case: tenantClaimed, Milliseconds: ms / 2},
			Record{Measure: "tenant", Case: peerEqual, Milliseconds: 2000})
	}
	text := report(records)
	for _, want := range []string{
		"| " + tenantCold + " | 3 | 0.90 s | 1.00 s | 5.00 s |",
		"| " + tenantCold + " ÷ " + peerEqual + " | 0.50 | ≤ 1.00 | reached |",
		"| " + tenantClaimed + " ÷ " + peerEqual + " | 0.25 | ≤ 0.10 | **missed** |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestLoadsAreOrderedAsNumbers(t *testing.T) {
	records := []Record{{Run: RunInfo{Load: "10.11"}}, {Run: RunInfo{Load: "9.41"}}}
	if got := loads(records); got != "9.41 to 10.11" {
		t.Errorf("got %s", got)
	}
}

func TestOnlyWhatStandsBetweenTheMarksIsReplaced(t *testing.T) {
	page := "above\n" + beginMark + "\nold\n" + endMark + "\nbelow\n"
	got, err := between(page, "new")
	if err != nil {
		t.Fatal(err)
	}
	if want := "above\n" + beginMark + "\n\nnew\n\n" + endMark + "\nbelow\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := between("no marks", "new"); err == nil {
		t.Error("a page without marks is no error")
	}
}

func TestManifestsKeepWhatAPersonWrites(t *testing.T) {
	got := written(map[string]any{
		"kind":     "Service",
		"metadata": map[string]any{"name": "web", "namespace": "app", "uid": "1", "managedFields": []any{}},
		"spec":     map[string]any{"clusterIP": "10.0.0.1", "ports": []any{}},
		"status":   map[string]any{},
	})
	want := map[string]any{
		"kind": "Service", "metadata": map[string]any{"name": "web", "namespace": "app"}, "spec": map[string]any{"ports": []any{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
