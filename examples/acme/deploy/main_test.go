package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/berth-dev/berth/internal/apiclient"
)

func TestArgumentsThatBringUpNoBerthHereAreRefused(t *testing.T) {
	tests := map[string]bool{
		"": true, "--name second": true, "--name=bare": true,
		"--bare": false, "--bare=true": false, "--name x --context y": false, "--context=y": false,
	}
	for line, want := range tests {
		if err := checkArguments(strings.Fields(line)); (err == nil) != want {
			t.Errorf("%q gave %v", line, err)
		}
	}
}

func TestProblemOfKeepsTheCodeAndWhatElseWasSaid(t *testing.T) {
	exit := errors.New("exit status 1")
	var problem *apiclient.Problem
	err := problemOf(exit, []byte("warning: old\n{\"error\":{\"code\":\"not_found\",\"detail\":\"there is no app\"}}\n"))
	if !errors.As(err, &problem) || problem.Code != "not_found" {
		t.Errorf("got %v, want the problem that was written", err)
	}
	err = problemOf(exit, []byte("panic: no\n"))
	if !errors.Is(err, exit) || !strings.Contains(err.Error(), "panic: no") {
		t.Errorf("got %v, want what was written", err)
	}
}

func TestOnlyALoginThatIsNotUsedAnywayIsToBeExported(t *testing.T) {
	t.Setenv("BERTH_CONFIG", "/mine.json")
	for config, want := range map[string]string{"/mine.json": "", "/other.json": "BERTH_CONFIG=/other.json "} {
		if got := loginToExport(config); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}
