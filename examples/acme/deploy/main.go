// Command deploy starts Berth on this machine and deploys the shop on it, as a person
// would with the command line. Its arguments go to `berth up`.
//
//	deploy [--name INSTANCE] [...]
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	acme "github.com/berth-dev/berth/examples/acme/images"
	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

const (
	tenant = "acme"
	app    = "shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := deploy(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// instance is what `berth up --json` says of it.
type instance struct {
	Domain    string
	HTTPSPort int
	Registry  string
	CA        string
	CLIConfig string
	Total     int64 `json:"totalMilliseconds"`
}

func deploy(ctx context.Context, args []string) error {
	source, err := parts.FindSource("")
	if err != nil {
		return err
	}
	cache, err := parts.DefaultCacheDir()
	if err != nil {
		return err
	}
	// The shop's Debian packages download while Kubernetes compiles.
	type made struct {
		set images.Set
		err error
	}
	shop := make(chan made, 1)
	go func() {
		quiet := slog.New(slog.DiscardHandler)
		set, err := acme.Build(ctx, acme.Options{Source: source, CacheDir: cache, Log: quiet})
		shop <- made{set, err}
	}()
	b := berth{path: filepath.Join(source, "bin", "berth")}
	var up instance
	out, err := b.output(ctx, append([]string{"up", "--json"}, args...)...)
	if err != nil {
		return errors.New("Berth did not come up; the shop was not deployed") //nolint:staticcheck // a name
	}
	if err := json.Unmarshal(out, &up); err != nil {
		return err
	}
	b.config = up.CLIConfig
	images := <-shop
	if images.err != nil {
		return fmt.Errorf("making the shop's images: %w", images.err)
	}
	if err := push(ctx, up.Registry, images.set); err != nil {
		return err
	}
	if err := b.release(ctx, filepath.Join(source, "examples", "acme", "berth.yaml")); err != nil {
		return err
	}
	fmt.Printf(`
The shop is live on its own virtual cluster. Fetch a page of it:

  curl --cacert %s https://%s.%s.%s:%d/

and look around:

  export BERTH_CONFIG=%s BERTH_TENANT=%s BERTH_APP=%s PATH=$PATH:%s
  berth ps
  berth logs -f
`, up.CA, app, tenant, up.Domain, up.HTTPSPort, up.CLIConfig, tenant, app, filepath.Dir(b.path))
	return nil
}

func push(ctx context.Context, registry string, set images.Set) error {
	for _, ref := range set.Refs() {
		if err := images.Push(ctx, registry, ref, set[ref]); err != nil {
			return err
		}
	}
	return nil
}

// berth runs the command line.
type berth struct{ path, config string }

func (b berth) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, b.path, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Env = os.Environ()
	if b.config != "" {
		command.Env = append(command.Env, "BERTH_CONFIG="+b.config)
	}
	command.Stderr = os.Stderr
	return command
}

func (b berth) output(ctx context.Context, args ...string) ([]byte, error) {
	return b.command(ctx, args...).Output()
}

// release makes the tenant, unless it is there, and applies the app file.
func (b berth) release(ctx context.Context, file string) error {
	tenants, err := b.output(ctx, "tenants", "--json")
	if err != nil {
		return err
	}
	if !bytes.Contains(tenants, []byte(`"`+tenant+`"`)) {
		create := b.command(ctx, "tenants:create", tenant, "--plan", "small")
		create.Stdout = os.Stdout
		if err := create.Run(); err != nil {
			return err
		}
	}
	args := []string{"apply", "--tenant", tenant, "--file", file}
	secrets := b.command(ctx, "secrets", "--tenant", tenant, "--app", app)
	secrets.Stderr = nil // there is no app yet
	names, _ := secrets.Output()
	apply := b.command(ctx, args...)
	if !strings.Contains(string(names), "POSTGRES_PASSWORD") {
		apply = b.command(ctx, append(args, "--secret", "POSTGRES_PASSWORD")...)
		apply.Env = append(apply.Env, "POSTGRES_PASSWORD="+rand.Text())
	}
	apply.Stdout = os.Stdout
	return apply.Run()
}
