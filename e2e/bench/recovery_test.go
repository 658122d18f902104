package main

import (
	"strings"
	"testing"
)

func TestTheReportSaysWhatEachKillCost(t *testing.T) {
	var records []Record
	for round, took := range []int64{2000, 4000, 9000} {
		records = append(records, Record{
			Measure: "recovery", Case: "kine", Round: round + 1, Milliseconds: took, Stages: map[string]int64{stageApp: 0, stageAPI: took / 10},
		})
	}
	if want, text := "| kine | 0.00 s | 0.40 s | 4.00 s |", report(records); !strings.Contains(text, want) || strings.Contains(text, "| edge |") {
		t.Errorf("the report lacks %q or says more:\n%s", want, text)
	}
}
