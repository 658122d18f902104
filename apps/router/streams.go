package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// told is the share of a drain within which streams are told to go away, each at a moment
// of its own, so that their clients do not all come back at once.
const told = 0.8

// stream is an answer without an end, such as a WebSocket or server-sent events.
type stream interface {
	// leave asks for an end where the protocol has one.
	leave()
	// cut ends it at once.
	cut()
	// kind is what it is counted as.
	kind() string
}

// streams are those open now. A shutdown waits for them.
type streams struct {
	gauge *prometheus.GaugeVec

	mu       sync.Mutex
	open     map[stream]struct{}
	draining bool
	empty    chan struct{}
}

func newStreams(gauge *prometheus.GaugeVec) *streams {
	return &streams{gauge: gauge, open: make(map[stream]struct{}), empty: make(chan struct{})}
}

func (s *streams) add(one stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[one] = struct{}{}
	s.gauge.WithLabelValues(one.kind()).Inc()
	if s.draining {
		// It began while the others were being told.
		go one.leave()
	}
}

func (s *streams) remove(one stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[one]; !open {
		return
	}
	delete(s.open, one)
	s.gauge.WithLabelValues(one.kind()).Dec()
	s.settle()
}

// settle notes that nothing is left. The lock is held.
func (s *streams) settle() {
	if !s.draining || len(s.open) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// drain tells every stream to go away, spread over most of the time there is, and returns
// when all have ended. Those that have not when ctx ends are cut.
func (s *streams) drain(ctx context.Context, within time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok {
		within = time.Until(deadline)
	}
	spread := time.Duration(float64(within) * told)
	s.mu.Lock()
	s.draining = true
	for one := range s.open {
		// No secret depends on the moment.
		timer := time.AfterFunc(rand.N(max(spread, 1)), one.leave) //nolint:gosec // spreading load needs no secure chance
		defer timer.Stop()
	}
	s.settle()
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := make([]stream, 0, len(s.open))
	for one := range s.open {
		left = append(left, one)
	}
	s.mu.Unlock()
	for _, one := range left {
		one.cut()
	}
	if len(left) == 0 {
		return nil
	}
	return errors.Join(fmt.Errorf("%d streams had not ended", len(left)), ctx.Err())
}
