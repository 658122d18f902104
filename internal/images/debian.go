package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/parts"
)

// debianFormat changes whenever a root filesystem made before is not what would be
// made now.
const debianFormat = "1"

// suite is the release of Debian that packages are of. The machine must run it, since its
// own package sources are used.
const suite = "bookworm"

// AppUser is the user that the root filesystems of Debian know beside root, for
// programs that look up who they are.
const AppUser = "10001"

// DebianOptions says what a root filesystem of Debian packages holds.
type DebianOptions struct {
	// Packages to install, with what they depend on. Nothing is there without being
	// asked for or depended on, a shell included.
	Packages []string
	// Without names packages left out although something depends on them, such as
	// what only maintainer scripts need. They are not even downloaded.
	Without []string
	// CacheDir keeps the result and what it was made from. A list of packages is
	// resolved once: remove the folder to get newer versions.
	CacheDir string
	// Log gets a line per step that takes time; nil is silent.
	Log *slog.Logger
}

// Debian makes a layer with the named packages unpacked, without running anything of
// them: no maintainer scripts, no setuid bits, no manuals. It uses the package
// sources, keys and settings of the machine with a state of its own, so that the
// machine's package database and caches stay as they are. It needs no privilege.
func Debian(ctx context.Context, options DebianOptions) (v1.Layer, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	unlock, err := lockDir(ctx, options.CacheDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeLeftovers(options.CacheDir); err != nil {
		return nil, fmt.Errorf("cleaning the package cache: %w", err)
	}

	name := filepath.Join(options.CacheDir, options.key()+".tar")
	if _, err := os.Stat(name); err == nil {
		return fileLayer(name), nil
	}
	if err := checkSuite(suite); err != nil {
		return nil, err
	}
	source := &apt{dir: options.CacheDir, log: options.Log}
	debs, err := source.fetch(ctx, options.Packages, options.Without)
	if err != nil {
		return nil, err
	}
	options.Log.InfoContext(ctx, "unpacking Debian packages", "packages", len(debs))
	if err := mergeDebs(ctx, name, debs); err != nil {
		return nil, fmt.Errorf("unpacking Debian packages: %w", err)
	}
	return fileLayer(name), nil
}

func (o DebianOptions) complete() (DebianOptions, error) {
	if len(o.Packages) == 0 || o.CacheDir == "" {
		return o, errs.New(errs.Invalid, "", "a Debian image needs a list of packages and a cache folder", "name both")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.CacheDir)
	if err != nil {
		return o, fmt.Errorf("preparing the package cache: %w", err)
	}
	o.CacheDir = dir
	o.Packages, o.Without = sorted(o.Packages), sorted(o.Without)
	return o, nil
}

func (o DebianOptions) key() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		debianFormat, runtime.GOARCH, suite, strings.Join(o.Packages, " "), strings.Join(o.Without, " "),
	}, "\n")))
	return hex.EncodeToString(sum[:8])
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// checkSuite refuses a machine whose package sources are of another release: names
// and versions of packages would be others.
func checkSuite(wanted string) error {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "cannot tell which Debian release this machine runs: /etc/os-release is missing")
	}
	for line := range strings.Lines(string(release)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			if strings.Trim(value, `"`) == wanted {
				return nil
			}
			return errs.New(errs.Unavailable, "", "images of Debian "+wanted+" packages are made on Debian "+wanted+", and this machine runs "+value,
				"run it on a Debian "+wanted+" machine")
		}
	}
	return errs.New(errs.Unavailable, "", "this machine's /etc/os-release names no release", "run it on a Debian "+wanted+" machine")
}

// lockDir makes the cache folder and keeps others out of it until unlock is called.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("preparing the package cache: %w", err)
	}
	if unlock, err = parts.Lock(ctx, filepath.Join(dir, "lock")); err != nil {
		return nil, fmt.Errorf("waiting for another command that uses the package cache %s: %w", dir, err)
	}
	return unlock, nil
}

// removeLeftovers removes what killed commands left half done in the cache folder, which
// the caller has locked.
func removeLeftovers(dir string) error {
	for _, pattern := range []string{"*.tar.*", "download-*"} {
		left, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
