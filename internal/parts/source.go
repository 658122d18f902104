package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// EnvCache names the cache folder.
const EnvCache = "BERTH_CACHE"

// DefaultCacheDir is $BERTH_CACHE, else $XDG_CACHE_HOME/berth, else ~/.cache/berth.
func DefaultCacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache folder (set %s to choose one): %w", EnvCache, err)
	}
	return filepath.Join(dir, "berth"), nil
}

// FindSource gives the source tree that dir lies in.
func FindSource(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ModuleDir, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside Berth's source tree: no %s/go.mod above it", dir, ModuleDir)
		}
	}
}

// Versions gives the version of every module that a part comes from, as
// hack/parts/go.mod in the source tree pins it.
func Versions(sourceDir string) (map[string]string, error) {
	return versionsIn(sourceDir, ModuleDir)
}

// versionsIn is Versions for the parts that one module pins.
func versionsIn(sourceDir, module string) (map[string]string, error) {
	path := filepath.Join(sourceDir, module, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := modfile.ParseLax(path, text, nil)
	if err != nil {
		return nil, err
	}
	pinned := make(map[string]string)
	for _, require := range file.Require {
		pinned[require.Mod.Path] = require.Mod.Version
	}
	versions := make(map[string]string)
	for _, part := range list {
		if part.dir() != module {
			continue
		}
		version, ok := pinned[part.Module]
		if !ok {
			return nil, fmt.Errorf("%s does not require %s, which %s is built from", path, part.Module, part.Name)
		}
		versions[part.Module] = version
	}
	return versions, nil
}

// cacheKey names everything the binaries are made from: the module's files, the
// toolchain and the flags.
func cacheKey(ctx context.Context, sourceDir, module string, versions map[string]string) (string, error) {
	sum := sha256.New()
	root := filepath.Join(sourceDir, module)
	files := os.DirFS(root)
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") && path != "go.mod" && path != "go.sum" {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %x\n", path, sha256.Sum256(text))
		return err
	})
	if err != nil {
		return "", err
	}
	toolchain := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
	toolchain.Dir, toolchain.Env = root, buildEnv(false)
	text, err := toolchain.Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", withStderr(err))
	}
	sum.Write(text)
	for _, part := range list {
		if part.dir() != module {
			continue
		}
		args := part.buildArgs(versions[part.Module])
		if _, err := fmt.Fprintf(sum, "%s %s %q %t %q\n", part.Name, part.Package, part.Links, part.CGO, args); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// buildEnv is the environment of every go command: the same flags for everybody,
// so that one build's cache serves all.
func buildEnv(cgo bool) []string {
	value := "CGO_ENABLED=0"
	if cgo {
		value = "CGO_ENABLED=1"
	}
	return append(os.Environ(), value, "GOFLAGS=", "GOWORK=off")
}

// withStderr adds what a command said to its error.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
