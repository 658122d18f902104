package localcluster

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

// UpOptions say what to bring up.
type UpOptions struct {
	// SourceDir is Berth's source tree; empty means the one around the working folder.
	SourceDir string
	// PoolSize is how many virtual clusters to keep ready.
	PoolSize int
	// Bare leaves the chart out: a plain Kubernetes.
	Bare bool
	// Fargate makes pods of tenants behave as on Fargate.
	Fargate Fargate
	// Join makes it a host of another instance.
	Join JoinOptions
	// Out is where progress is shown.
	Out io.Writer
}

// Result is what came up.
type Result struct {
	Instance *Instance
	Ports    Ports
	// Steps and how long each took.
	Steps []StepTime
	Total time.Duration
	// AlreadyRunning is set when the node was running before.
	AlreadyRunning bool
	// Host says which instance it is a host of; nil where it has a Berth of its own.
	Host *HostOf
}

// Up builds what is not current, starts the instance if it does not run, and brings what
// is installed in it up to the source tree. When ctx ends or a step fails before the end, an
// instance that this call started is stopped again.
func (i *Instance) Up(ctx context.Context, options UpOptions) (*Result, error) {
	if err := options.Fargate.Validate(); err != nil {
		return nil, err
	}
	if err := preflight(); err != nil {
		return nil, err
	}
	release, err := i.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	management, err := i.joins(options)
	if err != nil {
		return nil, err
	}
	progress := NewProgress(options.Out)
	defer progress.Close()

	built, err := buildAll(ctx, options.SourceDir, progress)
	if err != nil {
		return nil, err
	}
	result := &Result{Instance: i}
	line, err := i.ensureRunning(ctx, built, options.Fargate, progress, result)
	if err != nil {
		return nil, err
	}
	if err := i.fill(ctx, built, management, options, progress); err != nil {
		if line != nil {
			line.cut()
			err = errors.Join(err, i.stop())
		}
		return nil, err
	}
	if line != nil {
		if err := line.commit(); err != nil {
			return nil, err
		}
	}
	result.Steps, result.Total = progress.Took(), progress.Elapsed()
	return result, nil
}

// built is what was compiled.
type built struct {
	source, partsDir, binDir string
	images                   images.Set
}

// buildAll compiles Kubernetes' parts and Berth at the same time, and packs the images.
func buildAll(ctx context.Context, sourceDir string, progress *Progress) (*built, error) {
	source, err := parts.FindSource(sourceDir)
	if err != nil {
		return nil, err
	}
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return nil, err
	}
	b := &built{source: source}
	var chartDir string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		b.partsDir, err = buildParts(groupCtx, source, progress.Start("Kubernetes' parts"))
		return err
	})
	group.Go(func() (err error) {
		step := progress.Start("Berth")
		if b.binDir, err = buildBerth(groupCtx, source, cache, step); err == nil {
			chartDir, err = vclusterChartDir(groupCtx, source)
		}
		return step.End(err)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	step := progress.Start("Images")
	b.images, err = images.Platform(b.partsDir, b.binDir, chartDir)
	return b, step.End(err)
}

// ensureRunning starts the node unless it runs already with the same parts in the same way.
// The lifeline is nil when nothing was started.
func (i *Instance) ensureRunning(ctx context.Context, b *built, fargate Fargate, progress *Progress, result *Result) (*lifeline, error) {
	state, err := i.LoadState()
	if err != nil {
		return nil, err
	}
	binary, err := ownBinary()
	if err != nil {
		return nil, err
	}
	result.Host = state.Host
	running := i.Running()
	if running != nil && running.Up && state.PartsDir == b.partsDir && state.Binary == binary && state.Fargate == fargate {
		result.AlreadyRunning, result.Ports = true, state.Ports
		return nil, nil
	}
	if err := i.stop(); err != nil {
		return nil, err
	}
	step := progress.Start("Kubernetes")
	if state.Ports, err = choosePorts(i.Name, state.Ports); err != nil {
		return nil, step.End(err)
	}
	state.Fargate = fargate
	state.SourceDir, state.PartsDir, state.Binary, state.Started = b.source, b.partsDir, binary, time.Now()
	result.Ports = state.Ports
	if err := errors.Join(i.saveState(state), i.ensurePKI(state.Ports.API), i.writeConfig(b.partsDir, state.Host != nil)); err != nil {
		return nil, step.End(err)
	}
	line, err := i.startSupervisor(b.partsDir)
	if err != nil {
		return nil, step.End(err)
	}
	startCtx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not ready after two minutes"))
	defer cancel()
	err = i.partsReady(startCtx, line.ended, func(ready, all int) { step.Detail("%d of %d parts", ready, all) })
	if step.End(err) != nil {
		line.cut()
		return nil, errors.Join(err, i.stop())
	}
	return line, nil
}

// fill puts into the running node what makes it Berth, or a host of its management cluster.
func (i *Instance) fill(ctx context.Context, b *built, management *Instance, options UpOptions, progress *Progress) error {
	step := progress.Start("Images into the node")
	if err := step.End(i.importImages(ctx, b.partsDir, b.images)); err != nil {
		return err
	}
	c, err := i.Client()
	if err != nil {
		return err
	}
	state, err := i.LoadState()
	if err != nil {
		return err
	}
	step = progress.Start("DNS and storage")
	err = applyAddons(ctx, c)
	if err == nil {
		err = nodeReady(ctx, c, state.Started)
	}
	if step.End(err) != nil || options.Bare {
		return err
	}
	if management != nil {
		return i.fillHost(ctx, c, b, management, options, progress)
	}
	step = progress.Start("Berth's chart")
	err = installChart(ctx, i.adminKubeconfig(), "", filepath.Join(b.source, "charts", "berth"), chartValues(b.images, state, options.PoolSize))
	if err == nil {
		err = i.saveAccess(ctx, c, state.Ports)
	}
	if step.End(err) != nil {
		return err
	}
	step = progress.Start("Berth itself")
	return step.End(berthReady(ctx, c, state.Started))
}

// Client returns a client of the host cluster as its administrator.
func (i *Instance) Client() (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", i.adminKubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	return client.New(config, client.Options{})
}
