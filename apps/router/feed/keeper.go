package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/berth-dev/berth/apps/router/table"
)

// StaleLimit is how long the edge may have been away and still serve from what it knew.
// Meanwhile an address may have become another tenant's, and nobody was looking.
const StaleLimit = 10 * time.Minute

// keepEvery is how often the file is written, or touched if nothing changed.
const keepEvery = 5 * time.Second

const keptFile = "sources.json"

var errStale = errors.New("what the last process knew is too old")

// keeper keeps the sources of the table in a file. The file's time says until when a
// process was looking: it is renewed while the API server is away too, since the table
// goes on being used then.
type keeper struct {
	file   string
	log    *slog.Logger
	latest atomic.Pointer[table.Sources]
}

func newKeeper(dir string, log *slog.Logger) *keeper {
	k := &keeper{log: log}
	if dir != "" {
		k.file = filepath.Join(dir, keptFile)
	}
	return k
}

// offer gives the keeper what to keep next.
func (k *keeper) offer(sources table.Sources) { k.latest.Store(&sources) }

// run keeps until ctx ends, and then once more.
func (k *keeper) run(ctx context.Context) {
	if k.file == "" {
		return
	}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for going := true; going; {
		select {
		case <-ctx.Done():
			going = false
		case <-tick.C:
		}
		if err := k.keep(); err != nil {
			k.log.Warn("what the edge knows could not be kept for its next start", "error", err)
		}
	}
}

// keep writes what was offered since the last time, or says that it still holds.
func (k *keeper) keep() error {
	sources := k.latest.Swap(nil)
	if sources == nil {
		now := time.Now()
		return os.Chtimes(k.file, now, now)
	}
	if err := k.write(*sources); err != nil {
		k.latest.CompareAndSwap(nil, sources) // the file is still the one before
		return err
	}
	return nil
}

func (k *keeper) write(sources table.Sources) error {
	sources.Services = slices.DeleteFunc(slices.Clone(sources.Services), func(s corev1.Service) bool {
		return !ofVirtualCluster(s.Namespace)
	})
	sources.EndpointSlices = slices.DeleteFunc(slices.Clone(sources.EndpointSlices), func(s discoveryv1.EndpointSlice) bool {
		return !ofVirtualCluster(s.Namespace)
	})
	raw, err := json.Marshal(sources)
	if err != nil {
		return fmt.Errorf("encoding what the edge knows: %w", err)
	}
	next := k.file + ".next"
	// Keys of certificates are in it, as they are in the folder anyway.
	if err := os.WriteFile(next, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(next, k.file)
}

// load reads what the last process kept.
func (k *keeper) load() (table.Sources, error) {
	var sources table.Sources
	if k.file == "" {
		return sources, fs.ErrNotExist
	}
	info, err := os.Stat(k.file)
	if err != nil {
		return sources, err
	}
	if time.Since(info.ModTime()) > StaleLimit {
		return sources, errStale
	}
	raw, err := os.ReadFile(k.file)
	if err != nil {
		return sources, err
	}
	if err := json.Unmarshal(raw, &sources); err != nil {
		return table.Sources{}, fmt.Errorf("reading %s: %w", k.file, err)
	}
	return sources, nil
}
