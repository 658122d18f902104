package zone

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Set gives names one record each in a zone file, in place of all they had; an empty record
// removes a name. Names are complete and have no dot at the end, records are as in
// `TXT "text"` and `A 192.0.2.1`. Every other line stays as it is. The file is replaced in one
// step, for half of it would be read as a whole. It is made if it is not there.
func Set(path string, records map[string]string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var text strings.Builder
	for line := range strings.Lines(string(old)) {
		fields := strings.Fields(line)
		if len(fields) > 0 && !strings.HasPrefix(line, " ") {
			if _, again := records[strings.TrimSuffix(fields[0], ".")]; again {
				continue
			}
		}
		text.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		if records[name] != "" {
			fmt.Fprintf(&text, "%s. %s\n", name, records[name])
		}
	}
	if err := os.WriteFile(path+".new", []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
