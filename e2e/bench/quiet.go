package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// quietIdle is for how many of a hundred parts of the time the CPUs of a quiet machine
	// have nothing to do. An instance at rest leaves more.
	quietIdle = 70
	// quietWindow is how long is looked.
	quietWindow = 3 * time.Second
	// quietPatience is how long a busy machine is waited for.
	quietPatience = 2 * time.Minute
)

// quiet waits until the machine has little to do, so that nothing else is measured, and
// notes what was seen. A load average cannot say this: it looks back a minute, at what was
// measured before.
func (b *bench) quiet(ctx context.Context) error {
	deadline := time.Now().Add(quietPatience)
	for said := false; ; {
		idle, err := idlePercent(ctx)
		if err != nil {
			return err
		}
		b.info.Load, b.info.Idle = load(), idle
		switch {
		case idle >= quietIdle:
			return nil
		case time.Now().After(deadline):
			b.say("the machine is still busy, %d %% idle: measuring all the same, without a verdict", idle)
			return nil
		case !said:
			b.say("waiting up to %s for a quiet machine: it is %d %% idle, not %d %%", quietPatience, idle, quietIdle)
			said = true
		}
	}
}

// idlePercent looks for a while at how idle the CPUs are.
func idlePercent(ctx context.Context) (int, error) {
	before, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, quietWindow); err != nil {
		return 0, err
	}
	after, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return idleBetween(string(before), string(after))
}

// idleBetween compares two readings of /proc/stat. Source of the fields: proc_stat(5).
func idleBetween(before, after string) (int, error) {
	idleBefore, allBefore, err := cpuTicks(before)
	if err != nil {
		return 0, err
	}
	idleAfter, allAfter, err := cpuTicks(after)
	if err != nil {
		return 0, err
	}
	if allAfter <= allBefore {
		return 0, errors.New("/proc/stat stands still")
	}
	return int(100 * (idleAfter - idleBefore) / (allAfter - allBefore)), nil
}

// cpuTicks adds up what all CPUs did; waiting for a disk is idle too.
func cpuTicks(stat string) (idle, all int64, err error) {
	first, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, errors.New("/proc/stat does not begin with the CPUs' sum")
	}
	// User, nice, system, idle, iowait, irq, softirq, steal; guests are in user and nice.
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		all += ticks
		if i == 3 || i == 4 {
			idle += ticks
		}
	}
	return idle, all, nil
}

// load is the machine's load average over a minute.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
