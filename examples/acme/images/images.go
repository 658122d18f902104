package images

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

// References of the shop's images. Those of the api beside API are for showing
// rollouts: a second version, one that ends at once and one that is never healthy.
const (
	repository = "registry.berth.internal/acme/"

	UI           = repository + "ui:1"
	API          = repository + "api:1"
	API2         = repository + "api:2"
	APIBroken    = repository + "api:broken"
	APIUnhealthy = repository + "api:unhealthy"
	DB           = repository + "db:1"
	Metrics      = repository + "metrics:1"
)

// Options says where things are.
type Options struct {
	// Source is the root of Berth's source tree.
	Source string
	// CacheDir keeps compiled programs and unpacked Debian packages.
	CacheDir string
	// Log gets a line per step that takes time; nil is silent.
	Log *slog.Logger
}

// Build makes all images, or finds them made. Their layers may be read until this process
// ends.
func Build(ctx context.Context, options Options) (images.Set, error) {
	bin, err := parts.Programs(ctx, options.CacheDir, options.Source, "acme",
		parts.Module{Dir: options.Source, Packages: []string{"./examples/acme/ui", "./examples/acme/db"}},
		// The api has a module of its own, for its PostgreSQL driver.
		parts.Module{Dir: filepath.Join(options.Source, "examples", "acme", "api"), Packages: []string{"."}})
	if err != nil {
		return nil, err
	}
	set := images.Set{}
	ui, err := program(bin, "ui", images.Config{Entrypoint: []string{"/ui"}, Ports: []int32{8080}})
	if err != nil {
		return nil, err
	}
	set[UI] = ui
	for ref, arguments := range map[string][]string{
		API: {"-version=1"}, API2: {"-version=2"}, APIBroken: {"-version=broken", "-broken"}, APIUnhealthy: {"-version=unhealthy", "-unhealthy"},
	} {
		api, err := program(bin, "api", images.Config{Entrypoint: append([]string{"/api"}, arguments...), Ports: []int32{8080}})
		if err != nil {
			return nil, err
		}
		set[ref] = api
	}
	if set[DB], err = database(ctx, options, bin); err != nil {
		return nil, fmt.Errorf("making %s: %w", DB, err)
	}
	if set[Metrics], err = prometheus(ctx, options); err != nil {
		return nil, fmt.Errorf("making %s: %w", Metrics, err)
	}
	return set, nil
}

func program(bin, name string, config images.Config) (v1.Image, error) {
	entry, err := images.Binary("/"+name, filepath.Join(bin, name))
	if err != nil {
		return nil, err
	}
	config.User = images.AppUser
	return images.Scratch(config, entry, images.Dir("/tmp", 0o1777))
}

// debian is a layer of packages, without what only their installation would need.
func debian(ctx context.Context, options Options, packages, without []string) (v1.Layer, error) {
	return images.Debian(ctx, images.DebianOptions{
		Packages: packages, Without: without, CacheDir: filepath.Join(options.CacheDir, "debian"), Log: options.Log,
	})
}

// installers are what packages depend on for their maintainer scripts.
var installers = []string{
	"adduser", "debconf", "libdb5.3", "libgdbm-compat4", "libgdbm6", "libperl5.36", "passwd",
	"perl", "perl-base", "perl-modules-5.36", "usrmerge",
}

func database(ctx context.Context, options Options, bin string) (v1.Image, error) {
	base, err := debian(ctx, options,
		// initdb starts a shell, and a person who looks around needs the tools.
		[]string{"postgresql-15", "tzdata", "libc-bin", "dash", "coreutils"},
		append([]string{"libllvm14", "libz3-4", "locales", "libc-l10n", "openssl", "ssl-cert"}, installers...))
	if err != nil {
		return nil, err
	}
	start, err := images.Binary("/usr/local/bin/shop-db", filepath.Join(bin, "db"))
	if err != nil {
		return nil, err
	}
	own, err := images.Layer(start)
	if err != nil {
		return nil, err
	}
	return images.New(images.Config{
		Entrypoint: []string{"/usr/local/bin/shop-db"},
		Env:        []string{"PATH=/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"},
		User:       images.AppUser, Ports: []int32{5432},
		// Told to end by SIGTERM, PostgreSQL would wait for its clients to leave.
		StopSignal: "SIGINT",
	}, base, own)
}

const prometheusConfig = `global:
  scrape_interval: 5s
scrape_configs:
  - job_name: api
    static_configs:
      - targets: ["api:8080"]
`

func prometheus(ctx context.Context, options Options) (v1.Image, error) {
	base, err := debian(ctx, options, []string{"prometheus", "libc-bin"},
		// The pages of Prometheus' own browser interface stay out.
		append([]string{
			"fonts-glyphicons-halflings", "javascript-common", "libjs-bootstrap", "libjs-bootstrap4", "libjs-d3",
			"libjs-eonasdan-bootstrap-datetimepicker", "libjs-jquery", "libjs-jquery-hotkeys", "libjs-moment",
			"libjs-moment-timezone", "libjs-mustache", "libjs-popper.js", "libjs-rickshaw",
		}, installers...))
	if err != nil {
		return nil, err
	}
	own, err := images.Layer(images.Bytes("/etc/shop/prometheus.yml", []byte(prometheusConfig)))
	if err != nil {
		return nil, err
	}
	return images.New(images.Config{
		Entrypoint: []string{
			"/usr/bin/prometheus", "--config.file=/etc/shop/prometheus.yml", "--storage.tsdb.path=/tmp/prometheus",
			"--storage.tsdb.retention.time=1d", "--web.listen-address=:9090",
		},
		User: images.AppUser, WorkDir: "/tmp", Ports: []int32{9090},
	}, base, own)
}
