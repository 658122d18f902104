package localcluster

import (
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/parts"
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
	return append([]Check{
		checkRoot(), checkTools(), checkGo(), checkCgroups(), checkFilesystem("overlay"), checkFilesystem("ext4"),
		checkLoop(), checkNamespaces(), checkMemory(), checkInotify(),
	}, checkSpace()...)
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
var tools = map[string]string{"go": "https://go.dev/dl", "git": "git", "mount": "mount", "mkfs.ext4": "e2fsprogs", "nft": "nftables", "gcc": "gcc"}

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

// leastGo is the oldest Go that compiles Berth and all parts: containerd asks for it.
const leastGo = "go1.26.8"

// checkGo asks for the version that would compile: in a source tree Go may choose
// another than the installed one.
func checkGo() Check {
	check := Check{Name: "go", Fix: "install Go " + leastGo[2:] + " or newer from https://go.dev/dl and put it first in PATH"}
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		check.Detail = strings.TrimSpace(string(exit.Stderr))
		return check
	}
	if err != nil {
		check.Detail = err.Error()
		return check
	}
	check.Detail = strings.TrimSpace(string(out))
	check.OK = goSuffices(check.Detail)
	return check
}

// goSuffices judges what `go env GOVERSION` says: "go1.26.8", or for a Go between two
// releases "devel go1.27-1a2b3c" and a date.
func goSuffices(found string) bool {
	found, _, _ = strings.Cut(strings.TrimPrefix(found, "devel "), " ")
	return version.IsValid(found) && version.Compare(found, leastGo) >= 0
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
	ok := orLoaded(name, func() bool {
		data, err := os.ReadFile("/proc/filesystems")
		return err == nil && strings.Contains(string(data), "\t"+name+"\n")
	})
	return Check{Name: name, OK: ok, Detail: "filesystem " + name, Fix: "load the kernel module: modprobe " + name}
}

func checkLoop() Check {
	ok := orLoaded("loop", func() bool {
		_, err := os.Stat("/dev/loop-control")
		return err == nil
	})
	return Check{Name: "loop devices", OK: ok, Detail: "/dev/loop-control", Fix: "load the kernel module: modprobe loop"}
}

// orLoaded looks for something that a kernel module brings, and once more after loading
// the module: Debian loads them when they are first asked for, which may be now.
func orLoaded(module string, there func() bool) bool {
	if there() {
		return true
	}
	// A machine that cannot load modules has them or lacks them: the second look tells.
	_ = exec.Command("modprobe", "--quiet", module).Run()
	return there()
}

// checkNamespaces makes namespaces as the node will, in a process that ends at once.
func checkNamespaces() Check {
	command := exec.Command("unshare", "-m", "-p", "-n", "-u", "-i", "--fork", "true")
	if out, err := command.CombinedOutput(); err != nil {
		return Check{Name: "namespaces", Detail: fmt.Sprintf("cannot be made: %v %s", err, out), Fix: "run it outside a container, or in a privileged one"}
	}
	return Check{Name: "namespaces", OK: true, Detail: "mount, process, network, host name and IPC"}
}

// What a start takes of the disk at the least, in bytes.
const (
	// buildSpace is for sources, build cache and parts, once.
	buildSpace = 12 << 30
	// runSpace is for images, data and what changed since the last build.
	runSpace = 2 << 30
)

// checkSpace looks at the disks of the instances and of the cache, which may be one.
func checkSpace() []Check {
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return []Check{{Name: "disk", Detail: err.Error(), Fix: "set " + parts.EnvCache + " to a folder on a disk"}}
	}
	needs := uint64(buildSpace)
	if hasParts(cache) {
		needs = runSpace
	}
	cacheDir, cacheDisk, err := disk(cache)
	if err != nil {
		return []Check{{Name: "disk", Detail: err.Error(), Fix: "set " + parts.EnvCache + " to a folder on a disk"}}
	}
	homeDir, homeDisk, err := disk(Home())
	if err != nil {
		return []Check{{Name: "disk", Detail: err.Error(), Fix: "set BERTH_HOME to a folder on a disk"}}
	}
	if cacheDisk == homeDisk {
		return []Check{checkFree(homeDir, needs, "BERTH_HOME and "+parts.EnvCache)}
	}
	return []Check{checkFree(homeDir, runSpace, "BERTH_HOME"), checkFree(cacheDir, needs, parts.EnvCache)}
}

// hasParts reports whether the cache holds parts of any version, and with them the build
// cache is likely to be warm.
func hasParts(cache string) bool {
	found, err := filepath.Glob(filepath.Join(cache, "parts", "*", "[^.]*"))
	return err == nil && len(found) > 0
}

// disk gives the file system that dir is on, or will be once it is made, and the nearest
// folder that exists.
func disk(dir string) (nearest string, device uint64, err error) {
	for {
		var stat unix.Stat_t
		err := unix.Stat(dir, &stat)
		if err == nil {
			return dir, stat.Dev, nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == filepath.Dir(dir) {
			return "", 0, fmt.Errorf("%s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}

func checkFree(dir string, needs uint64, setting string) Check {
	fix := fmt.Sprintf("free %d GiB, or set %s to a folder on a larger disk", needs>>30, setting)
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return Check{Name: "disk", Detail: fmt.Sprintf("%s: %v", dir, err), Fix: fix}
	}
	free := stat.Bavail * uint64(stat.Bsize) // a block size is positive
	return Check{Name: "disk", OK: free >= needs, Detail: fmt.Sprintf("%d GiB free at %s, %d needed", free>>30, dir, needs>>30), Fix: fix}
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
