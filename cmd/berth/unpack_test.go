package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/apiclient"
)

// entry is one of an archive; one without a type is a file, one that ends in / a folder.
type entry struct {
	name, content string
	kind          byte
	link          string
}

func archiveOf(t *testing.T, entries ...entry) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o4755, Size: int64(len(e.content))}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(e.name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// unpackInto unpacks what a process sent for /srv/data as "copy" in a folder.
func unpackInto(t *testing.T, around string, limit int64, entries ...entry) (*copied, error) {
	t.Helper()
	root, err := os.OpenRoot(around)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := &meter{progress: &progress{}, limit: limit, done: &copied{}}
	return m.done, unpack(archiveOf(t, entries...), root, "data", "copy", m)
}

func filesBelow(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.Walk(folder, func(file string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		raw, err := os.ReadFile(file)
		files[strings.TrimPrefix(file, folder+"/")] = string(raw)
		if info.Mode()&os.ModeSetuid != 0 {
			t.Errorf("%s runs as somebody else", file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWhatAProcessSendsIsUnpacked(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		want    map[string]string
		leftOut []string
	}{
		"a file": {[]entry{{name: "./data", content: "x"}}, map[string]string{"copy": "x"}, nil},
		"a folder": {
			[]entry{{name: "./data/"}, {name: "./data/a", content: "1"}, {name: "./data/b/"}, {name: "./data/b/c", content: "2"}},
			map[string]string{"copy/a": "1", "copy/b/c": "2"},
			nil,
		},
		"a folder whose folders are not sent": {[]entry{{name: "data/"}, {name: "data/b/c", content: "2"}}, map[string]string{"copy/b/c": "2"}, nil},
		"links and what is no file are left out": {
			[]entry{{name: "data/"}, {name: "data/l", kind: tar.TypeSymlink, link: "a"}, {name: "data/h", kind: tar.TypeLink, link: "data/a"}, {name: "data/p", kind: tar.TypeFifo}},
			map[string]string{},
			[]string{"data/l", "data/h", "data/p"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			around := t.TempDir()
			done, err := unpackInto(t, around, 1000, c.entries...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, filesBelow(t, around)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.leftOut, done.LeftOut); diff != "" {
				t.Errorf("left out:\n%s", diff)
			}
		})
	}
}

// A process is anybody's: what it sends must not touch anything but the copy.
func TestAProcessWritesNothingOutsideOfTheCopy(t *testing.T) {
	for name, entries := range map[string][]entry{
		"an absolute name":                 {{name: "/etc/evil", content: "x"}},
		"a name above":                     {{name: "../evil", content: "x"}},
		"a name above, within":             {{name: "data/"}, {name: "data/../../evil", content: "x"}},
		"a name above that leads back":     {{name: "data/"}, {name: "data/../precious", content: "x"}},
		"another name":                     {{name: "precious", content: "x"}},
		"a name that begins alike":         {{name: "data/"}, {name: "data.bak", content: "x"}},
		"a second file":                    {{name: "data", content: "x"}, {name: "data", content: "y"}},
		"something below a file":           {{name: "data", content: "x"}, {name: "data/x", content: "y"}},
		"something below nothing":          {{name: "data/x", content: "y"}},
		"a link to what is around, for it": {{name: "data", kind: tar.TypeSymlink, link: "precious"}, {name: "data", content: "x"}},
		"a folder that is a link":          {{name: "data/"}, {name: "data/out/evil", content: "x"}},
		"a link that was there":            {{name: "data/"}, {name: "data/precious", content: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			around := t.TempDir()
			elsewhere := t.TempDir()
			for file, content := range map[string]string{around + "/precious": "gold", elsewhere + "/evil": "none"} {
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if entries[0].name == "data/" {
				linksInto(t, around, elsewhere)
			}
			_, err := unpackInto(t, around, 1000, entries...)
			if err == nil {
				t.Error("it was taken")
			}
			raw, err := os.ReadFile(around + "/precious")
			if err != nil || string(raw) != "gold" {
				t.Errorf("what is around the copy became %q, %v", raw, err)
			}
			if raw, _ := os.ReadFile(elsewhere + "/evil"); string(raw) != "none" {
				t.Errorf("what is elsewhere became %q", raw)
			}
		})
	}
}

// linksInto makes a copy of an earlier day, with links that lead out of it.
func linksInto(t *testing.T, around, elsewhere string) {
	t.Helper()
	if err := os.Mkdir(around+"/copy", 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"copy/out": elsewhere, "copy/precious": "../precious"} {
		if err := os.Symlink(to, filepath.Join(around, link)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACopyEndsAtItsLimit(t *testing.T) {
	_, err := unpackInto(t, t.TempDir(), 5, entry{name: "data/"}, entry{name: "data/a", content: "1234"}, entry{name: "data/b", content: "56"})
	if err == nil || !strings.Contains(err.Error(), "more than 5 bytes") {
		t.Errorf("got %v", err)
	}
}

// A process that never ends, or that sends names instead of files, fills nobody's memory.
func TestWhatIsNoFileIsBoundedToo(t *testing.T) {
	for name, sent := range map[string]func(*testing.T) io.Reader{
		"a name that no file has": func(t *testing.T) io.Reader {
			t.Helper()
			return archiveOf(t, entry{name: "data/"}, entry{name: "data/" + strings.Repeat("x", maxName), kind: tar.TypeSymlink, link: "a"})
		},
		"more names than are kept": func(t *testing.T) io.Reader {
			t.Helper()
			long := entry{name: "data/" + strings.Repeat("x", 4000), kind: tar.TypeSymlink, link: "a"}
			return archiveOf(t, slices.Repeat([]entry{long}, maxNames/4000)...)
		},
		"an archive with an endless rest": func(t *testing.T) io.Reader {
			t.Helper()
			return io.MultiReader(archiveOf(t, entry{name: "data", content: "x"}), endless{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			err = unpack(sent(t), root, "data", "copy", &meter{progress: &progress{}, limit: 1000, done: &copied{}})
			var problem *apiclient.Problem
			if !errors.As(err, &problem) || len(problem.Detail) > 300 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// endless is a process that never stops sending.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAnArchiveThatWasCutIsAnError(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	whole := archiveOf(t, entry{name: "data", content: strings.Repeat("x", 2000)})
	m := &meter{progress: &progress{}, limit: 1 << 20, done: &copied{}}
	if err := unpack(bytes.NewReader(whole.Bytes()[:1500]), root, "data", "copy", m); err == nil {
		t.Error("half a file was taken for a whole one")
	}
}

func TestSidesOfACopy(t *testing.T) {
	for arg, want := range map[string]place{
		"./a:b":           {path: "./a:b"},
		"/tmp/x":          {path: "/tmp/x"},
		"web:/tmp/x":      {remote: true, path: "/tmp/x"},
		"web.x7k2p:/tmp/": {remote: true, path: "/tmp/"},
	} {
		got := placeOf(arg)
		if got.remote != want.remote || got.path != want.path {
			t.Errorf("%s: got %+v", arg, got)
		}
	}
	if got := placeOf("web.x7k2p:/x").ref; got.Process != "web.x7k2p" || got.Component != "" {
		t.Errorf("got %+v", got)
	}
}
