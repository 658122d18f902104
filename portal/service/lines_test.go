package service

import (
	"strings"
	"testing"
)

// Whatever a process writes, its text arrives whole, line by line.
func FuzzEachLine(f *testing.F) {
	f.Add("one\ntwo\r\nthree")
	f.Add("\n\n")
	f.Add(strings.Repeat("x", maxLine+10) + "\nend")
	f.Fuzz(func(t *testing.T, text string) {
		var got strings.Builder
		if err := eachLine(strings.NewReader(text), func(line string) error {
			if strings.Contains(line, "\n") {
				t.Errorf("a line holds a line end: %q", line)
			}
			got.WriteString(line)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if plain := strings.NewReplacer("\n", "", "\r", ""); plain.Replace(got.String()) != plain.Replace(text) {
			t.Errorf("got %q of %q", got.String(), text)
		}
	})
}
