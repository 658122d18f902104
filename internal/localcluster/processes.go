package localcluster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// PartStatus is how one of the node's parts is doing.
type PartStatus struct {
	Name string `json:"name"`
	// PID inside the node's process namespace; 0 while it does not run.
	PID int `json:"pid"`
	// Ready is set once the part does its work.
	Ready bool `json:"ready"`
	// Starts counts how often it was started.
	Starts int `json:"starts"`
	// ReadyAfter is how long its first start took, in milliseconds.
	ReadyAfter int64 `json:"readyAfterMilliseconds,omitempty"`
}

// processes keeps the node's parts running. It is process 1, so it also collects the
// orphans that parts leave behind.
type processes struct {
	instance   *Instance
	components []component
	partsDir   string
	log        *slog.Logger

	mu     sync.Mutex
	status map[string]*PartStatus
	ready  map[string]chan struct{}
	// exits tells the goroutine that waits for a child which status it ended with.
	exits map[int]chan syscall.WaitStatus
}

func newProcesses(instance *Instance, components []component, partsDir string, log *slog.Logger) *processes {
	p := &processes{
		instance: instance, components: components, partsDir: partsDir, log: log,
		status: map[string]*PartStatus{}, ready: map[string]chan struct{}{}, exits: map[int]chan syscall.WaitStatus{},
	}
	for _, c := range components {
		p.status[c.name] = &PartStatus{Name: c.name}
		p.ready[c.name] = make(chan struct{})
	}
	return p
}

// run starts every part and returns when ctx ends. The parts are not waited for: the end
// of process 1 ends them all.
func (p *processes) run(ctx context.Context) {
	go p.reap()
	for _, c := range p.components {
		go p.keep(ctx, c)
	}
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-look.C:
			p.rotateLogs(keepLog)
		}
	}
}

// rotateLogs moves aside the logs that are larger than limit bytes: those of the parts and
// of our own two processes.
func (p *processes) rotateLogs(limit int64) {
	names := []string{"supervisor", "node"}
	for _, c := range p.components {
		names = append(names, c.name)
	}
	for _, name := range names {
		if err := rotateLog(p.instance.logPath(name), limit); err != nil && !errors.Is(err, os.ErrNotExist) {
			p.log.Error("rotating a log", "of", name, "error", err)
		}
	}
}

// keep runs one part again and again.
func (p *processes) keep(ctx context.Context, c component) {
	for _, other := range c.after {
		select {
		case <-p.ready[other]:
		case <-ctx.Done():
			return
		}
	}
	log, err := p.instance.openLog(c.name)
	if err != nil {
		p.log.Error("opening the part's log", "part", c.name, "error", err)
		return
	}
	defer log.Close()
	var delay time.Duration
	for ctx.Err() == nil {
		started := time.Now()
		if err := p.once(ctx, c, log); err != nil {
			p.log.Error("starting a part", "part", c.name, "error", err)
		}
		delay = restartDelay(time.Since(started), delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// once runs a part until it ends.
func (p *processes) once(ctx context.Context, c component, log *os.File) error {
	command := exec.Command(c.args[0], c.args[1:]...)
	command.Env = partEnvironment(p.partsDir)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	// The child is entered before the reaper can see it end.
	p.mu.Lock()
	status := p.status[c.name]
	status.Starts++
	if err := command.Start(); err != nil {
		p.save()
		p.mu.Unlock()
		return err
	}
	exited := make(chan syscall.WaitStatus, 1)
	p.exits[command.Process.Pid] = exited
	status.PID, status.Ready = command.Process.Pid, false
	p.save()
	p.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.watchReady(ctx, c, time.Now())
	ended := <-exited
	cancel()
	p.log.Warn("a part ended", "part", c.name, "exit", ended.ExitStatus(), "signal", ended.Signal().String())
	p.mu.Lock()
	defer p.mu.Unlock()
	status.PID, status.Ready = 0, false
	p.save()
	return nil
}

// watchReady asks a part until it is ready.
func (p *processes) watchReady(ctx context.Context, c component, started time.Time) {
	for c.ready != nil && c.ready() != nil {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return // it ended while it was asked
	}
	status := p.status[c.name]
	status.Ready = true
	select {
	case <-p.ready[c.name]:
	default:
		status.ReadyAfter = time.Since(started).Milliseconds()
		close(p.ready[c.name])
	}
	p.save()
}

// reap collects every child that ends, our parts and orphans alike.
func (p *processes) reap() {
	idle := time.NewTicker(50 * time.Millisecond)
	defer idle.Stop()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch err {
		case nil:
			p.mu.Lock()
			if exited, ok := p.exits[pid]; ok {
				delete(p.exits, pid)
				exited <- status
			}
			p.mu.Unlock()
		case syscall.EINTR:
		default: // no child at the moment
			<-idle.C
		}
	}
}

// save writes the parts' status for `berth status`; p.mu is held.
func (p *processes) save() {
	all := make([]PartStatus, 0, len(p.components))
	for _, c := range p.components {
		all = append(all, *p.status[c.name])
	}
	if err := writeJSON(p.instance.path("run", "parts.json"), all); err != nil {
		p.log.Error("writing the parts' status", "error", err)
	}
}

// Parts returns how each of the node's parts is doing.
func (i *Instance) Parts() ([]PartStatus, error) {
	var parts []PartStatus
	err := readJSON(i.path("run", "parts.json"), &parts)
	return parts, err
}
