package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-dev/berth/internal/localcluster"
)

// The cases of `berth up`.
const (
	upFresh   = "a fresh instance"
	upRunning = "an instance that runs"
	upStopped = "a stopped instance"
	upCold    = "the first of all"
)

// measureUp measures `berth up` with everything compiled.
func (b *bench) measureUp(ctx context.Context) error {
	for round := 1; round <= b.rounds; round++ {
		if err := b.down(ctx, true); err != nil {
			return err
		}
		for _, what := range []string{upFresh, upRunning, upStopped} {
			if what == upStopped {
				if err := b.down(ctx, false); err != nil {
					return err
				}
			}
			b.say("up, round %d: %s", round, what)
			b.info.Load = load()
			result, err := b.bringUp(ctx)
			if err != nil {
				return err
			}
			b.recordUp("up", what, round, result.Total, result.Steps)
		}
	}
	return nil
}

func (b *bench) recordUp(measure, what string, round int, total int64, steps []localcluster.StepTime) {
	b.record(Record{Measure: measure, Case: what, Round: round, Milliseconds: total})
	for _, step := range steps {
		b.record(Record{Measure: measure, Case: what, Part: step.Name, Round: round, Milliseconds: step.Milliseconds})
	}
	b.info.Load = ""
}

// measureCold measures the first start of all: go's caches of modules and of what is
// compiled are empty, and Berth's.
func (b *bench) measureCold(ctx context.Context) error {
	cache := filepath.Join(b.scratch, "cold")
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	env := []string{"GOMODCACHE=" + filepath.Join(cache, "modules"), "GOCACHE=" + filepath.Join(cache, "go"), "BERTH_CACHE=" + filepath.Join(cache, "berth")}
	b.say("the first start of all, with nothing downloaded or compiled")
	b.info.Load = load()
	start := time.Now()
	build := b.command(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(cache, "bin", "berth"), "./cmd/berth")
	build.Env = append(build.Env, env...)
	build.Env = append(build.Env, "CGO_ENABLED=0")
	if _, err := output(build); err != nil {
		return err
	}
	cli := localcluster.StepTime{Name: "the command line", Milliseconds: time.Since(start).Milliseconds()}
	result, err := b.bringUp(ctx, env...)
	if err != nil {
		return err
	}
	b.recordUp("cold", upCold, 1, cli.Milliseconds+result.Total, append([]localcluster.StepTime{cli}, result.Steps...))
	// The instance runs binaries of the cache that goes now.
	return b.down(ctx, true)
}
