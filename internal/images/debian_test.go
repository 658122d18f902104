package images

import (
	"archive/tar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/internal/errs"
)

func TestAptConfigKeepsSourcesAndDropsStateAndHooks(t *testing.T) {
	source := &apt{dir: "/cache"}
	got := string(source.config([]byte(strings.Join([]string{
		`Acquire::http::Proxy "proxy";`,
		`APT::Update "";`,
		`APT::Update::Post-Invoke:: "rm -f files";`,
		`DPkg::Post-Invoke:: "hook";`,
		`Dir::State "var/lib/apt";`,
		`Dir::State::lists "elsewhere/";`,
		`Dir::Cache::archives "archives/";`,
		`Dir::Etc::sourcelist "sources.list";`,
	}, "\n") + "\n")))
	for _, kept := range []string{"Acquire::http::Proxy", "Dir::Etc::sourcelist", `Dir::State "/cache/state"`, `Dir::Etc::parts "/dev/null"`} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is missing in\n%s", kept, got)
		}
	}
	for _, dropped := range []string{"rm -f", "hook", "var/lib/apt", "elsewhere", "archives/"} {
		if strings.Contains(got, dropped) {
			t.Errorf("%s is still in\n%s", dropped, got)
		}
	}
}

func TestParseURIs(t *testing.T) {
	for name, test := range map[string]struct {
		in      string
		want    []deb
		wantErr bool
	}{
		"an epoch is decoded for the version and kept in the file's name": {
			in:   "'http://mirror/z_1%253a1.2_amd64.deb' zlib1g_1%3a1.2_amd64.deb 86684 SHA256:0\n",
			want: []deb{{"zlib1g", "1:1.2", "zlib1g_1%3a1.2_amd64.deb"}},
		},
		"packages are sorted": {
			in:   "'u' b_1_all.deb 1 h\n'u' a_1_all.deb 1 h\n",
			want: []deb{{"a", "1", "a_1_all.deb"}, {"b", "1", "b_1_all.deb"}},
		},
		"a name that leaves the folder is refused": {in: "'u' ../a_1_all.deb 1 h\n", wantErr: true},
		"nothing to install is an error":           {in: "\n", wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseURIs([]byte(test.in))
			if (err != nil) != test.wantErr {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(deb{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMergeDebs(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("packages can be made on Debian only")
	}
	one := buildDeb(t, "one", map[string]string{
		"bin/tool": "tool", "usr/share/man/man1/tool.1": "manual", "usr/share/doc/one/copyright": "Apache-2.0", "usr/share/doc/one/README": "read me",
		"etc/passwd": "someone else",
	})
	two := buildDeb(t, "two", map[string]string{"lib/x/lib.so": "library", "bin/tool": "another tool"})
	if err := os.Symlink("lib.so", filepath.Join(two, "lib/x/lib.so.1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(two, "lib/x/lib.so"), 0o4755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "root.tar")
	if err := mergeDebs(t.Context(), target, []string{packDeb(t, one), packDeb(t, two)}); err != nil {
		t.Fatal(err)
	}
	found := map[string]*tar.Header{}
	for _, header := range headers(t, fileLayer(target)) {
		if found[header.Name] != nil {
			t.Errorf("%s stands there twice", header.Name)
		}
		found[header.Name] = header
	}
	for _, name := range []string{"usr/bin/tool", "usr/lib/x/lib.so", "usr/lib/x/lib.so.1", "usr/share/doc/one/copyright", "tmp/"} {
		if found[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"usr/share/man/man1/tool.1", "usr/share/doc/one/README", "bin/", "lib/"} {
		if found[name] != nil {
			t.Errorf("%s is there", name)
		}
	}
	if link := found["bin"]; link == nil || link.Linkname != "usr/bin" {
		t.Errorf("/bin is %v", link)
	}
	if mode := found["usr/lib/x/lib.so"].Mode; mode != 0o755 {
		t.Errorf("the setuid bit came along: %o", mode)
	}
	if size := found["usr/bin/tool"].Size; size != int64(len("tool")) {
		t.Errorf("/bin/tool has %d bytes: not that of the first package", size)
	}
}

func TestDebianOptionsRules(t *testing.T) {
	t.Run("the result's name depends on the set of packages, not on their order", func(t *testing.T) {
		a, errA := DebianOptions{Packages: []string{"b", "a", "a"}, CacheDir: "x"}.complete()
		b, errB := DebianOptions{Packages: []string{"a", "b"}, CacheDir: "x"}.complete()
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.key() != b.key() {
			t.Error("the keys differ")
		}
	})
	t.Run("no packages is refused", func(t *testing.T) {
		if _, err := Debian(t.Context(), DebianOptions{CacheDir: t.TempDir()}); errs.CodeOf(err) != errs.Invalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a machine of another release is refused", func(t *testing.T) {
		if err := checkSuite("woody"); errs.CodeOf(err) != errs.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestLeftoversOfAKilledCommandGo(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"0123.tar", "0123.tar.456", "download-789/one.deb", "debs/one.deb", "lock"} {
		writeFile(t, filepath.Join(dir, name), "")
	}
	if err := removeLeftovers(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"0123.tar": true, "debs/one.deb": true, "lock": true, "0123.tar.456": false, "download-789": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}

func buildDeb(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "DEBIAN/control"), "Package: "+name+"\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: "+name+"\n")
	for file, content := range files {
		writeFile(t, filepath.Join(dir, file), content)
	}
	return dir
}

func packDeb(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "package.deb")
	if out, err := exec.Command("dpkg-deb", "--build", "-Znone", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}
