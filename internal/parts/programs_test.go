package parts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestProgramsOfOldCheckoutsAreRemoved(t *testing.T) {
	source, cache := t.TempDir(), t.TempDir()
	now := time.Now()
	for name, days := range map[string]int{"recent": 1, "previous": 0, "old": 20} {
		dir := filepath.Join(cache, "bin", name)
		write(t, filepath.Join(dir, "program"), "")
		at := now.AddDate(0, 0, -days)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	// The folder of programs in a checkout's folder counts as the checkout's.
	dir, err := Programs(t.Context(), cache, source, "acme")
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(cache, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, entry := range left {
		names[entry.Name()] = true
	}
	if diff := cmp.Diff(map[string]bool{"recent": true, "previous": true, filepath.Base(filepath.Dir(dir)): true}, names); diff != "" {
		t.Error(diff)
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
	if ProgramsBusy(cache, source, "") || ProgramsBusy(cache, t.TempDir(), "") {
		t.Error("we would wait for ourselves, or for nobody")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ended, filepath.Join(dir, programsLock)); !errors.Is(err, context.Canceled) {
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
