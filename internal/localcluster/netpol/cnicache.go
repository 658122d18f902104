package netpol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"k8s.io/apimachinery/pkg/types"
)

// cniCache knows the addresses of local pods from the result cache that the container
// runtime's CNI library keeps: one file per attachment, written when the network
// is up and before any container of the pod starts, removed with the network.
type cniCache struct {
	dir  string
	log  *slog.Logger
	kick func()

	mu    sync.Mutex
	files map[string]attachment
}

// attachment is what one file says.
type attachment struct {
	pod   types.UID
	addrs []netip.Addr
}

func newCNICache(dir string, log *slog.Logger, kick func()) *cniCache {
	return &cniCache{dir: dir, log: log, kick: kick, files: map[string]attachment{}}
}

// start reads what is there and begins to watch; wait ends when the watch has ended.
func (c *cniCache) start(ctx context.Context) (wait func(), err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the CNI cache's folder: %w", err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching the CNI cache: %w", err)
	}
	if err := watcher.Add(c.dir); err != nil {
		_ = watcher.Close()
		return nil, fmt.Errorf("watching the CNI cache %s: %w", c.dir, err)
	}
	c.readAll()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = watcher.Close() }()
		c.watch(ctx, watcher)
	}()
	return func() { <-done }, nil
}

func (c *cniCache) watch(ctx context.Context, watcher *fsnotify.Watcher) {
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-watcher.Events:
			if !open {
				return
			}
			if c.read(event.Name) {
				c.kick()
			}
		case err, open := <-watcher.Errors:
			if !open {
				return
			}
			// The queue overflowed: events were lost.
			c.log.Warn("watching the CNI cache", "error", err)
			c.readAll()
			c.kick()
		}
	}
}

func (c *cniCache) readAll() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		c.log.Warn("reading the CNI cache", "error", err)
		return
	}
	c.mu.Lock()
	c.files = map[string]attachment{}
	c.mu.Unlock()
	for _, entry := range entries {
		c.read(filepath.Join(c.dir, entry.Name()))
	}
}

// read takes over what the file says now and tells whether that is news. A file
// that is half written cannot be parsed; its next write brings another event.
func (c *cniCache) read(path string) bool {
	data, err := os.ReadFile(path) // the path comes from the kernel's listing of our folder.
	gone := errors.Is(err, fs.ErrNotExist)
	found, parsed := parseAttachment(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.files[path]
	switch {
	case gone:
		delete(c.files, path)
		return known
	case err != nil || !parsed:
		return false
	}
	c.files[path] = found
	return true
}

// addresses by pod.
func (c *cniCache) addresses() map[types.UID][]netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[types.UID][]netip.Addr{}
	for _, file := range c.files {
		out[file.pod] = append(out[file.pod], file.addrs...)
	}
	return out
}

// parseAttachment reads the part of a cached result that says which pod got which address.
func parseAttachment(data []byte) (attachment, bool) {
	var file struct {
		Args   [][2]string `json:"cniArgs"`
		Result struct {
			IPs []struct {
				Address string `json:"address"`
			} `json:"ips"`
		} `json:"result"`
	}
	if json.Unmarshal(data, &file) != nil {
		return attachment{}, false
	}
	var out attachment
	for _, arg := range file.Args {
		if arg[0] == "K8S_POD_UID" {
			out.pod = types.UID(arg[1])
		}
	}
	for _, ip := range file.Result.IPs {
		prefix, err := netip.ParsePrefix(ip.Address)
		if err == nil && !prefix.Addr().IsLoopback() {
			out.addrs = append(out.addrs, prefix.Addr().Unmap())
		}
	}
	return out, out.pod != "" && len(out.addrs) > 0
}
