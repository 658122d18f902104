package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCopy(t *testing.T) {
	source := t.TempDir()
	write(t, filepath.Join(source, "kube-control-plane"), "binary", 0o755)
	write(t, filepath.Join(source, "deep", "data"), "data", 0o640)
	if err := os.Symlink("kube-control-plane", filepath.Join(source, "kube-apiserver")); err != nil {
		t.Fatal(err)
	}

	t.Run("a source that ends in a dot is copied into the target, links as links", func(t *testing.T) {
		target := t.TempDir()
		for range 2 { // the second time over its own copies
			if err := run([]string{"-r", source + "/.", target + "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if link, err := os.Readlink(filepath.Join(target, "kube-apiserver")); err != nil || link != "kube-control-plane" {
			t.Errorf("kube-apiserver points to %q, %v", link, err)
		}
		check(t, filepath.Join(target, "kube-apiserver"), "binary", 0o755)
		check(t, filepath.Join(target, "deep", "data"), "data", 0o640)
	})
	t.Run("a source without a dot goes into the target under its own name", func(t *testing.T) {
		target := t.TempDir()
		if err := run([]string{"-r", source, target}); err != nil {
			t.Fatal(err)
		}
		check(t, filepath.Join(target, filepath.Base(source), "deep", "data"), "data", 0o640)
	})
	for name, args := range map[string][]string{
		"no arguments is refused":                nil,
		"another option is refused":              {"-a", source, t.TempDir()},
		"a source that is not there is an error": {"-r", filepath.Join(source, "missing"), t.TempDir()},
		"a single file is refused":               {"-r", filepath.Join(source, "kube-control-plane"), t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(args); err == nil {
				t.Errorf("cp %s succeeded", strings.Join(args, " "))
			}
		})
	}
}

func write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, name, want string, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", name, got, want)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != mode {
		t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), mode)
	}
}
