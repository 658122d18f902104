package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/parts"
)

// options are what the flags say.
type options struct {
	only    string
	rounds  int
	idle    time.Duration
	cold    bool
	keep    bool
	running bool
	name    string
	home    string
}

// measures are what can be measured, in that order.
var measures = []string{"up", "tenant", "deploy", "edge", "usage", "recovery"}

func main() {
	var o options
	flag.StringVar(&o.only, "only", strings.Join(measures, ","), "what to measure; what an earlier run measured of the rest stays in the tables")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each comparison is repeated; fewer than 3 give no verdict")
	flag.DurationVar(&o.idle, "idle", time.Minute, "how long to look at idle processes")
	flag.BoolVar(&o.cold, "cold", false, "also measure the first make up of all, with nothing downloaded or compiled (about 15 minutes on 2 cores)")
	flag.BoolVar(&o.keep, "keep", false, "leave the instance running at the end")
	flag.BoolVar(&o.running, "running", false, "use the instance that an earlier -keep left running")
	flag.StringVar(&o.name, "name", "bench", "name of the instance")
	flag.StringVar(&o.home, "home", "/var/lib/berth-bench", "folder of the instance")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and then writes what was measured; after a failure nothing is written.
func run(ctx context.Context, o options) (err error) {
	chosen := strings.Split(o.only, ",")
	for _, measure := range chosen {
		if !slices.Contains(measures, measure) {
			return fmt.Errorf("-only: there is no measure %q: choose from %s", measure, strings.Join(measures, ", "))
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("the embedded cluster needs root")
	}
	unlock, err := lock(o.home)
	if err != nil {
		return err
	}
	defer unlock()
	// A kubeconfig is in it.
	scratch := filepath.Join(o.home, ".scratch")
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	b, err := newBench(ctx, o, scratch)
	if err != nil {
		return err
	}
	if !o.running {
		if err := b.down(ctx, true); err != nil {
			return err
		}
	}
	if !o.keep {
		defer func() { err = errors.Join(err, b.down(context.WithoutCancel(ctx), true)) }()
	}
	if o.cold {
		if err := b.measureCold(ctx); err != nil {
			return fmt.Errorf("first start of all: %w", err)
		}
	}
	for _, step := range []struct {
		name string
		work func(context.Context) error
	}{{"up", b.measureUp}, {"tenant", b.measureTenants}, {"deploy", b.measureDeploys}, {"edge", b.measureEdge}, {"usage", b.measureUsage}, {"recovery", b.measureRecovery}} {
		if !slices.Contains(chosen, step.name) {
			continue
		}
		if step.name != "up" {
			if err := b.ensureUp(ctx); err != nil {
				return err
			}
		}
		if err := step.work(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return b.publish()
}

// bench is one run.
type bench struct {
	options
	source  string
	parts   string
	cli     string
	scratch string
	info    RunInfo

	measured []Record
	*instance
}

// newBench builds what is measured with.
func newBench(ctx context.Context, o options, scratch string) (*bench, error) {
	source, err := parts.FindSource("")
	if err != nil {
		return nil, err
	}
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, source: source, scratch: scratch, cli: filepath.Join(cache, "bench", "berth")}
	b.info = RunInfo{Started: time.Now().UTC().Truncate(time.Second), Commit: commit(ctx, source), Machine: machine()}
	b.say("building the parts, the command line and the test app")
	for _, names := range [][]string{nil, parts.Bench} {
		b.parts, err = parts.Build(ctx, parts.Options{SourceDir: source, Names: names, Progress: parts.Print(os.Stderr)})
		if err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(b.scratch, 0o700); err != nil {
		return nil, err
	}
	return b, errors.Join(b.goBuild(ctx, b.cli, "./cmd/berth"), b.goBuild(ctx, b.testApp(), "./e2e/testapp"))
}

func (b *bench) testApp() string { return filepath.Join(b.scratch, "testapp") }

func (b *bench) goBuild(ctx context.Context, output, pkg string) error {
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", output, pkg)
	build.Dir, build.Env = b.source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// say tells the person who waits what happens.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// record keeps a measurement.
func (b *bench) record(r Record) {
	r.Run = b.info
	b.measured = append(b.measured, r)
}

// publish writes the records and the tables.
func (b *bench) publish() error {
	path := filepath.Join(b.source, "docs", "benchmarks.jsonl")
	old, err := readRecords(path)
	if err != nil {
		return err
	}
	all := replace(old, b.measured)
	if err := writeRecords(path, all); err != nil {
		return err
	}
	table := report(all)
	fmt.Println(table)
	return insert(filepath.Join(b.source, "docs", "benchmarks.md"), table)
}

func commit(ctx context.Context, source string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", source, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func machine() string {
	memory := "?"
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err == nil {
			memory = fmt.Sprintf("%d GiB", kib>>20)
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, Linux %s, %s", runtime.NumCPU(), memory, strings.TrimSpace(string(kernel)), runtime.Version())
}

// lock makes sure that this run alone uses the instance of a home.
func lock(home string) (unlock func(), err error) {
	path := filepath.Clean(home) + ".lock"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("-home: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("-home: another run measures in %s: wait until it has ended", home)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}
