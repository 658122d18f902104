package localcluster

import (
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
