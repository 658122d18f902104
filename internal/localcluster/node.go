package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dataSize is how large the node's filesystem may grow at the most, in bytes. The file
// behind it is sparse: it takes what is written.
const dataSize = 100 << 30

// nodeMark is the variable by which the supervisor tells the node, and the node its parts,
// that they are.
const nodeMark = "BERTH_NODE"

// runNode is process 1 of the node's namespaces: it prepares mounts and network, then
// keeps the parts running until it is told to stop.
func runNode(ctx context.Context, instance *Instance, partsDir string, log *slog.Logger) error {
	// Started by hand it would mount over the machine's own folders.
	if os.Getpid() != 1 || os.Getenv(nodeMark) == "" {
		return errByHand
	}
	if err := instance.inherits(nodeAliveFD); err != nil {
		return err
	}
	defer keepAlive(nodeAliveFD).Close()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"mounts", instance.prepareMounts},
		{"network", prepareNetwork},
		{"control groups", instance.prepareCgroups},
	} {
		if err := step.run(); err != nil {
			return fmt.Errorf("preparing the node's %s: %w", step.name, err)
		}
	}
	if err := raiseInotify(); err != nil {
		log.Warn("raising the limit of inotify instances: many tenants may not run", "error", err)
	}
	supervisor := newProcesses(instance, instance.components(partsDir), partsDir, log)
	supervisor.run(ctx)
	return nil
}

// prepareMounts gives the node a filesystem of its own and hides the machine's run-time
// folders from its parts. All of it ends with the mount namespace.
func (i *Instance) prepareMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// The kubelet shares mounts with pods that ask for it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("making mounts shared inside: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := i.mountData(); err != nil {
		return err
	}
	for _, dir := range []string{"containerd", "kubelet", "kine", "registry", "pod-logs", "volumes", "var-log", "var-lib-kubelet"} {
		if err := os.MkdirAll(i.path("data", dir), 0o711); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(i.path("run", "var-lib-cni"), 0o711); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	for target, source := range map[string]string{
		"/var/log": i.path("data", "var-log"),
		// The kubelet removes every socket it finds in its folder for device plugins, whatever
		// its root folder is.
		"/var/lib/kubelet": i.path("data", "var-lib-kubelet"),
		// What the network plug-ins noted ends with the addresses they gave: at the next start
		// an address may be another pod's.
		"/var/lib/cni": i.path("run", "var-lib-cni"),
	} {
		if err := bindOver(source, target); err != nil {
			return err
		}
	}
	return nil
}

// hiddenFolders are those of the machine that prepareMounts hides from the node's parts:
// nothing of an instance can be in them.
var hiddenFolders = []string{"/run", "/var/run", "/proc", "/var/log", "/var/lib/kubelet", "/var/lib/cni"}

// isHidden tells whether the node does not see what the machine has at a path.
func isHidden(path string) bool {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return slices.ContainsFunc(hiddenFolders, func(hidden string) bool {
		return strings.HasPrefix(filepath.Clean(path)+"/", hidden+"/")
	})
}

// bindOver binds source over target, a folder whose path a part has compiled in. Where
// the machine lacks it an empty one is made, the only thing written outside the
// instance's folder.
func bindOver(source, target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s: %w", target, err)
	}
	return nil
}

// mountData mounts the node's filesystem, an ext4 in a sparse file: a real device, which
// the kubelet needs to account for storage. The loop device goes with the mount.
func (i *Instance) mountData() error {
	image, mountpoint := i.path("data.ext4"), i.path("data")
	if err := os.MkdirAll(mountpoint, 0o711); err != nil {
		return err
	}
	if _, err := os.Stat(image); errors.Is(err, os.ErrNotExist) {
		if err := makeFilesystem(image); err != nil {
			return err
		}
	}
	if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop,noatime,discard", image, mountpoint).CombinedOutput(); err != nil {
		return fmt.Errorf("mounting %s: %w: %s", image, err, out)
	}
	return nil
}

// makeFilesystem makes the image under another name first: a half-made one is never used.
func makeFilesystem(image string) error {
	half := image + ".new"
	file, err := os.Create(half)
	if err != nil {
		return err
	}
	var disk unix.Statfs_t
	err = unix.Fstatfs(int(file.Fd()), &disk)
	size := sizeOnDisk(disk.Bavail * uint64(disk.Bsize)) // a block size is positive
	if err := errors.Join(err, file.Truncate(size), file.Close()); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", half).CombinedOutput(); err != nil {
		return fmt.Errorf("making a filesystem in %s: %w: %s", half, err, out)
	}
	return os.Rename(half, image)
}

// sizeOnDisk is how large a filesystem may grow on a disk with so many bytes free: one that
// promised more than there is would break when the disk is full, not evict.
func sizeOnDisk(free uint64) int64 {
	return int64(min(dataSize, free/5*4)) &^ (1<<20 - 1)
}

// prepareNetwork gives the node its address on a device that leads nowhere: whatever no
// pod or service takes is dropped, and nothing can leave the machine.
func prepareNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	// A bridge without ports: a dummy device is not in every kernel.
	device := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "node0"}}
	if err := netlink.LinkAdd(device); err != nil {
		return err
	}
	address, err := netlink.ParseAddr(nodeCIDR)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(device, address); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return err
	}
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: device.Attrs().Index, Dst: everywhere, Src: address.IP}); err != nil {
		return fmt.Errorf("adding the default route: %w", err)
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1",
		// Pods' addresses are single hosts behind veth pairs: their routes decide.
		"net/ipv4/conf/all/rp_filter":     "0",
		"net/ipv4/conf/default/rp_filter": "0",
	} {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return unix.Sethostname([]byte(nodeName))
}

// partEnvironment is what the node's parts see of the environment: our own binaries come
// first, since a shim of another version breaks containerd.
func partEnvironment(partsDir string) []string {
	return []string{
		"PATH=" + partsDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		nodeMark + "=1", "HOME=/root", "TMPDIR=/tmp", "LANG=C.UTF-8", "BERTH_HOME=" + Home(),
	}
}

// keepLog is how large a log may grow, in bytes; the last so many bytes are kept beside it.
const keepLog = 64 << 20

// rotateLog moves the content of a log that has grown too large aside. Its part goes on
// writing to the same file, at its end; what it writes in this moment is lost.
func rotateLog(path string, limit int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= limit {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".1", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, info.Size()))
	return errors.Join(err, to.Close(), os.Truncate(path, 0))
}

func (i *Instance) logPath(name string) string { return filepath.Join(i.Logs(), name+".log") }

// openLog starts a new log file for a part and keeps the last one beside it.
func (i *Instance) openLog(name string) (*os.File, error) {
	path := i.logPath(name)
	if err := os.MkdirAll(i.Logs(), 0o700); err != nil {
		return nil, err
	}
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// restartDelay is how long to wait before starting a part again: at once after it ran a
// while, and up to five seconds when it ends again and again.
func restartDelay(ran time.Duration, last time.Duration) time.Duration {
	if ran > 10*time.Second {
		return 100 * time.Millisecond
	}
	return min(max(2*last, 100*time.Millisecond), 5*time.Second)
}
