package parts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// keepUnused is how long a cache folder is kept after its last use.
const keepUnused = 14 * 24 * time.Hour

// Lock takes a file's lock, which ends with the process at the latest. It waits for it
// as long as ctx lasts.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
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

// Use keeps the parts in dir, a folder that Build gave, from being removed until release
// is called or this process ends. A cluster starts binaries from its folder for as long
// as it runs.
func Use(dir string) (release func(), err error) {
	// The lock is on the folder itself: a file for it would change the folder's time.
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("using the parts: %w", err)
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("using the parts in %s, which are being removed: %w", dir, err), folder.Close())
	}
	if err := stillThere(folder, dir); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	// The time of the folder says when it was last used; see prune.
	now := time.Now()
	if err := os.Chtimes(dir, now, now); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return func() { _ = folder.Close() }, nil
}

// stillThere finds out whether a folder was removed before its lock was taken.
func stillThere(folder *os.File, dir string) error {
	locked, err := folder.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(dir)
	if err == nil && !os.SameFile(locked, there) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("using the parts in %s: %w", dir, err)
	}
	return nil
}

// prune removes the cache folders that nobody used for long nor uses now, but never the
// current one nor the one used last before it.
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
		if err := removeUnused(other.path, now); err != nil {
			return err
		}
	}
	return nil
}

// removeUnused removes a cache folder unless a process uses it, or did so just now.
func removeUnused(dir string, now time.Time) error {
	folder, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := folder.Stat()
	if err != nil || now.Sub(info.ModTime()) < keepUnused {
		return err
	}
	return os.RemoveAll(dir)
}
