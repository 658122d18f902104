package access

import (
	"slices"
	"time"
)

// followed is how many lines a reader may be behind.
const followed = 256

// app is what is kept of one app: its newest lines, the oldest first, and who reads on.
type app struct {
	lines   []kept
	size    int
	readers []chan []byte
}

// kept is an encoded line.
type kept struct {
	at  time.Time
	raw []byte
}

// keep adds a line to its app's and makes room for it.
func (l *Log) keep(one entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(one.key)
	a.lines = append(a.lines, kept{at: one.at, raw: one.raw})
	a.size += len(one.raw)
	l.size += len(one.raw)
	if len(a.lines) > LinesPerApp {
		l.shed(a, len(a.lines)-LinesPerApp)
	}
	for l.size > l.limit {
		l.halveLargest()
	}
	for _, reader := range a.readers {
		select {
		case reader <- one.raw:
		default:
			l.dropped.Add(1)
		}
	}
}

// of is the app of a key, made if it is not there. The lock is held.
func (l *Log) of(k key) *app {
	a := l.apps[k]
	if a == nil {
		a = &app{}
		l.apps[k] = a
	}
	return a
}

// shed drops an app's oldest lines.
func (l *Log) shed(a *app, n int) {
	for i := range n {
		a.size -= len(a.lines[i].raw)
		l.size -= len(a.lines[i].raw)
		a.lines[i].raw = nil
	}
	a.lines = a.lines[n:]
}

// halveLargest takes the older half of the lines from the app that holds most bytes, and
// the app with them if none is left and nobody reads.
func (l *Log) halveLargest() {
	var largest key
	most := -1
	for k, a := range l.apps {
		if a.size > most {
			largest, most = k, a.size
		}
	}
	a := l.apps[largest]
	l.shed(a, (len(a.lines)+1)/2)
	l.forget(largest, a)
}

func (l *Log) forget(k key, a *app) {
	if len(a.lines) == 0 && len(a.readers) == 0 {
		delete(l.apps, k)
	}
}

// since are an app's lines after a moment, and, if more is to follow, where it comes.
// The caller must end what it follows.
func (l *Log) since(k key, after time.Time, follow bool) (lines [][]byte, more <-chan []byte, end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.apps[k]
	if follow {
		a = l.of(k)
	}
	if a == nil {
		return nil, nil, func() {}
	}
	for _, line := range a.lines {
		if line.at.After(after) {
			lines = append(lines, line.raw)
		}
	}
	if !follow {
		return lines, nil, func() {}
	}
	reader := make(chan []byte, followed)
	a.readers = append(a.readers, reader)
	return lines, reader, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.readers = slices.DeleteFunc(a.readers, func(r chan []byte) bool { return r == reader })
		l.forget(k, a)
	}
}
