package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Record is one measurement, one line of docs/benchmarks.jsonl.
type Record struct {
	// Measure is what was measured: up, cold, tenant, deploy, edge, usage or recovery.
	Measure string `json:"measure"`
	// Case is the side of a comparison, or the group a process belongs to.
	Case string `json:"case"`
	// Part is the step or process the numbers are of; empty for the whole.
	Part  string `json:"part,omitempty"`
	Round int    `json:"round,omitempty"`

	// Milliseconds it took.
	Milliseconds int64 `json:"milliseconds,omitempty"`
	// Stages say after how many milliseconds each thing was there.
	Stages map[string]int64 `json:"stages,omitempty"`

	// PerSecond counts requests; P50Micros and P99Micros are how long they took, in
	// microseconds. Bytes is memory.
	PerSecond float64 `json:"perSecond,omitempty"`
	P50Micros int64   `json:"p50Micros,omitempty"`
	P99Micros int64   `json:"p99Micros,omitempty"`
	Bytes     int64   `json:"bytes,omitempty"`

	// Processes, their memory and their CPU in thousandths of a core.
	Processes int     `json:"processes,omitempty"`
	RSSKiB    int64   `json:"rssKiB,omitempty"`
	PSSKiB    int64   `json:"pssKiB,omitempty"`
	MilliCPU  float64 `json:"milliCPU,omitempty"`

	Run RunInfo `json:"run"`
}

// RunInfo says when and on what a measurement was made. Only one run goes on at a time, so
// Started tells one from another.
type RunInfo struct {
	Started time.Time `json:"started"`
	Commit  string    `json:"commit"`
	Machine string    `json:"machine"`
	// Load is the machine's load average just before the measurement. It looks back a minute,
	// so what was measured before is in it.
	Load string `json:"load"`
	// Idle is for how many of a hundred parts of the time just before it the CPUs had
	// nothing to do.
	Idle int `json:"idlePercent"`
}

// readRecords reads a file of JSON lines; none if there is no file.
func readRecords(path string) ([]Record, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var records []Record
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		var record Record
		if err := json.Unmarshal(scanner.Bytes(), &record); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		records = append(records, record)
	}
	return records, scanner.Err()
}

// replace gives the old records without those of measures that were measured again, and
// the new ones behind them.
func replace(old, measured []Record) []Record {
	again := map[string]bool{}
	for _, record := range measured {
		again[record.Measure] = true
	}
	kept := slices.DeleteFunc(slices.Clone(old), func(r Record) bool { return again[r.Measure] })
	return append(kept, measured...)
}

// writeRecords writes a file of JSON lines.
func writeRecords(path string, records []Record) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(file)
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}
