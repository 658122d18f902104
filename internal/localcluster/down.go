package localcluster

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Down stops the instance and, with forget, removes all of its state. It also removes
// what a killed instance left behind.
func (i *Instance) Down(forget bool) error {
	release, err := i.lock()
	if err != nil {
		return err
	}
	defer release()
	if running := i.Running(); running != nil {
		if err := i.stop(running); err != nil {
			return err
		}
	}
	if err := i.cleanUp(); err != nil {
		return err
	}
	if forget {
		return os.RemoveAll(i.Dir)
	}
	return nil
}

// stop ends the supervisor, and with it everything the instance runs.
func (i *Instance) stop(running *Running) error {
	if err := syscall.Kill(running.SupervisorPID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping the instance: %w", err)
	}
	return i.waitStopped()
}

// waitStopped waits until the supervisor has ended and cleaned up.
func (i *Instance) waitStopped() error {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for i.Running() != nil {
		select {
		case <-look.C:
		case <-deadline.C:
			return fmt.Errorf("instance %q does not stop: see %s/supervisor.log", i.Name, i.Logs())
		}
	}
	return i.cleanUp()
}
