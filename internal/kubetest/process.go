package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// logTail is how much of a log goes into an error.
const logTail = 4096

// process is a child that dies with this process.
type process struct {
	name    string
	log     string
	command *exec.Cmd
	// exited is closed when the process is gone.
	exited chan struct{}
}

// run starts a binary that writes its log into dir.
func run(binary, dir string, args ...string) (*process, error) {
	return runWith(nil, binary, dir, args...)
}

// runWith is run with variables added to the environment.
func runWith(environment []string, binary, dir string, args ...string) (*process, error) {
	name := filepath.Base(binary)
	p := &process{name: name, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	p.command = exec.Command(binary, args...)
	p.command.Env = append(os.Environ(), environment...)
	p.command.Dir, p.command.Stdout, p.command.Stderr = dir, log, log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread that started it ends, which
		// may be long before the process does: so this thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		_ = log.Close() // The child has its own copy.
		started <- err
		if err == nil {
			_ = p.command.Wait() // That it ended is all anyone asks; why, its log says.
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// stop ends the process and waits until it is gone.
func (p *process) stop() {
	// It fails only when the process has ended by itself.
	_ = p.command.Process.Kill()
	<-p.exited
}

// await polls until ready gives nil, and gives up when the process ends.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := poll(ctx, ready); err != nil {
		return fmt.Errorf("%s did not get ready: %w\n%s", p.name, err, p.tail())
	}
	return nil
}

func (p *process) tail() []byte {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return nil
	}
	return bytes.TrimSpace(text[max(0, len(text)-logTail):])
}

// poll calls check until it gives nil or the context ends, and then gives its last
// error.
func poll(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
