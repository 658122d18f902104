package images

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestDigestDependsOnContentAlone(t *testing.T) {
	build := func(content string, modified time.Time, config Config) string {
		t.Helper()
		source := filepath.Join(t.TempDir(), "binary")
		writeFile(t, source, content)
		if err := os.Chtimes(source, modified, modified); err != nil {
			t.Fatal(err)
		}
		entry, err := Binary("/app/binary", source)
		if err != nil {
			t.Fatal(err)
		}
		image, err := Scratch(config, Bytes("/etc/b", []byte("b")), entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(image, validate.Fast); err != nil {
			t.Fatal(err)
		}
		return digest(t, image)
	}
	first := build("one", time.Unix(1000, 0), Config{Env: []string{"A=1"}})
	if again := build("one", time.Unix(2000, 0), Config{Env: []string{"A=1"}}); again != first {
		t.Errorf("another time and place changed the digest: %s, %s", first, again)
	}
	if other := build("two", time.Unix(1000, 0), Config{Env: []string{"A=1"}}); other == first {
		t.Error("other content has the same digest")
	}
	if other := build("one", time.Unix(1000, 0), Config{Env: []string{"A=2"}}); other == first {
		t.Error("another configuration has the same digest")
	}
}

func TestConfigDefaults(t *testing.T) {
	image, err := Scratch(Config{Entrypoint: []string{"/x"}, Ports: []int32{8080}}, Bytes("/x", nil))
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/x"}, User: "65532", WorkingDir: "/", ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	if diff := cmp.Diff(want, file.Config); diff != "" {
		t.Error(diff)
	}
}

func TestLayerRules(t *testing.T) {
	t.Run("parents are made, names are sorted, owners and times are fixed", func(t *testing.T) {
		layer, err := Layer(Symlink("/z", "a/b/c"), Bytes("/a/b/c", []byte("c")), Dir("/tmp", 0o1777))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		var order []string
		for _, header := range headers(t, layer) {
			got[header.Name] = header.Mode
			order = append(order, header.Name)
			if !header.ModTime.Equal(epoch) || header.Uid != 0 || header.Gid != 0 {
				t.Errorf("%s: time %v, owner %d:%d", header.Name, header.ModTime, header.Uid, header.Gid)
			}
		}
		if diff := cmp.Diff([]string{"a/", "a/b/", "a/b/c", "tmp/", "z"}, order); diff != "" {
			t.Error(diff)
		}
		if got["tmp/"] != 0o1777 || got["a/"] != 0o755 {
			t.Errorf("modes %v", got)
		}
	})
	for name, entries := range map[string][]Entry{
		"one path given twice is refused": {Bytes("/a", nil), Bytes("a", nil)},
		"a file below a file is refused":  {Bytes("/a", nil), Bytes("/a/b", nil)},
		"an empty path is refused":        {Bytes("/", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Layer(entries...); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("a missing file is an error when the entry is made", func(t *testing.T) {
		if _, err := Binary("/a", filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that changed its size after packing is an error, not a broken image", func(t *testing.T) {
		source := filepath.Join(t.TempDir(), "file")
		writeFile(t, source, "long")
		entry, err := Binary("/a", source)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, source, "longer")
		layer, err := Layer(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := layer.Digest(); err == nil {
			t.Error("no error")
		}
	})
}

func TestWriteTar(t *testing.T) {
	shared := Bytes("/shared", []byte(strings.Repeat("x", 4096)))
	one, err := Scratch(Config{Entrypoint: []string{"/one"}}, shared)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Scratch(Config{Entrypoint: []string{"/two"}}, shared)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := WriteTar(&archive, Set{"berth.dev/one:1": one, "berth.dev/two:1": two}); err != nil {
		t.Fatal(err)
	}
	blobs, index := readArchive(t, &archive)
	if len(blobs) != 5 { // two manifests, two configurations, one layer
		t.Errorf("%d blobs, want 5: the shared layer once", len(blobs))
	}
	var refs []string
	for _, manifest := range index.Manifests {
		refs = append(refs, manifest.Annotations["io.containerd.image.name"])
		if blobs[manifest.Digest.Hex] != manifest.Size {
			t.Errorf("manifest %s: size %d, blob %d", manifest.Digest, manifest.Size, blobs[manifest.Digest.Hex])
		}
	}
	if diff := cmp.Diff([]string{"berth.dev/one:1", "berth.dev/two:1"}, refs); diff != "" {
		t.Error(diff)
	}
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	image, err := Scratch(Config{}, Bytes("/a", []byte("a")))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Push(t.Context(), host, "registry.berth.internal/acme/api:1", image); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := name.ParseReference(host+"/acme/api:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Head(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest.String() != digest(t, image) {
		t.Errorf("the registry has %s", got.Digest)
	}
	if err := Push(t.Context(), host, "registry.berth.internal/acme/api", image); err == nil {
		t.Error("a reference without a tag was pushed")
	}
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	got, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

func headers(t *testing.T, layer v1.Layer) []*tar.Header {
	t.Helper()
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	var all []*tar.Header
	reader := tar.NewReader(content)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, header)
	}
}

func readArchive(t *testing.T, archive io.Reader) (blobs map[string]int64, index v1.IndexManifest) {
	t.Helper()
	blobs = map[string]int64{}
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return blobs, index
		}
		if err != nil {
			t.Fatal(err)
		}
		if hex, ok := strings.CutPrefix(header.Name, "blobs/sha256/"); ok {
			blobs[hex] = header.Size
		}
		if header.Name == "index.json" {
			if err := json.NewDecoder(reader).Decode(&index); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
