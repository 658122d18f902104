package images

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/berth-dev/berth/internal/errs"
)

// apt downloads packages with the machine's sources, keys and settings, and with lists,
// a package database and a cache of its own below dir.
type apt struct {
	dir string
	log *slog.Logger
}

// deb is one package file, named as apt names it: name_version_architecture.deb.
type deb struct{ name, version, file string }

// fetch resolves the packages against an empty database, so that the result does not
// depend on what the machine has installed, and downloads what is missing.
func (a *apt) fetch(ctx context.Context, packages, without []string) ([]string, error) {
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	files, err := a.fetchOnce(ctx, packages, without)
	if err == nil || ctx.Err() != nil {
		return files, err
	}
	// Lists grow old: a version they name may have been replaced on the mirror.
	a.log.InfoContext(ctx, "reading the package lists again", "because", err.Error())
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	return a.fetchOnce(ctx, packages, without)
}

func (a *apt) fetchOnce(ctx context.Context, packages, without []string) ([]string, error) {
	wanted, err := a.resolve(ctx, packages, without)
	if err != nil {
		return nil, err
	}
	return a.download(ctx, wanted)
}

// prepare writes the configuration and reads the package lists once.
func (a *apt) prepare(ctx context.Context) error {
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, dir), 0o755); err != nil {
			return fmt.Errorf("preparing the package cache: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "state/status"), nil, 0o644); err != nil {
		return fmt.Errorf("preparing the package cache: %w", err)
	}
	settings, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "apt is needed to make images of Debian packages and does not run here")
	}
	// The machine's settings may hold the password of a proxy.
	if err := os.WriteFile(a.configFile(), a.config(settings), 0o600); err != nil {
		return fmt.Errorf("preparing the package cache: %w", err)
	}
	lists, err := filepath.Glob(filepath.Join(a.dir, "state/lists/*_Packages*"))
	if err != nil || len(lists) > 0 {
		return err
	}
	return a.update(ctx)
}

func (a *apt) configFile() string { return filepath.Join(a.dir, "apt.conf") }

// config keeps the machine's settings apart from those that would touch its state:
// where state lies, and hooks. apt reads APT_CONFIG before the machine's own files,
// hence those are switched off and their content is repeated here.
func (a *apt) config(settings []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(settings)) {
		key, _, _ := strings.Cut(line, " ")
		section := strings.Join(strings.SplitN(key, "::", 3)[:min(2, strings.Count(key, "::")+1)], "::")
		switch {
		case strings.HasPrefix(section, "DPkg"), section == "APT::Update",
			section == "Dir::State", section == "Dir::Cache", section == "Dir::Log":
			continue
		}
		out.WriteString(line)
	}
	for _, setting := range [][2]string{
		{"Dir::Etc::main", "/dev/null"},
		{"Dir::Etc::parts", "/dev/null"},
		{"Dir::State", filepath.Join(a.dir, "state")},
		{"Dir::State::status", filepath.Join(a.dir, "state/status")},
		{"Dir::Cache", filepath.Join(a.dir, "cache")},
		{"APT::Architecture", runtime.GOARCH},
		{"APT::Install-Recommends", "0"},
		// The folders are ours; apt's own unprivileged user may not reach them.
		{"APT::Sandbox::User", ""},
		{"Acquire::Languages", "none"},
	} {
		fmt.Fprintf(&out, "%s %q;\n", setting[0], setting[1])
	}
	return out.Bytes()
}

func (a *apt) update(ctx context.Context) error {
	a.log.InfoContext(ctx, "reading Debian's package lists")
	_, err := a.run(ctx, a.dir, "update", "-qq", "--error-on=any")
	return err
}

func (a *apt) resolve(ctx context.Context, packages, without []string) ([]deb, error) {
	out, err := a.run(ctx, a.dir, append([]string{"install", "--print-uris", "-qq", "--yes"}, packages...)...)
	if err != nil {
		return nil, err
	}
	debs, err := parseURIs(out)
	if err != nil {
		return nil, err
	}
	for _, name := range without {
		if !slices.ContainsFunc(debs, func(d deb) bool { return d.name == name }) {
			return nil, errs.New(errs.Invalid, "", "package "+name+" is left out, but nothing depends on it", "remove it from the list")
		}
	}
	return slices.DeleteFunc(debs, func(d deb) bool { return slices.Contains(without, d.name) }), nil
}

// parseURIs reads lines of 'address' file size hash. Only the file's name is used.
func parseURIs(out []byte) ([]deb, error) {
	var debs []deb
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		file := fields[1]
		parts := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
		if len(parts) != 3 || !strings.HasSuffix(file, ".deb") || strings.ContainsRune(file, '/') {
			return nil, fmt.Errorf("apt names a package file %q", file)
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("apt names a package file %q: %w", file, err)
		}
		debs = append(debs, deb{name: parts[0], version: version, file: file})
	}
	if len(debs) == 0 {
		return nil, fmt.Errorf("apt resolved the packages to nothing")
	}
	slices.SortFunc(debs, func(a, b deb) int { return strings.Compare(a.file, b.file) })
	return debs, nil
}

// download gives the package files in order. apt checks each against the signed lists;
// a file enters the cache only afterwards, by renaming.
func (a *apt) download(ctx context.Context, debs []deb) ([]string, error) {
	var missing, files []string
	for _, wanted := range debs {
		file := filepath.Join(a.dir, "debs", wanted.file)
		files = append(files, file)
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, wanted.name+"="+wanted.version)
		}
	}
	if len(missing) == 0 {
		return files, nil
	}
	a.log.InfoContext(ctx, "downloading Debian packages", "packages", len(missing))
	fresh, err := os.MkdirTemp(a.dir, "download-*")
	if err != nil {
		return nil, fmt.Errorf("downloading packages: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if _, err := a.run(ctx, fresh, append([]string{"download", "-qq"}, missing...)...); err != nil {
		return nil, err
	}
	for _, wanted := range debs {
		from := filepath.Join(fresh, wanted.file)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := os.Rename(from, filepath.Join(a.dir, "debs", wanted.file)); err != nil {
			return nil, fmt.Errorf("keeping %s: %w", wanted.file, err)
		}
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("apt did not download %s", filepath.Base(file))
		}
	}
	return files, nil
}

func (a *apt) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.configFile(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		cause := fmt.Errorf("apt-get %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
		return nil, errs.Wrap(errs.Unavailable, cause, "Debian packages could not be had: "+lastLine(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
