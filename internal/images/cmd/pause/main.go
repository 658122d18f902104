// Command pause keeps a pod's namespaces: it sleeps, buries what is orphaned to it and
// ends at once when told to.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// One thread for Go code is enough for a process that only waits.
	runtime.GOMAXPROCS(1)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap buries every child that has ended: signals of several may arrive as one.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
