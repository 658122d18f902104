package main

import (
	"slices"
	"testing"
	"time"

	"github.com/berth-dev/berth/internal/apiclient"
)

// After a connection broke, the edge tells what it still knows: also what was shown, and
// what is older than anybody asked for.
func TestARequestIsShownOnceHoweverOftenTheConnectionBreaks(t *testing.T) {
	var got []string
	tail := &accessTail{told: map[string]bool{}, print: func(line apiclient.AccessLine) error {
		got = append(got, line.RequestID)
		return nil
	}}
	at := func(second int, id string) apiclient.AccessLine {
		return apiclient.AccessLine{Time: time.Unix(int64(second), 0), RequestID: id}
	}
	first := []apiclient.AccessLine{at(10, "b"), at(11, "c")}
	again := []apiclient.AccessLine{at(9, "a"), at(10, "b"), at(11, "c"), at(11, "d"), at(12, "e")}
	for _, line := range slices.Concat(first, again) {
		if err := tail.each(line); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"b", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
