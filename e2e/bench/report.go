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

// comparison is one side measured against another.
type comparison struct {
	measure, ours, theirs string
	// stage that is compared on both sides; the whole if empty.
	stage string
	// aim is the ratio aimed at, 0 for none.
	aim float64
}

// enoughRounds is how many rounds of each side a verdict needs.
const enoughRounds = 3

var comparisons = []comparison{
	{"tenant", tenantCold, peerEqual, "", 1},
	{"tenant", tenantCold, peerDefault, "", 1},
	{"tenant", tenantClaimed, peerEqual, "", 0.1},
	{"tenant", tenantClaimed, peerDefault, "", 0.1},
	{"deploy", deployNew, kubectlNew, "", 1.15},
	{"deploy", deployImage, kubectlImage, "", 1.15},
	{"deploy", deployNew, kubectlNew, "command", 0},
	{"deploy", deployImage, kubectlImage, "command", 0},
}

// report writes the tables of all records.
func report(records []Record) string {
	var w strings.Builder
	if started := runs(records); len(started) > 1 {
		fmt.Fprintf(&w, "These tables are of %d runs; above each stands of which.\n\n", len(started))
	} else {
		fmt.Fprintf(&w, "All of these tables are of one run.\n\n")
	}
	section := func(measure, title, text string, body func(*strings.Builder, []Record)) {
		chosen := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Measure != measure })
		if len(chosen) == 0 {
			return
		}
		fmt.Fprintf(&w, "### %s\n\n%s\n\n%s; before a measurement the CPUs were %s idle, with a load average of %s.\n\n",
			title, text, strings.Join(runs(chosen), "; "), idles(chosen), loads(chosen))
		body(&w, chosen)
	}
	section("tenant", "A tenant", "Until the command has returned, the API server answers `/readyz` and the pod of the tenant's CoreDNS is ready.", writeComparison)
	section("deploy", "A deploy", "Until the first 200 from the new image at the edge; for `kubectl`, until `rollout status` returns.", writeComparison)
	section("edge", "The edge", edgeText, writeEdge)
	section("usage", "Memory and CPU at rest", "One tenant with no app, an empty pool. PSS counts what processes share once. "+
		"A pod's containerd-shim is counted with its pod. Berth's own supervisor, node and node-agent are parts of the embedded "+
		"Kubernetes: Berth in another cluster has none of them.", writeUsage)
	section("recovery", "Recovery", recoveryText, writeRecovery)
	section("up", "`make up`, everything compiled", stepsText, writeSteps)
	section("cold", "`make up`, the first of all", "Empty caches: modules are downloaded and everything is compiled. Debian packages are there. "+stepsText, writeSteps)
	return strings.TrimRight(w.String(), "\n")
}

const stepsText = "Steps overlap where they can; the total is what a person waits. The example shop is what is left to do for it once Berth is up: " +
	"its images are made meanwhile."

// runs names the runs that records are of, oldest first.
func runs(records []Record) []string {
	var infos []RunInfo
	for _, r := range records {
		if !slices.ContainsFunc(infos, func(i RunInfo) bool { return i.Started.Equal(r.Run.Started) }) {
			infos = append(infos, r.Run)
		}
	}
	slices.SortFunc(infos, func(a, b RunInfo) int { return a.Started.Compare(b.Started) })
	var names []string
	for _, i := range infos {
		names = append(names, fmt.Sprintf("Run of %s at %s on %s", i.Started.Format("2006-01-02 15:04:05 UTC"), i.Commit, i.Machine))
	}
	return names
}

// idles is the range of how idle the CPUs were before records were made.
func idles(records []Record) string {
	least, most := records[0].Run.Idle, records[0].Run.Idle
	for _, r := range records {
		least, most = min(least, r.Run.Idle), max(most, r.Run.Idle)
	}
	if least == most {
		return fmt.Sprintf("%d %%", least)
	}
	return fmt.Sprintf("%d to %d %%", least, most)
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
		ours, theirs := stageTimes(records, c.ours, c.stage), stageTimes(records, c.theirs, c.stage)
		if c.measure != records[0].Measure || len(ours) == 0 || len(theirs) == 0 {
			continue
		}
		what, aim := c.ours+" ÷ "+c.theirs, "–"
		if c.stage != "" {
			what += ", " + stageText(c.stage)
		}
		if c.aim > 0 {
			aim = fmt.Sprintf("≤ %.2f", c.aim)
		}
		ratio := float64(median(ours)) / float64(median(theirs))
		fmt.Fprintf(w, "| %s | %.2f | %s | %s |\n", what, ratio, aim, c.verdict(ratio, min(len(ours), len(theirs)), records))
	}
	writeStages(w, records)
}

// verdict says whether the aim was reached, or why that cannot be said.
func (c comparison) verdict(ratio float64, rounds int, records []Record) string {
	busy := slices.ContainsFunc(records, func(r Record) bool {
		return (r.Case == c.ours || r.Case == c.theirs) && r.Run.Idle < quietIdle
	})
	switch {
	case c.aim == 0:
		return "–"
	case rounds < enoughRounds:
		return "too few rounds"
	case busy:
		return "busy machine"
	case ratio > c.aim:
		return "**missed**"
	}
	return "reached"
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
			fmt.Fprintf(w, " | %s", seconds(median(stageTimes(records, name, stage))))
		}
		fmt.Fprintf(w, " |\n")
	}
	fmt.Fprintln(w)
}

type stageColumn struct{ name, text string }

// stageOrder are the stages in the order of their columns.
var stageOrder = []stageColumn{
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

func stageText(name string) string {
	return stageOrder[slices.IndexFunc(stageOrder, func(s stageColumn) bool { return s.name == name })].text
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

// stageTimes are the sorted times after which a case reached a stage; all of it if the stage
// is empty.
func stageTimes(records []Record, name, stage string) []int64 {
	if stage == "" {
		return timesOf(records, name)
	}
	var times []int64
	for _, r := range records {
		if at, ok := r.Stages[stage]; ok && r.Case == name {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	return times
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
