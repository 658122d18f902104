package parts

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Folders inside a cache folder that hold no parts.
const (
	lockDir       = ".lock"
	unfinishedDir = ".unfinished"
)

// keepUnused is how long a cache folder is kept after its last use: a cluster that
// runs starts binaries from its folder for as long as it runs.
const keepUnused = 14 * 24 * time.Hour

// lock takes a file's lock, which ends with the process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-retry.C:
		}
	}
}

// prune removes the cache folders that nobody used for long, but never the current
// one nor the one used last before it.
func prune(root, current string, now time.Time) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	type used struct {
		path string
		at   time.Time
	}
	var others []used
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name())
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || path == current {
			continue
		}
		others = append(others, used{path, info.ModTime()})
	}
	slices.SortFunc(others, func(a, b used) int { return cmp.Compare(b.at.UnixNano(), a.at.UnixNano()) })
	for i, other := range others {
		if i == 0 || now.Sub(other.at) < keepUnused {
			continue
		}
		if err := os.RemoveAll(other.path); err != nil {
			return err
		}
	}
	return nil
}
