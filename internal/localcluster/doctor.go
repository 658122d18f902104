package localcluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/errs"
)

// Check is one thing the embedded cluster needs from the machine.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what was found; Fix what to do when it is not OK.
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Doctor looks at everything the embedded cluster needs from the machine.
func Doctor() []Check {
	return []Check{
		checkRoot(), checkTools(), checkCgroups(), checkFilesystem("overlay"), checkFilesystem("ext4"),
		checkLoop(), checkNamespaces(), checkSpace(),
	}
}

// preflight refuses at once what could only fail later.
func preflight() error {
	var failed []error
	for _, check := range Doctor() {
		if !check.OK {
			failed = append(failed, errs.New(errs.Unavailable, check.Name, check.Detail, check.Fix))
		}
	}
	return errors.Join(failed...)
}

func checkRoot() Check {
	return Check{Name: "root", OK: os.Geteuid() == 0, Detail: fmt.Sprintf("running as user %d", os.Geteuid()), Fix: "run it as root: namespaces and mounts need it"}
}

// tools are the programs of the machine that the node calls.
var tools = map[string]string{"go": "golang-go (1.26 or newer)", "git": "git", "mount": "mount", "mkfs.ext4": "e2fsprogs", "nft": "nftables", "gcc": "gcc"}

func checkTools() Check {
	var missing []string
	for tool, from := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, fmt.Sprintf("%s (from %s)", tool, from))
		}
	}
	if len(missing) > 0 {
		return Check{Name: "tools", Detail: "missing: " + strings.Join(missing, ", "), Fix: "run hack/setup, which `make up` does"}
	}
	return Check{Name: "tools", OK: true, Detail: "all there"}
}

func checkCgroups() Check {
	roots, err := cgroupRoots()
	if err != nil {
		return Check{Name: "control groups", Detail: err.Error(), Fix: "mount them at " + cgroupMount}
	}
	version := "version 1"
	if len(roots) == 1 && roots[0] == cgroupMount {
		version = "version 2"
	}
	return Check{Name: "control groups", OK: true, Detail: version}
}

func checkFilesystem(name string) Check {
	data, err := os.ReadFile("/proc/filesystems")
	ok := err == nil && strings.Contains(string(data), "\t"+name+"\n")
	return Check{Name: name, OK: ok, Detail: "filesystem " + name, Fix: "load the kernel module: modprobe " + name}
}

func checkLoop() Check {
	_, err := os.Stat("/dev/loop-control")
	return Check{Name: "loop devices", OK: err == nil, Detail: "/dev/loop-control", Fix: "load the kernel module: modprobe loop"}
}

// checkNamespaces makes namespaces as the node will, in a process that ends at once.
func checkNamespaces() Check {
	command := exec.Command("unshare", "-m", "-p", "-n", "-u", "-i", "--fork", "true")
	if out, err := command.CombinedOutput(); err != nil {
		return Check{Name: "namespaces", Detail: fmt.Sprintf("cannot be made: %v %s", err, out), Fix: "run it outside a container, or in a privileged one"}
	}
	return Check{Name: "namespaces", OK: true, Detail: "mount, process, network, host name and IPC"}
}

// leastSpace is what a first start takes at the least, in bytes: sources, build cache,
// parts and images.
const leastSpace = 12 << 30

func checkSpace() Check {
	dir := Home()
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return Check{Name: "disk", Detail: err.Error(), Fix: "set BERTH_HOME to a folder on a disk"}
	}
	free := stat.Bavail * uint64(stat.Bsize) // a block size is positive
	return Check{
		Name: "disk", OK: free >= leastSpace, Detail: fmt.Sprintf("%d GiB free at %s", free>>30, dir),
		Fix: fmt.Sprintf("free %d GiB, or set BERTH_HOME to a folder on a larger disk", leastSpace>>30),
	}
}
