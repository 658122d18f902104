package access

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// queued is how many lines may wait to be written.
const queued = 8192

// Lines are written together: a system call for each would cost more than all the rest of
// noting it. None waits longer than writeAfter.
const (
	writeAfter = 100 * time.Millisecond
	writeBytes = 32 << 10
)

// Limits of what is kept in memory.
const (
	LinesPerApp = 500
	// Megabytes bounds the lines of all apps.
	Megabytes = 32
)

// Log notes requests.
type Log struct {
	out     io.Writer
	queue   chan entry
	dropped atomic.Int64
	lines   prometheus.Counter

	// pending are encoded lines for out, and unwritten is how many.
	pending   []byte
	unwritten int64

	mu   sync.Mutex
	apps map[key]*app
	size int
	// limit bounds size, in bytes.
	limit int
}

// key is an app.
type key struct{ tenant, app string }

// entry is an encoded line. It is made by whoever notes it: what waits in the queue holds
// nothing of a request, whose path alone may be 64 KiB long.
type entry struct {
	key key
	at  time.Time
	raw []byte
}

// New is a log that writes lines to out, if that is not nil, once Run runs.
func New(out io.Writer, registry prometheus.Registerer) (*Log, error) {
	l := &Log{
		out: out, queue: make(chan entry, queued), apps: make(map[key]*app), limit: Megabytes << 20,
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "berth_router_access_lines_total", Help: "Lines of the access log that were kept.",
		}),
	}
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "berth_router_access_dropped_total",
		Help: "Lines of the access log that nobody had time for, readers of a stream included.",
	}, func() float64 { return float64(l.dropped.Load()) })
	return l, errors.Join(registry.Register(l.lines), registry.Register(dropped))
}

// Note takes a line without waiting; a nil Log takes none.
func (l *Log) Note(line Line) {
	if l == nil {
		return
	}
	select {
	case l.queue <- encode(line):
	default:
		l.dropped.Add(1)
	}
}

func encode(line Line) entry {
	line.Shorten()
	raw, _ := json.Marshal(line) // no field of a line can fail
	return entry{key: key{line.Tenant, line.App}, at: line.Time, raw: append(raw, '\n')}
}

// Run writes lines until ctx ends, and then those that wait.
func (l *Log) Run(ctx context.Context) {
	var soon <-chan time.Time
	for {
		select {
		case one := <-l.queue:
			l.take(one)
			if soon == nil {
				soon = time.After(writeAfter)
			}
		case <-soon:
			l.flush()
			soon = nil
		case <-ctx.Done():
			for {
				select {
				case one := <-l.queue:
					l.take(one)
				default:
					l.flush()
					return
				}
			}
		}
	}
}

// take keeps a line and has it written soon.
func (l *Log) take(one entry) {
	if one.key.app != "" { // a redirect is no app's, and nobody could ask for it
		l.keep(one)
	}
	l.lines.Inc()
	if l.out == nil {
		return
	}
	l.pending = append(l.pending, one.raw...)
	l.unwritten++
	if len(l.pending) >= writeBytes {
		l.flush()
	}
}

// flush writes what is pending.
func (l *Log) flush() {
	if l.unwritten == 0 {
		return
	}
	if _, err := l.out.Write(l.pending); err != nil {
		l.dropped.Add(l.unwritten)
	}
	l.pending, l.unwritten = l.pending[:0], 0
}
