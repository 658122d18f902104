package main

import (
	"fmt"
	"slices"
	"strings"
)

// The parts of the edge's measurements that are no protocol.
const (
	partHosts   = "1,000 hosts"
	partSockets = "1,000 idle websockets"
	partRoute   = "a route changes"
)

const edgeText = "Both stand in front of the same process, end TLS with a P-256 certificate, keep connections to the process and write an access log. " +
	"h2load sends over 64 connections for 10 s from inside the node's network, on the same two cores; nginx has two workers. " +
	"Medians of the rounds. Memory is the growth of PSS, half a minute later."

// writeEdge writes the edge's comparison with nginx.
func writeEdge(w *strings.Builder, records []Record) {
	fmt.Fprintf(w, "| | | requests/s | p50 | p99 |\n|---|---|--:|--:|--:|\n")
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		for _, side := range []string{edgeOurs, edgeTheirs} {
			chosen := of(records, side, protocol)
			fmt.Fprintf(w, "| %s | %s | %.0f | %s | %s |\n", protocol, side,
				medianOf(chosen, func(r Record) float64 { return r.PerSecond }),
				millis(medianOf(chosen, func(r Record) float64 { return float64(r.P50Micros) })),
				millis(medianOf(chosen, func(r Record) float64 { return float64(r.P99Micros) })))
		}
	}
	fmt.Fprintf(w, "\n| memory of | %s | %s |\n|---|--:|--:|\n", edgeOurs, edgeTheirs)
	for _, part := range []string{partHosts, partSockets} {
		fmt.Fprintf(w, "| %s", part)
		for _, side := range []string{edgeOurs, edgeTheirs} {
			fmt.Fprintf(w, " | %.1f MiB", medianOf(of(records, side, part), func(r Record) float64 { return float64(r.Bytes) })/(1<<20))
		}
		fmt.Fprintln(w, " |")
	}
	var changes []int64
	for _, r := range of(records, edgeOurs, partRoute) {
		changes = append(changes, r.P50Micros)
	}
	if len(changes) > 0 {
		slices.Sort(changes)
		at := func(quantile float64) string { return millis(float64(changes[int(quantile*float64(len(changes)-1))])) }
		fmt.Fprintf(w, "\nFrom a changed Route to the edge doing what it says, over %d changes: p50 %s, p99 %s, longest %s.\n", len(changes), at(0.5), at(0.99), at(1))
	}
	fmt.Fprintln(w)
}

// of are the records of a side and a part.
func of(records []Record, side, part string) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Case != side || r.Part != part })
}

func medianOf(records []Record, value func(Record) float64) float64 {
	if len(records) == 0 {
		return 0
	}
	values := make([]float64, len(records))
	for i, r := range records {
		values[i] = value(r)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func millis(micros float64) string { return fmt.Sprintf("%.1f ms", micros/1000) }
