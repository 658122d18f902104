package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// partsReady waits until the node's parts do their work, and tells progress which do.
func (i *Instance) partsReady(ctx context.Context, progress func(ready, all int)) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node's parts: %w; their logs are in %s", context.Cause(ctx), i.Logs())
		case <-ticker.C:
		}
		parts, err := i.Parts()
		if err != nil {
			if logged := i.nodeFailure(); logged != "" {
				return fmt.Errorf("the node did not start: %s", logged)
			}
			continue
		}
		ready := 0
		for _, part := range parts {
			if part.Ready {
				ready++
			}
			if !part.Ready && part.Starts > 5 {
				return fmt.Errorf("%s ends again and again: see %s", part.Name, filepath.Join(i.Logs(), part.Name+".log"))
			}
		}
		progress(ready, len(parts))
		if ready == len(parts) {
			return nil
		}
	}
}

// nodeFailure returns what the node logged when it ended before its parts started.
func (i *Instance) nodeFailure() string {
	data, err := os.ReadFile(filepath.Join(i.Logs(), "node.log"))
	if err != nil {
		return ""
	}
	return string(data)
}
