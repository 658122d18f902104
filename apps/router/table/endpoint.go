package table

import (
	"slices"
	"sync/atomic"
	"time"
)

// avoidFor is how long an endpoint that refused a connection is used only when there
// is no other. It is never left out altogether: with one endpoint that would turn one
// refused connection into an outage.
const avoidFor = 2 * time.Second

// Endpoint is one address that requests may go to. Its counters outlive snapshots:
// the same address is the same Endpoint for as long as it is in the table.
type Endpoint struct {
	// Address is host:port.
	Address string

	inFlight   atomic.Int64
	avoidUntil atomic.Int64
}

// Acquire counts a request that is about to use the endpoint.
func (e *Endpoint) Acquire() { e.inFlight.Add(1) }

// Release takes back one Acquire.
func (e *Endpoint) Release() { e.inFlight.Add(-1) }

// InFlight is how many requests use the endpoint now.
func (e *Endpoint) InFlight() int64 { return e.inFlight.Load() }

// Refused notes that no connection could be made.
func (e *Endpoint) Refused() { e.avoidUntil.Store(time.Now().Add(avoidFor).UnixNano()) }

// avoided reports whether the endpoint refused a connection a moment ago.
func (e *Endpoint) avoided() bool {
	until := e.avoidUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// Pick chooses the endpoint with the fewest requests in flight, going round among
// equals, and leaves out those already tried. It is nil when none is left.
func (t *Target) Pick(tried []*Endpoint) *Endpoint {
	n := len(t.Endpoints)
	if n == 0 {
		return nil
	}
	start := int(t.next.Add(1) % uint32(n)) // n is a handful of endpoints
	var best *Endpoint
	var bestAvoided bool
	for i := range n {
		e := t.Endpoints[(start+i)%n]
		if slices.Contains(tried, e) {
			continue
		}
		avoided := e.avoided()
		if best == nil || (bestAvoided && !avoided) ||
			(bestAvoided == avoided && e.InFlight() < best.InFlight()) {
			best, bestAvoided = e, avoided
		}
	}
	return best
}
