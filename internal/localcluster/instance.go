package localcluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/internal/errs"
)

// DefaultName is the instance that commands mean when none is named.
const DefaultName = "berth"

const defaultHome = "/var/lib/berth"

// maxHome is how long the path of the folder of all instances may be.
const maxHome = 60

var validName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Instance is one embedded host cluster and the folder that holds all of its state.
type Instance struct {
	Name string
	Dir  string
}

// Home is the folder that holds every instance: $BERTH_HOME, or /var/lib/berth.
func Home() string {
	if home := os.Getenv("BERTH_HOME"); home != "" {
		return home
	}
	return defaultHome
}

// Open names an instance. It need not exist yet.
func Open(name string) (*Instance, error) {
	if !validName.MatchString(name) {
		return nil, errs.New(errs.Invalid, "--name", fmt.Sprintf("%q cannot name an instance", name),
			"use 1 to 20 lower-case letters, digits and hyphens, a letter first")
	}
	// The address of a unix socket has room for 107 characters: the longest path is
	// run/containerd/s/ with 64 hex digits of containerd's shim.
	if home := Home(); !filepath.IsAbs(home) || len(home) > maxHome {
		return nil, errs.New(errs.Invalid, "BERTH_HOME", fmt.Sprintf("%q cannot hold instances", home),
			fmt.Sprintf("set it to an absolute path of at most %d characters", maxHome))
	} else if isHidden(home) {
		return nil, errs.New(errs.Invalid, "BERTH_HOME", fmt.Sprintf("%q is in a folder that an instance's processes do not see", home),
			"set it to a folder outside "+strings.Join(hiddenFolders, ", "))
	}
	return &Instance{Name: name, Dir: filepath.Join(Home(), name)}, nil
}

// List returns the instances that have state on this machine.
func List() ([]*Instance, error) {
	entries, err := os.ReadDir(Home())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*Instance
	for _, entry := range entries {
		if entry.IsDir() && validName.MatchString(entry.Name()) {
			found = append(found, &Instance{Name: entry.Name(), Dir: filepath.Join(Home(), entry.Name())})
		}
	}
	return found, nil
}

func (i *Instance) path(parts ...string) string {
	return filepath.Join(append([]string{i.Dir}, parts...)...)
}

// Kubeconfig is the path of the administrator's kubeconfig for the host cluster. It is for
// people, who may add contexts to it and change the current one.
func (i *Instance) Kubeconfig() string { return i.path("kubeconfig") }

// adminKubeconfig is the same for ourselves: what people do to theirs must not lead our
// work into another cluster.
func (i *Instance) adminKubeconfig() string { return i.path("pki", "admin.kubeconfig") }

// EdgeCA is the path of the certificate that signs what the edge serves.
func (i *Instance) EdgeCA() string { return i.path("edge-ca.crt") }

// CLIConfig is the path of the command line's configuration for this instance.
func (i *Instance) CLIConfig() string { return i.path("cli.json") }

// ZoneFile is the path of the zone file whose names Berth's proofs of domains find.
func (i *Instance) ZoneFile() string { return i.path("zone.db") }

// SecurityGroups is the path of the file with the security groups of a pool like Fargate.
func (i *Instance) SecurityGroups() string { return i.path("security-groups.json") }

// Logs is the folder with one log file for each part.
func (i *Instance) Logs() string { return i.path("logs") }

// ContainerdSocket is the address of the instance's containerd.
func (i *Instance) ContainerdSocket() string { return i.path("run", "containerd.sock") }

// cgroup is the name of the instance's control group. Instances of one name in several
// homes have groups of their own.
func (i *Instance) cgroup() string {
	if Home() == defaultHome {
		return "berth-" + i.Name
	}
	sum := sha256.Sum256([]byte(i.Dir))
	return "berth-" + i.Name + "-" + hex.EncodeToString(sum[:3])
}

// Exists reports whether the instance has state on this machine.
func (i *Instance) Exists() bool {
	_, err := os.Stat(i.path("state.json"))
	return err == nil
}

// lock keeps two commands from changing one instance at the same time. The kernel gives
// the lock back when the process ends.
func (i *Instance) lock() (release func(), err error) {
	if err := os.MkdirAll(i.Dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(i.path("lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, errs.New(errs.Conflict, "", fmt.Sprintf("another command is working on instance %q", i.Name),
			"wait for it to end, or stop it, and try again")
	}
	return func() { file.Close() }, nil
}

// State is what an instance remembers between starts.
type State struct {
	// Ports on 127.0.0.1.
	Ports Ports `json:"ports"`
	// SourceDir is the checkout the instance was last started from.
	SourceDir string `json:"sourceDir,omitempty"`
	// PartsDir holds the parts it runs, Binary identifies the binary it runs itself from.
	PartsDir string `json:"partsDir,omitempty"`
	Binary   string `json:"binary,omitempty"`
	// Started is when it was last started. What the cluster says of itself can be older.
	Started time.Time `json:"started,omitzero"`
	// Fargate is how it treats pods of tenants.
	Fargate Fargate `json:"fargate,omitzero"`
	// Host says which instance this one is a host of; nil where it has a Berth of its own.
	Host *HostOf `json:"host,omitempty"`
}

// LoadState reads the instance's state; the zero State if there is none.
func (i *Instance) LoadState() (State, error) {
	var state State
	err := readJSON(i.path("state.json"), &state)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	return state, err
}

func (i *Instance) saveState(state State) error { return writeJSON(i.path("state.json"), state) }

// Running is what a running instance says about itself.
type Running struct {
	// SupervisorPID and NodePID are process ids on the machine; 0 in the first moments of
	// a start and the last of a stop.
	SupervisorPID int `json:"supervisorPID"`
	NodePID       int `json:"nodePID"`
	// NodeBorn tells the node from a later process with its id; see born.
	NodeBorn string `json:"nodeBorn,omitempty"`
	// Up is set once the command that started the instance was done. Without it the
	// instance ends with that command.
	Up bool `json:"up"`
}

// Running returns the running instance, or nil when it does not run.
func (i *Instance) Running() *Running {
	if !i.alive() {
		return nil
	}
	running := &Running{}
	if err := readJSON(i.path("run", "supervisor.json"), running); err != nil {
		return &Running{}
	}
	return running
}

// ownBinary identifies the binary of this process by its content.
func ownBinary() (string, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'), 0o600)
}

// writeFile replaces a file in one step, so that a reader or a crash never sees half of it.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(data); err != nil {
		temporary.Close()
		return err
	}
	if err := errors.Join(temporary.Chmod(mode), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
