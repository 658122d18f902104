package kubetest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	parentName = "berth-kubetest"
	lockName   = ".lock"

	tmpfsMagic = 0x01021994
)

// folder belongs to this process for as long as its lock is open.
type folder struct {
	path string
	lock *os.File
}

// newDir makes a folder for this process, in memory where the machine allows it,
// and removes the folders of processes that are gone.
func newDir() (folder, error) {
	base := os.TempDir()
	var stat syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &stat); err == nil && stat.Type == tmpfsMagic && syscall.Access("/dev/shm", 2) == nil {
		base = "/dev/shm"
	}
	return newDirIn(filepath.Join(base, parentName))
}

// newDirIn tells a dead process's folder by its lock: the kernel drops a lock with
// its holder, while a process id may be somebody else's by now.
func newDirIn(parent string) (folder, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return folder{}, err
	}
	// Held while cleaning and creating, so that nobody takes a folder without a
	// lock yet for a dead one.
	gate, err := lockFile(filepath.Join(parent, lockName), syscall.LOCK_EX)
	if err != nil {
		return folder{}, err
	}
	defer gate.Close()
	if err := removeDead(parent); err != nil {
		return folder{}, err
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return folder{}, err
	}
	lock, err := lockFile(filepath.Join(dir, lockName), syscall.LOCK_EX|syscall.LOCK_NB)
	return folder{path: dir, lock: lock}, err
}

func removeDead(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		lock, err := lockFile(filepath.Join(dir, lockName), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, file.Close())
		}
	}
}
