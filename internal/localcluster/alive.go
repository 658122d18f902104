package localcluster

import (
	"errors"
	"fmt"
	"io"
	"os"
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

// keepAlive keeps an inherited lock for the life of this process and out of its children.
func keepAlive(fd uintptr) *os.File {
	unix.CloseOnExec(int(fd))
	return os.NewFile(fd, "alive")
}
