package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/localcluster"
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

// threeRounds of three cases on a quiet machine.
func threeRounds() []Record {
	var records []Record
	run := RunInfo{Idle: quietIdle}
	for _, ms := range []int64{900, 1000, 5000} {
		records = append(records, Record{Measure: "tenant", Case: tenantCold, Milliseconds: ms, Run: run},
			Record{Measure: "tenant", Case: tenantClaimed, Milliseconds: ms / 2, Run: run},
			Record{Measure: "tenant", Case: peerEqual, Milliseconds: 2000, Run: run})
	}
	return records
}

func TestNoVerdictOnTooLittle(t *testing.T) {
	busy := threeRounds()
	busy[4].Run.Idle = quietIdle - 1
	tests := map[string]struct {
		records []Record
		want    string
	}{
		"two rounds":                       {threeRounds()[:6], "too few rounds"},
		"one measured while others worked": {busy, "busy machine"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := "| " + tenantClaimed + " ÷ " + peerEqual + " | 0.2"
			_, rest, found := strings.Cut(report(test.records), want)
			line, _, _ := strings.Cut(rest, "\n")
			if !found || !strings.HasSuffix(line, "| "+test.want+" |") {
				t.Errorf("got %q, want %q at its end:\n%s", line, test.want, report(test.records))
			}
		})
	}
}

func TestCommandsAreComparedWithoutAnAim(t *testing.T) {
	text := report([]Record{
		{Measure: "deploy", Case: deployNew, Milliseconds: 3000, Stages: map[string]int64{"first": 3000, "command": 4000}},
		{Measure: "deploy", Case: kubectlNew, Milliseconds: 2000, Stages: map[string]int64{"command": 2000}},
	})
	want := "| " + deployNew + " ÷ " + kubectlNew + ", command returned | 2.00 | – | – |"
	if !strings.Contains(text, want) {
		t.Errorf("the report lacks %q:\n%s", want, text)
	}
}

func TestTablesOfSeveralRunsSaySo(t *testing.T) {
	records := threeRounds()
	if text := report(records); !strings.Contains(text, "of one run") {
		t.Errorf("one run is not called one:\n%s", text)
	}
	records = append(records, Record{Measure: "usage", Case: groupBerth, Run: RunInfo{Started: time.Unix(1, 0).UTC(), Commit: "abc-dirty"}})
	text := report(records)
	for _, want := range []string{"of 2 runs", "Run of 1970-01-01 00:00:01 UTC at abc-dirty"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestIdleIsTheShareOfAllTicks(t *testing.T) {
	before := "cpu  100 0 100 800 100 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
	after := "cpu  110 0 110 860 110 0 0 10 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
	if got, err := idleBetween(before, after); err != nil || got != 70 {
		t.Errorf("got %d, %v; want 70", got, err)
	}
	if _, err := idleBetween(before, before); err == nil {
		t.Error("no time between the readings is no error")
	}
}

func TestPartsOfMakeUpAddWhatIsAroundBerthUp(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	got, err := partsOf([]line{
		{"compiling", at(10)},
		{"✓ Berth                      2.0s", at(2500)},
		{"✓ Kubernetes' parts          2.5s  built 3", at(3000)},
		{"✓ Berth itself               1.0s", at(4000)},
		{"making the tenant acme", at(4500)},
	}, start, 9*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []localcluster.StepTime{
		{Name: upBefore, Milliseconds: 500},
		{Name: "Berth", Milliseconds: 2000},
		{Name: "Kubernetes' parts", Milliseconds: 2500},
		{Name: "Berth itself", Milliseconds: 1000},
		{Name: upShop, Milliseconds: 5000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAShimBelongsToThePodOfItsChild(t *testing.T) {
	const uid = "0f0e0d0c-1111-2222-3333-444455556666"
	all := map[int]process{
		1: {pid: 1, name: "containerd-shim-runc-v2", cgroup: "0::/berth/node\n"},
		2: {pid: 2, parent: 1, name: "pause", cgroup: "0::/kubepods/burstable/pod" + uid + "/abc\n"},
		3: {pid: 3, name: "containerd", cgroup: "0::/berth/node\n"},
	}
	for pid, want := range map[int]string{1: uid, 2: uid, 3: ""} {
		if got := podOf(all[pid], all); got != want {
			t.Errorf("process %d: got %q, want %q", pid, got, want)
		}
	}
}

func TestEveryOtherRoundGoesBackwards(t *testing.T) {
	sides := []string{"ours", "theirs"}
	got := [][]string{turns(1, sides), turns(2, sides), turns(3, sides)}
	want := [][]string{{"ours", "theirs"}, {"theirs", "ours"}, {"ours", "theirs"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASecondRunInOneHomeIsRefused(t *testing.T) {
	home := t.TempDir() + "/home"
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(home); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("got %v", err)
	}
	unlock()
	again, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestTheReportSaysWhetherAnAimWasReached(t *testing.T) {
	text := report(threeRounds())
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
