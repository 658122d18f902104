package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// parallel is how many parts are built at once. One go command uses every core
// while it compiles, but only one while it links.
const parallel = 2

// Options say what to build, from where, into which cache.
type Options struct {
	// SourceDir is the source tree; empty means the one around the working folder.
	SourceDir string
	// CacheDir is the cache; empty means DefaultCacheDir.
	CacheDir string
	// Names of the parts, all of one module; none means all but those that are only built
	// when they are asked for.
	Names []string
	// Progress is told what happens, one event at a time. It may be nil.
	Progress func(Event)
}

// State of a part.
type State string

// The states, of which a part has one of the first two and one of the others.
const (
	// Building has begun.
	Building State = "building"
	// Current needs no building.
	Current State = "current"
	// Built is done.
	Built State = "built"
	// Failed is an error.
	Failed State = "failed"
)

// Event is one part's change of state.
type Event struct {
	Part    string
	State   State
	Elapsed time.Duration
	Err     error
}

// Build makes sure that the parts are there and gives the folder they are in.
// Parts that are current cost one look at a file.
func Build(ctx context.Context, options Options) (string, error) {
	chosen, err := choose(options.Names)
	if err != nil {
		return "", err
	}
	dir, err := dirOf(chosen)
	if err != nil {
		return "", err
	}
	b, err := newBuilder(ctx, dir, options)
	if err != nil {
		return "", err
	}
	release, err := Use(b.dir)
	if err != nil {
		return "", err
	}
	defer release()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, part := range chosen {
		group.Go(func() error { return b.ensure(ctx, part) })
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	if b.builtAny {
		if err := prune(filepath.Dir(b.dir), b.dir, time.Now()); err != nil {
			return "", fmt.Errorf("removing parts of old versions: %w", err)
		}
	}
	return b.dir, nil
}

// builder is one call of Build.
type builder struct {
	moduleDir string
	dir       string
	versions  map[string]string

	mu       sync.Mutex
	progress func(Event)
	builtAny bool
}

func newBuilder(ctx context.Context, module string, options Options) (*builder, error) {
	source, err := FindSource(options.SourceDir)
	if err != nil {
		return nil, err
	}
	cache := options.CacheDir
	if cache == "" {
		if cache, err = DefaultCacheDir(); err != nil {
			return nil, err
		}
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return nil, err
	}
	versions, err := versionsIn(source, module)
	if err != nil {
		return nil, err
	}
	key, err := cacheKey(ctx, source, module, versions)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, filepath.Base(module), key)
	for _, sub := range []string{lockDir, unfinishedDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return &builder{
		moduleDir: filepath.Join(source, module), dir: dir, versions: versions, progress: options.Progress,
	}, nil
}

func (b *builder) tell(event Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.builtAny = b.builtAny || event.State == Built
	if b.progress != nil {
		b.progress(event)
	}
}

// ensure builds a part unless it is there, or another process is building it.
func (b *builder) ensure(ctx context.Context, part Part) error {
	if b.exists(part) {
		b.tell(Event{Part: part.Name, State: Current})
		return nil
	}
	unlock, err := Lock(ctx, filepath.Join(b.dir, lockDir, part.Name))
	if err != nil {
		return fmt.Errorf("waiting for another build of %s: %w", part.Name, err)
	}
	defer unlock()
	if b.exists(part) {
		b.tell(Event{Part: part.Name, State: Current})
		return nil
	}
	start := time.Now()
	b.tell(Event{Part: part.Name, State: Building})
	if err := b.build(ctx, part); err != nil {
		err = fmt.Errorf("building %s: %w", part.Name, err)
		b.tell(Event{Part: part.Name, State: Failed, Elapsed: time.Since(start), Err: err})
		return err
	}
	b.tell(Event{Part: part.Name, State: Built, Elapsed: time.Since(start)})
	return nil
}

// exists relies on the binary being renamed into place after everything else.
func (b *builder) exists(part Part) bool {
	_, err := os.Stat(filepath.Join(b.dir, part.Name))
	return err == nil
}

// build compiles a part and puts it in place. The caller holds the part's lock.
func (b *builder) build(ctx context.Context, part Part) error {
	if part.CGO {
		if err := checkLibraries(ctx); err != nil {
			return err
		}
	}
	unfinished := filepath.Join(b.dir, unfinishedDir, part.Name)
	args := append([]string{"build"}, part.buildArgs(b.versions[part.Module])...)
	command := exec.CommandContext(ctx, "go", append(args, "-o", unfinished, part.Package)...)
	command.Dir, command.Env = b.moduleDir, buildEnv(part.CGO)
	if err := RunToEnd(command); err != nil {
		return err
	}
	for _, link := range part.Links {
		path := filepath.Join(b.dir, link)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(part.Name, path); err != nil {
			return err
		}
	}
	return os.Rename(unfinished, filepath.Join(b.dir, part.Name))
}

// RunToEnd runs a command, made with exec.CommandContext, that dies with this process
// and, when its context ends, with everything it started. What the command wrote is in
// the error.
func RunToEnd(command *exec.Cmd) error {
	// The kernel sends the death signal when the thread ends that started the
	// child, so that thread has to stay for as long as the child does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		if text := strings.TrimSpace(output.String()); text != "" {
			return fmt.Errorf("%w:\n%s", err, text)
		}
		return err
	}
	return nil
}

// checkLibraries gives a better answer than the C compiler does.
func checkLibraries(ctx context.Context) error {
	for _, tool := range []string{"gcc", "pkg-config"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("there is no %s: run hack/setup to install what building needs", tool)
		}
	}
	if err := exec.CommandContext(ctx, "pkg-config", "--exists", "libseccomp").Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.New("there is no libseccomp-dev: run hack/setup to install what building needs")
	}
	return nil
}
