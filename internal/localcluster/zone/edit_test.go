package zone

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetReplacesNamesAndLeavesTheRestOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	set := func(records map[string]string) {
		t.Helper()
		if err := Set(path, records); err != nil {
			t.Fatal(err)
		}
	}
	set(map[string]string{"b.example": `TXT "1"`, "a.example": "A 192.0.2.1"})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("; mine\n"), append(text, "c.example. A 192.0.2.3"...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	set(map[string]string{"b.example": `TXT "2"`, "a.example": ""})
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("; mine\nc.example. A 192.0.2.3\nb.example. TXT \"2\"\n", string(text)); diff != "" {
		t.Error(diff)
	}
	if _, err := parse(text); err != nil {
		t.Error(err)
	}
}
