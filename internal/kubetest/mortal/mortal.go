package mortal

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// Fault is what happens at the chosen call.
type Fault int

const (
	// Killed ends the process: the write is carried out, its answer does not arrive, and no
	// later call is made. A kill before the first write leaves nothing behind.
	Killed Fault = iota
	// Lost is an answer that does not arrive though the write is carried out; the process
	// goes on.
	Lost
	// Failed is a call, a read or a write, that is not carried out; the process goes on.
	Failed
)

func (f Fault) String() string {
	return [...]string{"killed after write", "answer lost of write", "failed at call"}[f]
}

// ErrFault is what the process sees of the fault.
var ErrFault = errors.New("the connection broke, on purpose")

// Life is one process's: all its clients share it. It may be used by several goroutines.
type Life struct {
	fault Fault
	at    int

	mu      sync.Mutex
	counted int
	struck  bool
}

// New makes the life of a process that meets the fault at a call, the first being 1.
func New(fault Fault, at int) *Life { return &Life{fault: fault, at: at} }

// Struck says whether the fault has come.
func (l *Life) Struck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.struck
}

// Over says whether the process is dead: only new reconcilers can go on.
func (l *Life) Over() bool { return l.fault == Killed && l.Struck() }

// Write is a call that changes something. Borders that are no Kubernetes client use it
// too.
func (l *Life) Write(call func() error) error {
	carriedOut, answered := l.next(true)
	if carriedOut {
		if err := call(); answered || err != nil {
			return err
		}
	}
	return ErrFault
}

// Read is a call that changes nothing.
func (l *Life) Read(call func() error) error {
	if carriedOut, _ := l.next(false); carriedOut {
		return call()
	}
	return ErrFault
}

// next decides about one call.
func (l *Life) next(write bool) (carriedOut, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.struck:
		return l.fault != Killed, true
	case !write && l.fault != Failed:
		return true, true
	}
	if l.counted++; l.counted < l.at {
		return true, true
	}
	l.struck = true
	return l.fault != Failed, false
}

// Each runs a journey for each fault at every call, or at every so many of them, until the
// journey ends before its fault comes. The faults run side by side.
func Each(t *testing.T, every map[Fault]int, journey func(t *testing.T, life *Life)) {
	t.Helper()
	for fault, stride := range every {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at += stride {
				life := New(fault, at)
				survived := t.Run(fmt.Sprint(at), func(t *testing.T) { journey(t, life) })
				if !survived || !life.Struck() {
					return
				}
			}
		})
	}
}
