package access

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// queued is how many lines may wait to be written.
const queued = 8192

// Limits of what is kept in memory.
const (
	LinesPerApp = 500
	// Megabytes bounds the lines of all apps.
	Megabytes = 32
)

// Log notes requests.
type Log struct {
	out     io.Writer
	queue   chan Line
	dropped atomic.Int64
	lines   prometheus.Counter

	mu   sync.Mutex
	apps map[key]*app
	size int
	// limit bounds size, in bytes.
	limit int
}

// key is an app.
type key struct{ tenant, app string }

// New is a log that writes lines to out, if that is not nil, once Run runs.
func New(out io.Writer, registry prometheus.Registerer) (*Log, error) {
	l := &Log{
		out: out, queue: make(chan Line, queued), apps: make(map[key]*app), limit: Megabytes << 20,
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
	case l.queue <- line:
	default:
		l.dropped.Add(1)
	}
}

// Run writes lines until ctx ends, and then those that wait.
func (l *Log) Run(ctx context.Context) {
	for {
		select {
		case line := <-l.queue:
			l.write(line)
		case <-ctx.Done():
			for {
				select {
				case line := <-l.queue:
					l.write(line)
				default:
					return
				}
			}
		}
	}
}

func (l *Log) write(line Line) {
	line.shorten()
	raw, err := json.Marshal(line)
	if err != nil { // no field of a line can fail
		l.dropped.Add(1)
		return
	}
	raw = append(raw, '\n')
	if l.out != nil {
		if _, err := l.out.Write(raw); err != nil {
			l.dropped.Add(1)
		}
	}
	if line.App != "" { // a redirect is no app's, and nobody could ask for it
		l.keep(line, raw)
	}
	l.lines.Inc()
}
