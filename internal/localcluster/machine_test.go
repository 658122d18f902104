package localcluster

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGoIsNewEnough(t *testing.T) {
	tests := map[string]bool{
		"go1.26.8": true, "go1.27": true, "go1.26.7": false, "go1.26": false, "go1.26rc1": false, "go1.30.1": true, "devel go1.27-1a2b3c4 Mon Jan 1": true,
		"go1.25.9": false, "go1.9": false, "": false, "gccgo": false,
	}
	for found, want := range tests {
		if got := goSuffices(found); got != want {
			t.Errorf("%q is enough: %t, want %t", found, got, want)
		}
	}
}

func TestOnlyACacheWithPartsNeedsLittleSpace(t *testing.T) {
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "parts", "key", ".lock"), 0o755); err != nil {
		t.Fatal(err)
	}
	if hasParts(cache) {
		t.Error("a folder without parts counts")
	}
	if err := os.WriteFile(filepath.Join(cache, "parts", "key", "kine"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if !hasParts(cache) {
		t.Error("a part does not count")
	}
}

func TestSpaceOfOneDiskIsAskedOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("BERTH_HOME", filepath.Join(dir, "home", "not", "made"))
	t.Setenv("BERTH_CACHE", filepath.Join(dir, "cache"))
	if checks := checkSpace(); len(checks) != 1 {
		t.Errorf("got %v", checks)
	}
}

func TestAModuleIsLoadedBeforeItIsMissed(t *testing.T) {
	looked := 0
	if !orLoaded("berth-no-such-module", func() bool { looked++; return looked == 2 }) {
		t.Error("what loading brought was not seen")
	}
	if orLoaded("berth-no-such-module", func() bool { return false }) {
		t.Error("what is missing was seen")
	}
}

func TestMemoryIsJudgedInRoundedGiB(t *testing.T) {
	total, err := memoryTotal("MemFree:  1 kB\nMemTotal:       24600000 kB\n")
	if err != nil || total != 24600000 {
		t.Errorf("got %d, %v", total, err)
	}
	for kilobytes, want := range map[int]Check{
		4 << 20:   {OK: false, Detail: "4 GiB, 8 needed"},
		8_000_000: {OK: true, Detail: "8 GiB, 8 needed; the example shop needs 12"},
		16 << 20:  {OK: true, Detail: "16 GiB, 8 needed"},
	} {
		if got := judgeMemory(kilobytes); got.OK != want.OK || got.Detail != want.Detail {
			t.Errorf("%d kB: got %+v", kilobytes, got)
		}
	}
}

func TestTheNodesFilesystemFitsOnTheDisk(t *testing.T) {
	for free, want := range map[uint64]int64{1 << 50: dataSize, 50 << 30: 40 << 30, 1<<30 + 12345: 819 << 20} {
		if got := sizeOnDisk(free); got != want {
			t.Errorf("with %d bytes free: %d, want %d", free, got, want)
		}
	}
}

func TestSameFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if !sameFile(file, link) || sameFile(file, dir) || sameFile(file, filepath.Join(dir, "none")) {
		t.Error("files are not told apart")
	}
}
