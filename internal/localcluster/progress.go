package localcluster

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress shows the steps of a long command with the time each takes: a live list on a
// terminal, a line for each finished step elsewhere. Steps may run at the same time.
type Progress struct {
	out   io.Writer
	live  bool
	start time.Time

	mu    sync.Mutex
	steps []*Step
	drawn int
	stop  chan struct{}
	done  sync.WaitGroup
}

// Step is one step being shown.
type Step struct {
	progress *Progress
	name     string
	detail   string
	started  time.Time
	took     time.Duration
	state    byte // ' ' running, '+' done, '!' failed
	printed  bool
}

// NewProgress shows progress on out.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, start: time.Now(), stop: make(chan struct{})}
	if file, ok := out.(*os.File); ok {
		p.live = term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
	}
	if p.live {
		p.done.Add(1)
		go p.tick()
	}
	return p
}

// Start begins a step.
func (p *Progress) Start(name string) *Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := &Step{progress: p, name: name, started: time.Now(), state: ' '}
	p.steps = append(p.steps, step)
	return step
}

// Detail says what the step is at.
func (s *Step) Detail(format string, args ...any) {
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	s.detail = fmt.Sprintf(format, args...)
}

// End ends the step, as failed when err is not nil, and returns err.
func (s *Step) End(err error) error {
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	s.took, s.state = time.Since(s.started), '+'
	if err != nil {
		s.state, s.detail = '!', ""
	}
	if !s.progress.live {
		fmt.Fprintln(s.progress.out, s.line())
	}
	return err
}

// Close stops drawing and leaves the list as it stands.
func (p *Progress) Close() {
	if p.live {
		close(p.stop)
		p.done.Wait()
	}
}

// Elapsed is the time since the progress began.
func (p *Progress) Elapsed() time.Duration { return time.Since(p.start) }

// Took returns the time each finished step took, in the order they were started.
func (p *Progress) Took() []StepTime {
	p.mu.Lock()
	defer p.mu.Unlock()
	var times []StepTime
	for _, s := range p.steps {
		if s.state != ' ' {
			times = append(times, StepTime{Name: s.name, Milliseconds: s.took.Milliseconds()})
		}
	}
	return times
}

// StepTime is how long a step took.
type StepTime struct {
	Name         string `json:"name"`
	Milliseconds int64  `json:"milliseconds"`
}

func (p *Progress) tick() {
	defer p.done.Done()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.draw()
		case <-p.stop:
			p.draw()
			return
		}
	}
}

// draw writes the finished steps once and the running ones over and over below them.
func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", p.drawn)
	}
	p.drawn = 0
	for _, step := range p.steps {
		if step.state != ' ' && !step.printed {
			step.printed = true
			fmt.Fprintf(&out, "\x1b[2K%s\n", step.line())
		}
	}
	for _, step := range p.steps {
		if step.state == ' ' {
			fmt.Fprintf(&out, "\x1b[2K%s\n", step.line())
			p.drawn++
		}
	}
	out.WriteString("\x1b[J")
	fmt.Fprint(p.out, out.String())
}

func (s *Step) line() string {
	mark, took := "…", time.Since(s.started)
	switch s.state {
	case '+':
		mark, took = "✓", s.took
	case '!':
		mark, took = "✗", s.took
	}
	line := fmt.Sprintf("%s %-22s %7.1fs", mark, s.name, took.Seconds())
	if s.detail != "" {
		line += "  " + s.detail
	}
	return line
}
