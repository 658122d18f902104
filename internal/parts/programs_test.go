package parts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestProgramsOfEveryCheckoutHaveTheirOwnFolder(t *testing.T) {
	dirs := map[string]bool{}
	for _, source := range []string{"/one", "/two"} {
		for _, sub := range []string{"", "acme"} {
			dir, err := programsDir("/cache", source, sub)
			if err != nil {
				t.Fatal(err)
			}
			dirs[dir] = true
		}
	}
	if len(dirs) != 4 {
		t.Errorf("got %v, want four folders", dirs)
	}
}

func TestProgramsAreLockedBuiltAndMadeAnewAfterAKilledBuild(t *testing.T) {
	source, cache := t.TempDir(), t.TempDir()
	write(t, filepath.Join(source, "go.mod"), "module hello\n\ngo 1.26\n")
	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() {}\n")
	module := Module{Dir: source, Packages: []string{"."}}
	dir, err := Programs(t.Context(), cache, source, "", module)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "hello")
	whole, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(ended, filepath.Join(dir, programsLock)); !errors.Is(err, context.Canceled) {
		t.Errorf("the folder is not locked: %v", err)
	}
	if err := errors.Join(os.Truncate(program, whole.Size()/2), os.WriteFile(filepath.Join(dir, buildingMark), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Programs(t.Context(), cache, source, "", module); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(program); err != nil || again.Size() != whole.Size() {
		t.Errorf("a program that was cut off was kept: %v", err)
	}
}
