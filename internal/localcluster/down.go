package localcluster

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// stopTimeout is how long an instance may take to stop.
const stopTimeout = 30 * time.Second

// Down stops the instance and, with forget, removes all of its state. It also removes
// what a killed instance left behind.
func (i *Instance) Down(forget bool) error {
	if _, err := os.Stat(i.Dir); errors.Is(err, os.ErrNotExist) {
		return nil // neither state nor, without its lock, processes
	}
	release, err := i.lock()
	if err != nil {
		return err
	}
	defer release()
	if err := i.stop(); err != nil {
		return err
	}
	if forget {
		return os.RemoveAll(i.Dir)
	}
	return nil
}

// stop ends the instance's processes, waits until the last has ended, and removes what
// they left. It also serves an instance that is about to end by itself.
func (i *Instance) stop() error {
	deadline := time.NewTimer(stopTimeout)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	asked := 0
	for running := i.Running(); running != nil; running = i.Running() {
		if pid := running.SupervisorPID; pid != 0 && pid != asked {
			asked = pid
			// It is the instance's: it holds the lock.
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stopping the instance: %w", err)
			}
		}
		select {
		case <-look.C:
		case <-deadline.C:
			return fmt.Errorf("instance %q does not stop: see %s/supervisor.log", i.Name, i.Logs())
		}
	}
	return i.cleanUp()
}
