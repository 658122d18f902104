package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/images"
)

// pushWithTar makes an image of the test app that has a tar, which copying needs: this
// machine's own, with the libraries that it is linked with.
func pushWithTar(t *testing.T) string {
	t.Helper()
	tar, err := exec.LookPath("tar")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ldd", tar).Output()
	if err != nil {
		t.Fatalf("the libraries of %s: %v", tar, err)
	}
	files := map[string]string{"/testapp": filepath.Join(berth.source, "bin", "testapp"), "/bin/tar": tar}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "/") {
			files[word] = word
		}
	}
	entries := []images.Entry{images.Dir("/tmp", 0o1777)}
	for target, source := range files {
		entry, err := images.Binary(target, source)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	image, err := images.Scratch(images.Config{Entrypoint: []string{"/testapp"}, Env: []string{"PATH=/bin", "VERSION=tar"}}, entries...)
	if err != nil {
		t.Fatal(err)
	}
	if err := images.Push(t.Context(), berth.up.Registry, testImage("tar"), image); err != nil {
		t.Fatal(err)
	}
	return testImage("tar")
}

// copies copies a folder to a process and back, and a file from the very process. A process
// without tar, a path that is not there and too much are refused in words.
func copies(t *testing.T, in ...string) {
	t.Helper()
	here := t.TempDir()
	want := map[string]string{"seed.sql": "INSERT INTO towns VALUES ('Köln');\n", "empty": "", "deep/er/blob": strings.Repeat("\x00\xff", 1<<19)}
	for name, text := range want {
		path := filepath.Join(here, "out", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cp := func(args ...string) string {
		t.Helper()
		return berth.berth(t, append(append([]string{"cp"}, args...), in...)...)
	}
	if said := cp(filepath.Join(here, "out"), "worker:/tmp/inbox"); !strings.Contains(said, "3 files") {
		t.Errorf("cp of three files says: %s", said)
	}
	cp("worker:/tmp/inbox", filepath.Join(here, "back"))
	if diff := cmp.Diff(want, filesOf(t, filepath.Join(here, "back"))); diff != "" {
		t.Errorf("a folder that went to a process and came back (-want +got):\n%s", diff)
	}
	process := processOf(t, "worker", in...)
	cp(process+":/tmp/inbox/seed.sql", here+"/")
	if got, err := os.ReadFile(filepath.Join(here, "seed.sql")); err != nil || string(got) != want["seed.sql"] {
		t.Errorf("a file of %s is %q (%v)", process, got, err)
	}
	for what, refused := range map[string]struct {
		args []string
		says string
	}{
		"no tar":    {[]string{filepath.Join(here, "seed.sql"), "web:/tmp/seed.sql"}, "has no tar"},
		"not there": {[]string{"worker:/tmp/nothing", filepath.Join(here, "nothing")}, "nothing: Cannot stat"},
		"too much":  {[]string{"worker:/tmp/inbox", filepath.Join(here, "more"), "--max-size", "1Ki"}, "more than 1 KiB"},
	} {
		out, errOut, code := berth.try(t, append(append([]string{"cp"}, refused.args...), in...)...)
		if code == 0 || !strings.Contains(out+errOut, refused.says) {
			t.Errorf("%s: exit code %d, want a refusal that says %q:\n%s%s", what, code, refused.says, out, errOut)
		}
	}
}

// filesOf are the contents of all files below a folder.
func filesOf(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
