package localcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/berth-dev/berth/internal/parts"
)

// The hidden first arguments by which the binary calls itself.
const (
	supervisorCommand = "__berth-supervisor"
	nodeCommand       = "__berth-node"
	agentCommand      = "__berth-node-agent"
)

const (
	// lifelineFD is the pipe on which `berth up` tells the supervisor that it may stay.
	lifelineFD = 3
	// supervisorAliveFD and nodeAliveFD are where the two inherit the lock.
	supervisorAliveFD = 4
	nodeAliveFD       = 3
)

// Main runs one of the embedded cluster's own processes if args ask for it, and reports
// whether they did. Every binary that starts an instance calls it first, from the main
// goroutine. The processes end with ctx, which must end on SIGTERM and SIGINT.
func Main(ctx context.Context, args []string) (code int, handled bool) {
	var run func(*Instance, *slog.Logger) error
	switch {
	case len(args) == 4 && args[1] == supervisorCommand:
		run = func(i *Instance, log *slog.Logger) error { return runSupervisor(ctx, i, args[3], log) }
	case len(args) == 4 && args[1] == nodeCommand:
		run = func(i *Instance, log *slog.Logger) error { return runNode(ctx, i, args[3], log) }
	case len(args) == 3 && args[1] == agentCommand:
		run = func(i *Instance, log *slog.Logger) error { return runAgent(ctx, i, log) }
	default:
		return 0, false
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	instance, err := Open(args[2])
	if err == nil {
		err = run(instance, log)
	}
	if err != nil {
		log.Error("ended", "process", args[1], "error", err)
		return 1, true
	}
	return 0, true
}

// errByHand is what our own processes say when nobody of us started them. They would
// clean up, mount and filter where they must not.
var errByHand = errors.New("this process belongs to `berth up`: it is not started by hand")

// runSupervisor starts the node, forwards the instance's ports into it, links a host with the
// instance it is a host of, and ends with the node.
func runSupervisor(ctx context.Context, instance *Instance, partsDir string, log *slog.Logger) error {
	if err := instance.inherits(supervisorAliveFD); err != nil {
		return err
	}
	alive := keepAlive(supervisorAliveFD)
	defer alive.Close()
	// The node's parent-death signal is bound to this thread, which lives as long as the
	// process: a supervisor that is killed takes the node with it.
	runtime.LockOSThread()
	state, err := instance.LoadState()
	if err != nil {
		return err
	}
	// New pods start from the parts' files as long as the node runs.
	release, err := parts.Use(partsDir)
	if err != nil {
		return err
	}
	defer release()
	node, err := instance.startNode(partsDir, alive)
	if err != nil {
		return err
	}
	running := Running{SupervisorPID: os.Getpid(), NodePID: node.Process.Pid, NodeBorn: born(node.Process.Pid)}
	if err := writeJSON(instance.path("run", "supervisor.json"), running); err != nil {
		return err
	}
	gateway, err := openGateway(running, state.Ports, log)
	if err != nil {
		_ = node.Process.Kill()
		return errors.Join(err, instance.cleanUp())
	}
	unlink, err := instance.keepLinked(ctx, running, state.Host, log)
	if err != nil {
		gateway.close()
		_ = node.Process.Kill()
		return errors.Join(err, instance.cleanUp())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := node.Wait()
		log.Info("the node ended", "status", node.ProcessState.String(), "error", err)
	}()
	select {
	case <-ended:
		err = fmt.Errorf("the node ended by itself: %s", lastLine(filepath.Join(instance.Logs(), "node.log")))
	case <-lifelineCut(func() error {
		running.Up = true
		return writeJSON(instance.path("run", "supervisor.json"), running)
	}):
		log.Info("the command that started this instance ended before it was up")
	case <-ctx.Done():
	}
	gateway.close()
	unlink()
	stopNode(node, ended)
	return errors.Join(err, instance.cleanUp())
}

// startNode starts process 1 of the node's namespaces.
func (i *Instance) startNode(partsDir string, alive *os.File) (*exec.Cmd, error) {
	log, err := i.openLog("node")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	node := exec.Command("/proc/self/exe", nodeCommand, i.Name, partsDir)
	node.Args[0] = "berth"
	node.Env = partEnvironment(partsDir)
	node.ExtraFiles = []*os.File{alive}
	node.Stdout, node.Stderr = log, log
	node.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	return node, node.Start()
}

// stopNode ends the node. Process 1 going away makes the kernel end all others.
func stopNode(node *exec.Cmd, ended <-chan struct{}) {
	_ = node.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		_ = node.Process.Kill()
		<-ended
	}
}

// lifelineCut is closed when the command that started the supervisor ends without having
// said that the instance is up. Otherwise stay is called.
func lifelineCut(stay func() error) <-chan struct{} {
	cut := make(chan struct{})
	lifeline := os.NewFile(lifelineFD, "lifeline")
	go func() {
		defer lifeline.Close()
		line, err := bufio.NewReader(lifeline).ReadString('\n')
		if err == nil && line == "up\n" && stay() == nil {
			return
		}
		close(cut)
	}()
	return cut
}

// cleanUp removes what an ended instance leaves: its run-time files and control groups.
// What of it is still ending is waited for.
func (i *Instance) cleanUp() error {
	deadline := time.Now().Add(stopTimeout)
	if err := i.awaitNodeEnd(deadline); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(i.path("run")), i.removeCgroups(deadline))
}

// lifeline holds an instance that is being started: closing it without Commit stops the
// instance, and so does the end of the process, however it ends.
type lifeline struct {
	pipe *os.File
	// ended is closed when the supervisor has ended.
	ended chan struct{}
}

func (l *lifeline) commit() error {
	_, err := l.pipe.WriteString("up\n")
	return errors.Join(err, l.pipe.Close())
}

func (l *lifeline) cut() { l.pipe.Close() }

// startSupervisor starts the instance's processes, which end unless the lifeline is
// committed.
func (i *Instance) startSupervisor(partsDir string) (*lifeline, error) {
	alive, err := i.takeAlive()
	if err != nil {
		return nil, err
	}
	defer alive.Close()
	if err := i.cleanUp(); err != nil {
		return nil, fmt.Errorf("removing what an earlier start left: %w", err)
	}
	for _, dir := range []string{"run", "data"} {
		if err := os.MkdirAll(i.path(dir), 0o711); err != nil {
			return nil, err
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	log, err := i.openLog("supervisor")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command("/proc/self/exe", supervisorCommand, i.Name, partsDir)
	command.Args[0] = "berth"
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{read, alive}
	// A session of its own: Ctrl-C reaches the command, which then cuts the lifeline.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		write.Close()
		return nil, err
	}
	line := &lifeline{pipe: write, ended: make(chan struct{})}
	go func() {
		defer close(line.ended)
		_ = command.Wait() // how it ended stands in its log
	}()
	return line, nil
}
