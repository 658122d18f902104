package netpol

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// inside runs do in the network namespace at path, on a thread of its own: nft and
// netlink act on the namespace of the thread that starts them. The thread is never
// unlocked, so it ends with the goroutine and no other code ever runs on
// a thread that is in the wrong namespace. An empty path means the process's own.
func inside(path string, do func() error) error {
	if path == "" {
		return do()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- enterAnd(path, do)
	}()
	return <-done
}

func enterAnd(path string, do func() error) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("opening network namespace %s: %w", path, err)
	}
	defer func() { _ = ns.Close() }()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("entering network namespace %s: %w", path, err)
	}
	return do()
}
