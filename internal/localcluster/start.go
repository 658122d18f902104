package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// partsReady waits until the node's parts do their work, and tells progress which do. It
// fails at once when the supervisor ends.
func (i *Instance) partsReady(ctx context.Context, ended <-chan struct{}, progress func(ready, all int)) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node's parts: %w; their logs are in %s", context.Cause(ctx), i.Logs())
		case <-ended:
			return fmt.Errorf("the instance ended while it started: %s", lastLine(filepath.Join(i.Logs(), "supervisor.log")))
		case <-look.C:
		}
		parts, err := i.Parts()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		ready := 0
		for _, part := range parts {
			if part.Ready {
				ready++
			}
			if !part.Ready && part.Starts > 5 {
				log := filepath.Join(i.Logs(), part.Name+".log")
				return fmt.Errorf("%s ends again and again, saying: %s; see %s", part.Name, lastLine(log), log)
			}
		}
		progress(ready, len(parts))
		if ready == len(parts) {
			return nil
		}
	}
}

// lastLine returns the last line of a log, which says why a process ended.
func lastLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "it left no log"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}
