package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/internal/parts"
)

var (
	keep  = flag.Bool("keep", false, "leave the instance running for a look")
	kills = flag.Int("kills", 5, "how often each scenario of kills repeats")
)

// Names that keep the scenarios away from an instance of the machine's user.
const (
	instanceName    = "e2e"
	interruptedName = "e2e-int"
	killedName      = "e2e-kill"
	secondName      = "e2e-two"
	hostName        = "e2e-eu"
	scenariosHome   = "/var/lib/berth-e2e"
	scenariosLock   = scenariosHome + ".lock"
)

// berth is the instance that scenarios share.
var berth *stand

// ending is held by whoever takes the instances down and ends the process.
var ending sync.Mutex

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	lock, err := onlyRun()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer lock.Close()
	running, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	s, err := newStand(running)
	if err == nil {
		s.endOnSignal(interrupt)
		err = s.start()
	}
	code := 1
	if err == nil {
		berth = s
		code = m.Run()
	}
	ending.Lock() // waits for ever when a signal is ending the process
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bringing Berth up:", err)
	case *keep:
		fmt.Fprintf(os.Stderr, "left running: export BERTH_HOME=%s BERTH_CONFIG=%s KUBECONFIG=%s\n", s.home, s.up.CLIConfig, s.up.Kubeconfig)
	default:
		if err := s.takeDown(instanceName); err != nil {
			fmt.Fprintln(os.Stderr, "taking Berth down:", err)
			code = 1
		}
	}
	return code
}

// onlyRun makes this run the only one on the machine. The scenarios of every checkout use
// instances of the same names and would take each other's down.
func onlyRun() (*os.File, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the embedded cluster needs root")
	}
	file, err := os.OpenFile(scenariosLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(scenariosLock)
		file.Close()
		return nil, fmt.Errorf("other scenarios run on this machine and hold %s (%s): %w; wait for their end or stop them with Ctrl-C", scenariosLock, holder, err)
	}
	dir, err := os.Getwd()
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(file, "process %d in %s", os.Getpid(), dir)
	}
	return file, err
}

// newStand builds the command line.
func newStand(running context.Context) (*stand, error) {
	source, err := parts.FindSource("")
	if err != nil {
		return nil, err
	}
	s := &stand{source: source, cli: filepath.Join(source, "bin", "berth"), home: scenariosHome, running: running}
	build := exec.Command("go", "build", "-o", s.cli, "./cmd/berth")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the command line: %w\n%s", err, out)
	}
	return s, nil
}

// endOnSignal ends the scenarios at Ctrl-C or SIGTERM: what they run is told to end, and all
// their instances are removed. Nothing can be done at a kill -9 or when time is up: the next
// run removes what those leave.
func (s *stand) endOnSignal(interrupt context.CancelFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		got := <-signals
		ending.Lock()
		fmt.Fprintf(os.Stderr, "%s: taking the instances down\n", got)
		interrupt()
		if err := s.takeDown(instanceName, interruptedName, killedName, secondName, hostName); err != nil {
			fmt.Fprintln(os.Stderr, "taking Berth down:", err)
		}
		os.Exit(1)
	}()
}

// takeDown removes instances. A command that was told to end may work on one for a moment
// yet, which refuses until then.
func (s *stand) takeDown(names ...string) error {
	within, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for len(names) > 0 {
		command := exec.Command(s.cli, "down", "--name", names[0], "--delete")
		command.Env = append(os.Environ(), "BERTH_HOME="+s.home)
		out, err := command.CombinedOutput()
		if err == nil {
			names = names[1:]
			continue
		}
		select {
		case <-again.C:
		case <-within.Done():
			return fmt.Errorf("removing instance %s: %w\n%s", names[0], err, out)
		}
	}
	return nil
}

// start brings up a fresh instance, which it takes down again when it cannot be used.
func (s *stand) start() error {
	// What an earlier, killed run left is in the way of nobody but us.
	if err := s.takeDown(instanceName, interruptedName, killedName, secondName, hostName); err != nil {
		return err
	}
	up := s.command("up", "--name", instanceName, "--source", s.source, "--pool", "1", "--json")
	up.Stderr = os.Stderr
	out, err := up.Output()
	if err != nil {
		return fmt.Errorf("berth up: %w", err)
	}
	if err := s.prepare(out); err != nil {
		if !*keep {
			// Its state stays until the next run: the logs may say what was wrong.
			err = errors.Join(err, s.command("down", "--name", instanceName).Run())
		}
		return err
	}
	return nil
}

// prepare makes what scenarios need of an instance that is up, from what `up` printed.
func (s *stand) prepare(printed []byte) error {
	if err := json.Unmarshal(printed, &s.up); err != nil {
		return fmt.Errorf("berth up --json: %w\n%s", err, printed)
	}
	dir, err := parts.Build(s.running, parts.Options{SourceDir: s.source, Names: []string{"kubectl"}})
	if err != nil {
		return err
	}
	s.kube = filepath.Join(dir, "kubectl")
	return errors.Join(s.connect(), s.pushTestApp())
}
