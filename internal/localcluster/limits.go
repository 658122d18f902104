package localcluster

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"
	// enoughInotify is how many inotify instances a user may have on a machine that runs
	// Berth. All tenants' control planes are one user to the kernel, and each takes several:
	// Debian's 128 are used up at about fifteen tenants.
	enoughInotify = 8192
)

// raiseInotify raises the limit where it is lower. It belongs to the user namespace, and
// the node has none of its own: so it holds for the machine, and it is never lowered.
func raiseInotify() error {
	limit, err := readNumber(inotifyLimit)
	if err != nil || limit >= enoughInotify {
		return err
	}
	return os.WriteFile(inotifyLimit, []byte(strconv.Itoa(enoughInotify)), 0o644)
}

// checkInotify is never an error: a start raises what is too low, where it may.
func checkInotify() Check {
	check := Check{Name: "inotify", OK: true}
	limit, err := readNumber(inotifyLimit)
	switch {
	case err != nil:
		check.Detail = "the limit cannot be read: " + err.Error()
	case limit < enoughInotify:
		check.Detail = fmt.Sprintf("%d instances a user; `berth up` raises it to %d for the machine (fs.inotify.max_user_instances)", limit, enoughInotify)
	default:
		check.Detail = fmt.Sprintf("%d instances a user", limit)
	}
	return check
}

func readNumber(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// What a machine should have of memory, in GiB.
const (
	leastMemory = 8
	// exampleMemory is for Berth with the example shop and its spare virtual clusters.
	exampleMemory = 12
)

func checkMemory() Check {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Check{Name: "memory", Detail: err.Error(), Fix: "mount /proc"}
	}
	kilobytes, err := memoryTotal(string(data))
	if err != nil {
		return Check{Name: "memory", Detail: err.Error(), Fix: "mount the kernel's own /proc"}
	}
	return judgeMemory(kilobytes)
}

// memoryTotal reads the line "MemTotal:  16384000 kB".
func memoryTotal(meminfo string) (int, error) {
	for line := range strings.Lines(meminfo) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, errors.New("/proc/meminfo does not say how much memory there is")
}

// judgeMemory counts whole GiB, rounded: of what a machine is sold with the kernel keeps
// some for itself.
func judgeMemory(kilobytes int) Check {
	has := (kilobytes + 1<<19) >> 20
	check := Check{
		Name: "memory", OK: has >= leastMemory, Detail: fmt.Sprintf("%d GiB, %d needed", has, leastMemory),
		Fix: fmt.Sprintf("run it on a machine with %d GiB or more; the example shop needs %d", leastMemory, exampleMemory),
	}
	if check.OK && has < exampleMemory {
		check.Detail += fmt.Sprintf("; the example shop needs %d", exampleMemory)
	}
	return check
}
