package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Names inside a folder of programs that are no programs.
const (
	programsLock = "lock"
	// buildingMark is there while programs are being written.
	buildingMark = ".building"
)

// Module is a Go module of the source tree with packages to compile, named as for go
// build.
type Module struct {
	Dir      string
	Packages []string
}

// Programs compiles programs of the project itself, statically, and gives the folder they
// are in: <cache>/bin/<hash of source>, or the folder sub in it. Every checkout has its
// own folder. Go's own cache sees to it that nothing current is built again.
//
// The folder stays locked against other processes until this process ends, so that
// nobody rewrites programs while images are read from them.
func Programs(ctx context.Context, cache, source, sub string, modules ...Module) (string, error) {
	dir, err := programsDir(cache, source, sub)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	programs.Lock()
	defer programs.Unlock()
	if err := useCheckout(cache, source); err != nil {
		return "", err
	}
	if programs.unlock[dir] == nil {
		unlock, err := Lock(ctx, filepath.Join(dir, programsLock))
		if err != nil {
			return "", fmt.Errorf("waiting for another command that uses %s: %w", dir, err)
		}
		programs.unlock[dir] = unlock
	}
	if err := compile(ctx, dir, modules); err != nil {
		programs.unlock[dir]()
		delete(programs.unlock, dir)
		return "", err
	}
	return dir, nil
}

// programs holds the locks that this process has taken. An open file that nothing refers
// to would be closed, and its lock lost.
var programs = struct {
	sync.Mutex
	// unlock by the folder of programs, release by the checkout's folder around it.
	unlock, release map[string]func()
}{unlock: map[string]func(){}, release: map[string]func(){}}

// useCheckout keeps a checkout's folder from being removed, and removes those of checkouts
// that nobody used for long. The caller holds the lock of programs.
func useCheckout(cache, source string) error {
	root, err := programsDir(cache, source, "")
	if err != nil || programs.release[root] != nil {
		return err
	}
	if programs.release[root], err = Use(root); err != nil {
		return err
	}
	if err := prune(filepath.Dir(root), root, time.Now()); err != nil {
		return fmt.Errorf("removing programs of old checkouts: %w", err)
	}
	return nil
}

// ProgramsBusy tells whether Programs would wait for another process at this moment.
func ProgramsBusy(cache, source, sub string) bool {
	dir, err := programsDir(cache, source, sub)
	if err != nil {
		return false
	}
	programs.Lock()
	defer programs.Unlock()
	if programs.unlock[dir] != nil {
		return false // it is ours
	}
	file, err := os.Open(filepath.Join(dir, programsLock))
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func programsDir(cache, source, sub string) (string, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	cache, err = filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(source))
	return filepath.Join(cache, "bin", hex.EncodeToString(sum[:])[:12], sub), nil
}

// compile builds into dir, which the caller has locked.
func compile(ctx context.Context, dir string, modules []Module) error {
	mark := filepath.Join(dir, buildingMark)
	if _, err := os.Lstat(mark); err == nil {
		// Go takes a program that a killed build left cut off for current.
		if err := removeFiles(dir); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		return err
	}
	for _, module := range modules {
		// With the commit in them the programs, and so the images, would change with every one.
		args := append([]string{"build", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir + "/"}, module.Packages...)
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir, command.Env = module.Dir, append(os.Environ(), "CGO_ENABLED=0")
		if err := RunToEnd(command); err != nil {
			return fmt.Errorf("building %s: %w", module.Dir, err)
		}
	}
	return os.Remove(mark)
}

// removeFiles removes the programs in a folder and leaves its lock and its folders.
func removeFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == programsLock {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
