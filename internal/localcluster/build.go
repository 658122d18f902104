package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

// berthCommands are the packages of Berth's own binaries and of the small programs that its
// images hold.
var berthCommands = []string{
	"./cmd/berth-controller", "./cmd/berth-portal", "./cmd/berth-router",
	"./internal/images/cmd/berth-setup", "./internal/images/cmd/cp", "./internal/images/cmd/pause",
}

// buildParts builds Kubernetes' parts and shows what is being built.
func buildParts(ctx context.Context, source string, step *Step) (string, error) {
	building := map[string]bool{}
	dir, err := parts.Build(ctx, parts.Options{SourceDir: source, Progress: func(event parts.Event) {
		if event.State == parts.Building {
			building[event.Part] = true
		} else {
			delete(building, event.Part)
		}
		var names []string
		for name := range building {
			names = append(names, name)
		}
		step.Detail("%s", strings.Join(names, ", "))
	}})
	return dir, step.End(err)
}

// buildBerth builds Berth's binaries. Until this process ends no other one changes them,
// so the images can be read from them at any time.
func buildBerth(ctx context.Context, source, cache string, step *Step) (binDir string, err error) {
	if parts.ProgramsBusy(cache, source, "") {
		step.Detail("waiting for another command that uses this checkout")
		defer step.Detail("")
	}
	return parts.Programs(ctx, cache, source, "", parts.Module{Dir: source, Packages: berthCommands})
}

// vclusterChartDir is where the Go module that vCluster is built from keeps its chart.
func vclusterChartDir(ctx context.Context, source string) (string, error) {
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/loft-sh/vcluster")
	command.Dir = filepath.Join(source, parts.ModuleDir)
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("finding vCluster's chart: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "chart"), nil
}

// importImages brings images into the node's containerd, those only that it lacks or has
// with other content.
func (i *Instance) importImages(ctx context.Context, partsDir string, set images.Set) error {
	have, err := i.imageDigests(ctx, partsDir)
	if err != nil {
		return err
	}
	missing := images.Set{}
	for ref, image := range set {
		digest, err := image.Digest()
		if err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
		if have[ref] != digest.String() {
			missing[ref] = image
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := i.loadImages(ctx, partsDir, missing); err != nil {
		return err
	}
	return i.removeOldImages(ctx, partsDir, set)
}

func (i *Instance) loadImages(ctx context.Context, partsDir string, set images.Set) error {
	command := i.ctr(ctx, partsDir, "images", "import", "--local", "-")
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	var failure strings.Builder
	command.Stderr = &failure
	if err := command.Start(); err != nil {
		return err
	}
	writeErr := images.WriteTar(input, set)
	input.Close()
	if err := errors.Join(command.Wait(), writeErr); err != nil {
		return fmt.Errorf("importing images: %w: %s", err, failure.String())
	}
	return nil
}

// removeOldImages removes what earlier versions of Berth's own binaries take of the disk.
func (i *Instance) removeOldImages(ctx context.Context, partsDir string, set images.Set) error {
	have, err := i.imageDigests(ctx, partsDir)
	if err != nil {
		return err
	}
	out, err := i.ctr(ctx, partsDir, "containers", "ls").Output()
	if err != nil {
		return fmt.Errorf("listing the node's containers: %w", err)
	}
	var used []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			used = append(used, fields[1])
		}
	}
	old := oldImages(have, used, set)
	if len(old) == 0 {
		return nil
	}
	if out, err := i.ctr(ctx, partsDir, append([]string{"images", "rm"}, old...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("removing old images: %w: %s", err, out)
	}
	return nil
}

// oldImages are those that no container is made from and whose repository is in the set
// under another tag. Only repositories that are tagged by content count: other tags are
// versions that a tenant's control plane, asleep perhaps, may still ask for. With an image
// goes the name that Kubernetes gives it by its configuration; have has the digests by name.
func oldImages(have map[string]string, used []string, set images.Set) []string {
	keep := map[string]bool{}
	for _, name := range used {
		keep[have[name]] = true
	}
	byContent := map[string]bool{}
	for ref := range set {
		keep[have[ref]] = true
		repository, tag, _ := strings.Cut(ref, ":")
		byContent[repository] = strings.HasPrefix(have[ref], "sha256:"+tag)
	}
	gone := map[string]bool{}
	for name, digest := range have {
		if repository, _, _ := strings.Cut(name, ":"); byContent[repository] && !keep[digest] {
			gone[digest] = true
		}
	}
	var old []string
	for name, digest := range have {
		repository, _, _ := strings.Cut(name, ":")
		if gone[digest] && (byContent[repository] || repository == "sha256") {
			old = append(old, name)
		}
	}
	slices.Sort(old)
	return old
}

func (i *Instance) imageDigests(ctx context.Context, partsDir string) (map[string]string, error) {
	out, err := i.ctr(ctx, partsDir, "images", "ls").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the node's images: %w", err)
	}
	digests := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 2 {
			digests[fields[0]] = fields[2]
		}
	}
	return digests, nil
}

func (i *Instance) ctr(ctx context.Context, partsDir string, args ...string) *exec.Cmd {
	args = append([]string{"--address", i.ContainerdSocket(), "--namespace", "k8s.io"}, args...)
	return exec.CommandContext(ctx, filepath.Join(partsDir, "ctr"), args...)
}
