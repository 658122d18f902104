package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/internal/localcluster"
)

// The cases of `make up`.
const (
	upFresh   = "a fresh instance"
	upRunning = "an instance that runs"
	upStopped = "a stopped instance"
	upCold    = "the first of all"
)

// What `make up` does before and after `berth up`.
const (
	upBefore = "before `berth up`"
	upShop   = "the example shop"
)

// measureUp measures `make up` with everything compiled.
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
			if err := b.makeUp(ctx, "up", what, round); err != nil {
				return err
			}
		}
	}
	// The shop runs in it.
	return b.down(ctx, true)
}

// measureCold measures the first `make up` of all: go's caches of modules and of what is
// compiled are empty, and Berth's.
func (b *bench) measureCold(ctx context.Context) error {
	cache := filepath.Join(b.scratch, "cold")
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	b.say("the first start of all, with nothing downloaded or compiled")
	err := b.makeUp(ctx, "cold", upCold, 1,
		"GOMODCACHE="+filepath.Join(cache, "modules"), "GOCACHE="+filepath.Join(cache, "go"), "BERTH_CACHE="+filepath.Join(cache, "berth"))
	if err != nil {
		return err
	}
	// The instance runs binaries of the cache that goes now.
	return b.down(ctx, true)
}

// makeUp runs `make up` and records how long it and its parts took.
func (b *bench) makeUp(ctx context.Context, measure, what string, round int, env ...string) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	command := b.command(ctx, "make", "up", "ARGS=--name "+b.name)
	command.Env = append(command.Env, "BERTH_HOME="+b.home)
	command.Env = append(command.Env, env...)
	// Flags of the make that started this program are not for that one.
	command.Env = slices.DeleteFunc(command.Env, func(v string) bool {
		return strings.HasPrefix(v, "MAKEFLAGS=") || strings.HasPrefix(v, "MFLAGS=") || strings.HasPrefix(v, "MAKEOVERRIDES=")
	})
	start := time.Now()
	lines, err := follow(command)
	if err != nil {
		return err
	}
	total := time.Since(start)
	steps, err := partsOf(lines, start, total)
	if err != nil {
		return err
	}
	b.record(Record{Measure: measure, Case: what, Round: round, Milliseconds: total.Milliseconds()})
	for _, step := range steps {
		b.record(Record{Measure: measure, Case: what, Part: step.Name, Round: round, Milliseconds: step.Milliseconds})
	}
	return nil
}

// line is what a command said, and when.
type line struct {
	text string
	at   time.Time
}

// follow runs a command and notes when it says what on its standard error. An interrupt
// is for everything that the command started.
func follow(command *exec.Cmd) ([]line, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	stderr, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	var lines []line
	var said bytes.Buffer
	scanner := bufio.NewScanner(stderr)
	for scanner.Scan() {
		lines = append(lines, line{scanner.Text(), time.Now()})
		fmt.Fprintln(&said, scanner.Text())
	}
	if err := errors.Join(scanner.Err(), command.Wait()); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, said.Bytes())
	}
	return lines, nil
}

// stepLine is how `berth up` says that a step has ended.
var stepLine = regexp.MustCompile(`^✓ (.+?) +([0-9]+\.[0-9])s( |$)`)

// partsOf reads the steps of `berth up` from what `make up` said. `berth up` begins with a
// step and ends with one; what was before and after it are parts too.
func partsOf(lines []line, start time.Time, total time.Duration) ([]localcluster.StepTime, error) {
	var steps []localcluster.StepTime
	began, ended := start.Add(total), start
	for _, l := range lines {
		found := stepLine.FindStringSubmatch(l.text)
		if found == nil {
			continue
		}
		took, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return nil, err
		}
		steps = append(steps, localcluster.StepTime{Name: found[1], Milliseconds: int64(took * 1000)})
		if at := l.at.Add(-time.Duration(took * float64(time.Second))); at.Before(began) {
			began = at
		}
		ended = l.at
	}
	if len(steps) == 0 {
		return nil, errors.New("`make up` did not say how long its steps took")
	}
	before := localcluster.StepTime{Name: upBefore, Milliseconds: max(began.Sub(start), 0).Milliseconds()}
	shop := localcluster.StepTime{Name: upShop, Milliseconds: (total - ended.Sub(start)).Milliseconds()}
	return append(append([]localcluster.StepTime{before}, steps...), shop), nil
}
