package parts

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEverySetNamesParts(t *testing.T) {
	sets := slices.Concat(ControlPlane, Node, Tenant, Test, Bench) // Test has Authority in it
	slices.Sort(sets)
	all := All()
	slices.Sort(all)
	if diff := cmp.Diff(all, sets); diff != "" {
		t.Errorf("a part is in no set, in two, or unknown (-parts +sets):\n%s", diff)
	}
}

func TestEveryPartHasAPinnedVersion(t *testing.T) {
	source, err := FindSource(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range list {
		versions, err := versionsIn(source, part.dir())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(versions[part.Module], "v") {
			t.Errorf("%s has version %q", part.Name, versions[part.Module])
		}
	}
}

func TestChoose(t *testing.T) {
	if _, err := choose([]string{"kine", "docker"}); err == nil || !strings.Contains(err.Error(), `"docker"`) {
		t.Errorf("an unknown name gave %v", err)
	}
	chosen, err := choose([]string{"kubectl", "kine"})
	if err != nil || len(chosen) != 2 || chosen[0].Name != "kine" {
		t.Errorf("got %v, %v, want kine before kubectl", chosen, err)
	}
	chosen, err = choose(nil)
	if err != nil || len(chosen) != len(list)-len(Bench)-len(Authority) {
		t.Errorf("no names gave %d parts, %v", len(chosen), err)
	}
	for _, part := range chosen {
		if slices.Contains(Bench, part.Name) || slices.Contains(Authority, part.Name) {
			t.Errorf("no names gave %s, which has to be asked for", part.Name)
		}
	}
}

func TestPartsOfTwoModulesAreNotBuiltAtOnce(t *testing.T) {
	_, err := Build(t.Context(), Options{CacheDir: t.TempDir(), Names: []string{"loopback", "pebble"}})
	if err == nil || !strings.Contains(err.Error(), "loopback and pebble") {
		t.Errorf("got %v, want both named", err)
	}
}

func TestStampsHoldTheVersion(t *testing.T) {
	tests := map[string]string{
		"a.Version=%v":   "a.Version=v1.36.3",
		"a.Major=%major": "a.Major=1",
		"a.Minor=%minor": "a.Minor=36",
	}
	for stamp, want := range tests {
		if got := fill(stamp, "v1.36.3"); got != want {
			t.Errorf("%s gave %s, want %s", stamp, got, want)
		}
	}
}

func TestFindSourceOutsideTheTreeIsAnError(t *testing.T) {
	if dir, err := FindSource(t.TempDir()); err == nil {
		t.Errorf("found %s", dir)
	}
}

func TestDefaultCacheDir(t *testing.T) {
	tests := map[string]struct{ cache, xdg, home, want string }{
		"BERTH_CACHE first":   {"/one", "/two", "/three", "/one"},
		"then XDG_CACHE_HOME": {"", "/two", "/three", "/two/berth"},
		"then the home":       {"", "", "/three", "/three/.cache/berth"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvCache, test.cache)
			t.Setenv("XDG_CACHE_HOME", test.xdg)
			t.Setenv("HOME", test.home)
			if got, err := DefaultCacheDir(); err != nil || got != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

// sourceTree makes a source tree whose module has the given text for kine's pinned
// version.
func sourceTree(t *testing.T, kine string) string {
	t.Helper()
	source, err := FindSource(".")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(source, ModuleDir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	copied := strings.Replace(string(text), "k3s-io/kine v0.16.4", "k3s-io/kine "+kine, 1)
	tree := t.TempDir()
	write(t, filepath.Join(tree, ModuleDir, "go.mod"), copied)
	return tree
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T, source string) string {
	t.Helper()
	versions, err := Versions(source)
	if err != nil {
		t.Fatal(err)
	}
	key, err := cacheKey(t.Context(), source, ModuleDir, versions)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheKeyChangesWithWhatPartsAreMadeFrom(t *testing.T) {
	tree := sourceTree(t, "v0.16.4")
	before := key(t, tree)
	if again := key(t, tree); again != before {
		t.Error("the same sources gave two keys")
	}
	if other := key(t, sourceTree(t, "v0.16.3")); other == before {
		t.Error("another version gave the same key")
	}
	write(t, filepath.Join(tree, ModuleDir, "README.md"), "not compiled")
	if again := key(t, tree); again != before {
		t.Error("a file that is not compiled changed the key")
	}
	write(t, filepath.Join(tree, ModuleDir, "kube-node", "main.go"), "package main")
	if again := key(t, tree); again == before {
		t.Error("a new source file left the key")
	}
}

// It builds the smallest part, which takes a second.
func TestBuildMakesAPartOnceForAll(t *testing.T) {
	var mu sync.Mutex
	states := make(map[State]int)
	options := Options{CacheDir: t.TempDir(), Names: []string{"loopback"}, Progress: func(event Event) {
		mu.Lock()
		defer mu.Unlock()
		states[event.State]++
	}}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			dir, err := Build(t.Context(), options)
			if err != nil {
				t.Error(err)
				return
			}
			if info, err := os.Stat(filepath.Join(dir, "loopback")); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("the part is not there to be run: %v, %v", info, err)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[State]int{Building: 1, Built: 1, Current: 3}, states); diff != "" {
		t.Errorf("unlike what was wanted (-want +got):\n%s", diff)
	}
}

func TestBuildThatFailsLeavesNothingAndSaysWhy(t *testing.T) {
	cache := t.TempDir()
	// A tree without go.sum cannot be built.
	_, err := Build(t.Context(), Options{SourceDir: sourceTree(t, "v0.16.4"), CacheDir: cache, Names: []string{"kube-node"}})
	if err == nil || !strings.Contains(err.Error(), "building kube-node") || !strings.Contains(err.Error(), "kube-node: ") {
		t.Errorf("got %v, want what go said", err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "parts", "*", "kube*"))
	if err != nil || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestLockIsGivenUpWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that is held gave %v", err)
	}
	unlock()
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestPruneKeepsTheCurrentThePreviousTheRecentAndTheUsed(t *testing.T) {
	root := t.TempDir()
	now := time.Now()
	release := func() {}
	ages := map[string]int{"current": 100, "previous": 20, "older": 30, "oldest": 40, "used": 50}
	for name, days := range ages {
		dir := filepath.Join(root, name)
		write(t, filepath.Join(dir, "kine"), "")
		if name == "used" {
			var err error
			if release, err = Use(dir); err != nil {
				t.Fatal(err)
			}
		}
		at := now.AddDate(0, 0, -days)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want map[string]bool) {
		t.Helper()
		if err := prune(root, filepath.Join(root, "current"), now); err != nil {
			t.Fatal(err)
		}
		for name, want := range want {
			_, err := os.Stat(filepath.Join(root, name))
			if got := !errors.Is(err, fs.ErrNotExist); got != want {
				t.Errorf("%s is there: %t, want %t", name, got, want)
			}
		}
	}
	check(map[string]bool{"current": true, "previous": true, "older": false, "oldest": false, "used": true})
	release()
	check(map[string]bool{"current": true, "previous": true, "used": false})
}

func TestUseIsAUseOfToday(t *testing.T) {
	dir := t.TempDir()
	long := time.Now().AddDate(-1, 0, 0)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	release, err := Use(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := removeUnused(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the folder is gone: %v", err)
	}
	if _, err := Use(filepath.Join(dir, "removed")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("parts that are not there can be used: %v", err)
	}
}
