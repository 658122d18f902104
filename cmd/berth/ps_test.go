package main

import (
	"fmt"
	"testing"
)

func FuzzScaleArgument(f *testing.F) {
	for _, seed := range []string{"web=1", "web=4:2", "=1", "web=", "web=1:", "web=99999999999", "web"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		s, err := scaleArgument(arg)
		if err == nil && (s.Name == "" || s.Count == nil) {
			t.Errorf("%q was taken without a component or a count", arg)
		}
	})
}

func TestScaleArgument(t *testing.T) {
	for arg, want := range map[string]string{"api=4": "api 4 -", "api=4:2": "api 4 2", "api=0": "api 0 -"} {
		s, err := scaleArgument(arg)
		if err != nil {
			t.Fatal(err)
		}
		size := "-"
		if s.OCUs != nil {
			size = fmt.Sprint(*s.OCUs)
		}
		if got := fmt.Sprintf("%s %d %s", s.Name, *s.Count, size); got != want {
			t.Errorf("%s: got %s, want %s", arg, got, want)
		}
	}
}
