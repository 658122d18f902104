package netpol

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestTheCNICacheKnowsWhatItsFolderHolds(t *testing.T) {
	dir := t.TempDir()
	cache := newCNICache(dir, slog.New(slog.DiscardHandler), func() {})
	note := func(file, uid, addr string) string {
		t.Helper()
		path := filepath.Join(dir, file)
		text := fmt.Sprintf(`{"cniArgs":[["K8S_POD_UID",%q]],"result":{"ips":[{"address":%q}]}}`, uid, addr+"/32")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check := func(want map[types.UID][]netip.Addr) {
		t.Helper()
		equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(want, cache.addresses(), equal); diff != "" {
			t.Error(diff)
		}
	}
	first, second := netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("10.88.0.3")
	ended := note("ended", "one", first.String())
	note("running", "two", second.String())
	cache.readAll()
	check(map[types.UID][]netip.Addr{"one": {first}, "two": {second}})

	// The address of a pod that ended goes to the next one.
	if err := os.Remove(ended); err != nil {
		t.Fatal(err)
	}
	if !cache.read(ended) {
		t.Error("the end of a pod is no news")
	}
	if !cache.read(note("next", "three", first.String())) {
		t.Error("a new pod is no news")
	}
	check(map[types.UID][]netip.Addr{"two": {second}, "three": {first}})

	// A new folder, as at the start of a node, knows nobody.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cache.readAll()
	check(map[types.UID][]netip.Addr{})
}
