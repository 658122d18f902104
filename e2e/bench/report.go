package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The lines of docs/benchmarks.md between which the tables stand.
const (
	beginMark = "<!-- measured: begin -->"
	endMark   = "<!-- measured: end -->"
)

// comparison is one side measured against another, with the ratio aimed at.
type comparison struct {
	measure, ours, theirs string
	aim                   float64
}

var comparisons = []comparison{
	{"tenant", tenantCold, peerEqual, 1},
	{"tenant", tenantCold, peerDefault, 1},
	{"tenant", tenantClaimed, peerEqual, 0.1},
	{"tenant", tenantClaimed, peerDefault, 0.1},
	{"deploy", deployNew, kubectlNew, 1.15},
	{"deploy", deployImage, kubectlImage, 1.15},
}

// report writes the tables of all records.
func report(records []Record) string {
	var w strings.Builder
	section := func(measure, title, text string, body func(*strings.Builder, []Record)) {
		chosen := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Measure != measure })
		if len(chosen) == 0 {
			return
		}
		info := chosen[0].Run
		fmt.Fprintf(&w, "### %s\n\n%s\n\nMeasured %s at %s on %s; load average before it %s.\n\n", title, text,
			info.Started.Format("2006-01-02 15:04 UTC"), info.Commit, info.Machine, loads(chosen))
		body(&w, chosen)
	}
	section("tenant", "A tenant", "Until the command has returned, the API server answers `/readyz` and the pod of the tenant's CoreDNS is ready.", writeComparison)
	section("deploy", "A deploy", "Until the first 200 from the new image at the edge; for `kubectl`, until `rollout status` returns.", writeComparison)
	section("usage", "Memory and CPU at rest", "One tenant with no app, an empty pool. PSS counts what processes share once.", writeUsage)
	section("up", "`berth up`, everything compiled", "Steps overlap where they can; the total is what a person waits.", writeSteps)
	section("cold", "`berth up`, the first of all", "Empty caches: modules are downloaded and everything is compiled. Debian packages are there.", writeSteps)
	return strings.TrimRight(w.String(), "\n")
}

// loads is the range of the load averages that records were made under.
func loads(records []Record) string {
	seen := make([]string, len(records))
	for i, r := range records {
		seen[i] = r.Run.Load
	}
	slices.SortFunc(seen, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return cmp.Compare(x, y)
	})
	if seen[0] == seen[len(seen)-1] {
		return seen[0]
	}
	return seen[0] + " to " + seen[len(seen)-1]
}

// writeComparison writes the times of every case, their ratios and the stages.
func writeComparison(w *strings.Builder, records []Record) {
	fmt.Fprintf(w, "| | rounds | min | median | max |\n|---|--:|--:|--:|--:|\n")
	for _, name := range cases(records) {
		times := timesOf(records, name)
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s |\n", name, len(times), seconds(times[0]), seconds(median(times)), seconds(times[len(times)-1]))
	}
	fmt.Fprintf(w, "\n| ratio of medians | | aim | |\n|---|--:|--:|---|\n")
	for _, c := range comparisons {
		ours, theirs := timesOf(records, c.ours), timesOf(records, c.theirs)
		if c.measure != records[0].Measure || len(ours) == 0 || len(theirs) == 0 {
			continue
		}
		ratio, verdict := float64(median(ours))/float64(median(theirs)), "reached"
		if ratio > c.aim {
			verdict = "**missed**"
		}
		fmt.Fprintf(w, "| %s ÷ %s | %.2f | ≤ %.2f | %s |\n", c.ours, c.theirs, ratio, c.aim, verdict)
	}
	writeStages(w, records)
}

// writeStages writes when each stage was reached, as medians.
func writeStages(w *strings.Builder, records []Record) {
	var stages []string
	for _, stage := range stageOrder {
		if slices.ContainsFunc(records, func(r Record) bool { _, ok := r.Stages[stage.name]; return ok }) {
			stages = append(stages, stage.name)
		}
	}
	if len(stages) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWhere the time goes, as medians from the start:\n\n|")
	for _, stage := range stageOrder {
		if slices.Contains(stages, stage.name) {
			fmt.Fprintf(w, " | %s", stage.text)
		}
	}
	fmt.Fprintf(w, " |\n|---%s|\n", strings.Repeat("|--:", len(stages)))
	for _, name := range cases(records) {
		fmt.Fprintf(w, "| %s", name)
		for _, stage := range stages {
			var times []int64
			for _, r := range records {
				if at, ok := r.Stages[stage]; ok && r.Case == name {
					times = append(times, at)
				}
			}
			slices.Sort(times)
			fmt.Fprintf(w, " | %s", seconds(median(times)))
		}
		fmt.Fprintf(w, " |\n")
	}
	fmt.Fprintln(w)
}

// stageOrder are the stages in the order of their columns.
var stageOrder = []struct{ name, text string }{
	{"pod", "pod made"},
	{"containers", "control plane's container runs"},
	{"api", "API answers"},
	{"dns", "DNS ready"},
	{"tenant", "Tenant Ready"},
	{"ready", "process ready"},
	{"first", "first 200"},
	{"apply", "`kubectl apply` returned"},
	{"command", "command returned"},
}

// writeUsage writes memory and CPU of every part, and sums for each group.
func writeUsage(w *strings.Builder, records []Record) {
	fmt.Fprintf(w, "| | processes | RSS | PSS | CPU |\n|---|--:|--:|--:|--:|\n")
	for _, group := range cases(records) {
		var sum Record
		var lines strings.Builder
		for _, r := range records {
			if r.Case != group {
				continue
			}
			sum.Processes, sum.RSSKiB, sum.PSSKiB, sum.MilliCPU = sum.Processes+r.Processes, sum.RSSKiB+r.RSSKiB, sum.PSSKiB+r.PSSKiB, sum.MilliCPU+r.MilliCPU
			writeUsageLine(&lines, r.Part, r)
		}
		writeUsageLine(w, "**"+group+"**", sum)
		w.WriteString(lines.String())
	}
	fmt.Fprintln(w)
}

func writeUsageLine(w *strings.Builder, name string, r Record) {
	fmt.Fprintf(w, "| %s | %d | %d MiB | %d MiB | %.1fm |\n", name, r.Processes, r.RSSKiB>>10, r.PSSKiB>>10, r.MilliCPU)
}

// writeSteps writes the median of every step of every case, side by side.
func writeSteps(w *strings.Builder, records []Record) {
	names := cases(records)
	var steps []string
	for _, r := range records {
		if r.Part != "" && !slices.Contains(steps, r.Part) {
			steps = append(steps, r.Part)
		}
	}
	fmt.Fprintf(w, "| | %s |\n|---%s|\n", strings.Join(names, " | "), strings.Repeat("|--:", len(names)))
	for _, step := range append(steps, "") {
		name := step
		if step == "" {
			name = "**total**"
		}
		fmt.Fprintf(w, "| %s", name)
		for _, c := range names {
			var times []int64
			for _, r := range records {
				if r.Case == c && r.Part == step {
					times = append(times, r.Milliseconds)
				}
			}
			slices.Sort(times)
			fmt.Fprintf(w, " | %s", seconds(median(times)))
		}
		fmt.Fprintf(w, " |\n")
	}
	fmt.Fprintln(w)
}

// cases are the cases of records in the order they were measured in.
func cases(records []Record) []string {
	var names []string
	for _, r := range records {
		if !slices.Contains(names, r.Case) {
			names = append(names, r.Case)
		}
	}
	return names
}

// timesOf are the sorted times of the whole of a case.
func timesOf(records []Record, name string) []int64 {
	var times []int64
	for _, r := range records {
		if r.Case == name && r.Part == "" {
			times = append(times, r.Milliseconds)
		}
	}
	slices.Sort(times)
	return times
}

// median of sorted times; the mean of the middle two of an even number.
func median(sorted []int64) int64 {
	if len(sorted) == 0 {
		return -1
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func seconds(ms int64) string {
	if ms < 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", float64(ms)/1000)
}

// insert puts text between the marks of a file.
func insert(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := between(string(page), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}

func between(page, text string) (string, error) {
	before, rest, begins := strings.Cut(page, beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return "", errors.New("there are no lines " + beginMark + " and " + endMark)
	}
	return before + beginMark + "\n\n" + text + "\n\n" + endMark + after, nil
}
