package router

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// connections counts client connections, so that a shutdown knows when the last answer
// has left. A finished handler is not enough: its last bytes may still be buffered.
type connections struct {
	mu        sync.Mutex
	open      int
	listening int
	changed   chan struct{}
}

func newConnections() *connections {
	return &connections{changed: make(chan struct{})}
}

// state is a server's ConnState callback. A hijacked connection is no longer the
// server's to finish.
func (c *connections) state(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.add(1, 0)
	case http.StateClosed, http.StateHijacked:
		c.add(-1, 0)
	case http.StateActive, http.StateIdle:
	}
}

// listenerOpened and listenerClosed count the servers that may still accept.
func (c *connections) listenerOpened() { c.add(0, 1) }
func (c *connections) listenerClosed() { c.add(0, -1) }

func (c *connections) add(open, listening int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += open
	c.listening += listening
	close(c.changed)
	c.changed = make(chan struct{})
}

// drained returns when nothing listens and nothing is open.
func (c *connections) drained(ctx context.Context) error {
	for {
		c.mu.Lock()
		open, listening, changed := c.open, c.listening, c.changed
		c.mu.Unlock()
		if open == 0 && listening == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d connections were still open: %w", open, ctx.Err())
		}
	}
}
