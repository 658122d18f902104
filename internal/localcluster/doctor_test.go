package localcluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMachine shows that this machine may do what a node needs. It needs root, as the
// embedded cluster does.
func TestMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the embedded cluster needs root")
	}
	for _, check := range Doctor() {
		if !check.OK {
			t.Errorf("%s: %s; fix: %s", check.Name, check.Detail, check.Fix)
		}
	}
	image := filepath.Join(t.TempDir(), "data.ext4")
	if err := makeFilesystem(image); err != nil {
		t.Fatal(err)
	}
	mountpoint := t.TempDir()
	// All in namespaces of its own, which take everything back when the shell ends.
	script := `set -e
mount --make-rprivate /
mount -t ext4 -o loop "$1" "$2"
ip link set lo up
ip link add node0 type bridge
ip address add 10.88.0.1/16 dev node0
ip link set node0 up
ip route add default dev node0
nft add table inet probe
nft add chain inet probe forward '{ type filter hook forward priority 0; policy drop; }'
mkdir "$2/upper" "$2/work" "$2/lower" "$2/merged"
mount -t overlay overlay -o "lowerdir=$2/lower,upperdir=$2/upper,workdir=$2/work" "$2/merged"
touch "$2/merged/written"
test -e "$2/upper/written"
`
	command := exec.Command("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", image, mountpoint)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("preparing a node by hand: %v\n%s", err, out)
	}
}
