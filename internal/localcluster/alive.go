package localcluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/errs"
)

// An instance is alive as long as a lock on its file "alive" is held. The lock belongs to
// the open file, which the supervisor and the node inherit: the kernel gives it back when
// the last of the two has ended, however they ended. Asking does not take it.

// takeAlive takes the lock for processes that are about to be started. What of an earlier
// life is still ending is waited for.
func (i *Instance) takeAlive() (*os.File, error) {
	file, err := i.openAlive()
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(stopTimeout)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		lock := wholeFile()
		err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		if time.Now().After(deadline) {
			file.Close()
			return nil, errs.New(errs.Conflict, "", fmt.Sprintf("instance %q still runs", i.Name), "stop it with: berth down --name "+i.Name)
		}
		<-look.C
	}
}

// alive tells whether any process of the instance runs.
func (i *Instance) alive() bool {
	file, err := i.openAlive()
	if err != nil {
		return false
	}
	defer file.Close()
	lock := wholeFile()
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false
	}
	return lock.Type != unix.F_UNLCK
}

func (i *Instance) openAlive() (*os.File, error) {
	return os.OpenFile(i.path("alive"), os.O_CREATE|os.O_RDWR, 0o600)
}

func wholeFile() unix.Flock_t {
	return unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
}

// inherits tells whether this process has the lock from the one that started it: who
// starts it in another way gets an error, and nothing is touched.
func (i *Instance) inherits(fd int) error {
	var held, file unix.Stat_t
	if unix.Fstat(fd, &held) != nil || unix.Stat(i.path("alive"), &file) != nil || held.Dev != file.Dev || held.Ino != file.Ino {
		return errByHand
	}
	return nil
}

// keepAlive keeps an inherited lock for the life of this process and out of its children.
func keepAlive(fd uintptr) *os.File {
	unix.CloseOnExec(int(fd))
	return os.NewFile(fd, "alive")
}

// awaitNodeEnd waits until the last process of a killed node has ended. The lock is free a
// little earlier: the kernel closes the files of the node's process 1 before it ends the
// others, and that process is gone only after them.
func (i *Instance) awaitNodeEnd(deadline time.Time) error {
	var was Running
	if err := readJSON(i.path("run", "supervisor.json"), &was); err != nil || was.NodeBorn == "" {
		return nil // there was no node
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for born(was.NodePID) == was.NodeBorn {
		if time.Now().After(deadline) {
			return errs.New(errs.Unavailable, "", fmt.Sprintf("process %d of instance %q does not end", was.NodePID, i.Name), "try again in a minute")
		}
		<-look.C
	}
	return nil
}

// born is when a process was started, in the kernel's ticks since its own start: with its
// id this names a process for ever. Empty: the process has ended, and all its threads.
func born(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything; the fields are counted after it.
	const state, threads, started = 0, 17, 19
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= started || fields[state] == "X" || fields[state] == "Z" && fields[threads] == "1" {
		return ""
	}
	return fields[started]
}
