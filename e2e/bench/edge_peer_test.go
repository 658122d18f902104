package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestARequestThatH2loadStopsItselfIsNoneThatFailed(t *testing.T) {
	const well = "requests: 200 total, 200 started, 200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout"
	answered := ""
	for n := range 200 {
		answered += fmt.Sprintf("%d\t200\t1000\n", 1_000_000+n*1000)
	}
	for name, test := range map[string]struct {
		log, said string
		fails     bool
	}{
		"all answered":              {answered, well, false},
		"one stopped":               {answered + "1200000\t0\t10\n", well, false},
		"one refused":               {answered + "1200000\t503\t10\n", well, true},
		"one failed":                {answered + "1200000\t0\t10\n", strings.Replace(well, "0 failed", "1 failed", 1), true},
		"more stopped than can be":  {answered + strings.Repeat("1200000\t0\t10\n", edgeConnections+1), well, true},
		"too few for any statement": {"1000000\t200\t10\n", well, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readH2load([]byte(test.log), []byte(test.said))
			if (err != nil) != test.fails {
				t.Fatalf("got %v", err)
			}
			if err == nil && (got.p50 != 1000 || got.perSecond < 900 || got.perSecond > 1100) {
				t.Errorf("got %+v, want a thousand a second of a millisecond each", got)
			}
		})
	}
}
