package images

import (
	"fmt"
	"runtime"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// NonRoot is the user that Berth's own images run as.
const NonRoot = "65532"

// Config is how an image's process is started.
type Config struct {
	// Entrypoint and Command together are what runs.
	Entrypoint []string
	Command    []string
	// Env holds KEY=value pairs. PATH is set if it is not among them.
	Env []string
	// User is a numeric user id, or uid:gid. Empty means NonRoot: no image of ours
	// runs as root by mistake.
	User string
	// WorkDir is where the process starts; empty means /.
	WorkDir string
	// Ports that the process listens on, for people who look.
	Ports []int32
	// StopSignal ends the process; empty means SIGTERM.
	StopSignal string
}

// Scratch is an image of the given entries and nothing else.
func Scratch(config Config, entries ...Entry) (v1.Image, error) {
	packed, err := Layer(entries...)
	if err != nil {
		return nil, err
	}
	return New(config, packed)
}

// New is an image of the given layers, the lowest first.
func New(config Config, layers ...v1.Layer) (v1.Image, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, fmt.Errorf("adding layers: %w", err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	file = file.DeepCopy()
	file.Created = v1.Time{Time: epoch}
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.History = nil
	file.Config = config.container()
	image, err = mutate.ConfigFile(image, file)
	if err != nil {
		return nil, fmt.Errorf("setting the image's configuration: %w", err)
	}
	return image, nil
}

func (c Config) container() v1.Config {
	container := v1.Config{
		Entrypoint: c.Entrypoint, Cmd: c.Command, Env: withPath(c.Env), User: c.User,
		WorkingDir: c.WorkDir, StopSignal: c.StopSignal,
	}
	if container.User == "" {
		container.User = NonRoot
	}
	if container.WorkingDir == "" {
		container.WorkingDir = "/"
	}
	if len(c.Ports) > 0 {
		container.ExposedPorts = make(map[string]struct{}, len(c.Ports))
		for _, port := range c.Ports {
			container.ExposedPorts[strconv.Itoa(int(port))+"/tcp"] = struct{}{}
		}
	}
	return container
}

func withPath(env []string) []string {
	const path = "PATH="
	for _, pair := range env {
		if len(pair) >= len(path) && pair[:len(path)] == path {
			return env
		}
	}
	return append([]string{path + "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
}
