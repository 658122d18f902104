// Command deploy starts Berth on this machine and deploys the shop on it, as a person
// would with the command line. Its arguments go to `berth up`.
//
//	deploy [--name INSTANCE] [...]
//
// The shop needs Berth on this machine, so --bare and --context are refused.
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
	"slices"
	"strings"
	"syscall"

	acme "github.com/berth-dev/berth/examples/acme/images"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/images"
	"github.com/berth-dev/berth/internal/parts"
)

const (
	tenant = "acme"
	app    = "shop"
)

func main() {
	if err := checkArguments(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := deploy(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// checkArguments refuses what would bring up something that the shop cannot run on.
func checkArguments(args []string) error {
	for _, arg := range args {
		switch flag, _, _ := strings.Cut(arg, "="); flag {
		case "--bare":
			return errors.New("the shop cannot run without Berth: leave --bare out, or start the Kubernetes alone with `berth up --bare`")
		case "--context":
			return errors.New("the shop is deployed to this machine only: leave --context out, or install into the cluster with `berth up --context`")
		}
	}
	return nil
}

// instance is what `berth up --json` says of it.
type instance struct {
	Domain    string
	HTTPSPort int
	Registry  string
	CA        string
	CLIConfig string
	ZoneFile  string
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
		return errors.New("the shop was not deployed: Berth did not come up")
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
	if err := b.serveDomain(ctx, up.ZoneFile); err != nil {
		return err
	}
	fmt.Printf(`
The shop is live on its own virtual cluster. Fetch a page of it, also from its own domain:

  curl --cacert %s https://%s.%s.%s:%d/
  curl --cacert %s https://www.%s:%d/

and look around:

  export %sPATH=$PATH:%s
  berth ps -t %s -a %s
  berth logs -f -t %s -a %s
`, up.CA, app, tenant, up.Domain, up.HTTPSPort, up.CA, domain, up.HTTPSPort, loginToExport(up.CLIConfig), filepath.Dir(b.path), tenant, app, tenant, app)
	return nil
}

// loginToExport is what makes other commands use a login, if they do not by themselves.
func loginToExport(config string) string {
	usual, found := os.LookupEnv("BERTH_CONFIG")
	if dir, err := os.UserConfigDir(); err == nil && !found {
		usual = filepath.Join(dir, "berth", "config.json")
	}
	if config == usual {
		return ""
	}
	return "BERTH_CONFIG=" + config + " "
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
	// The shop goes to the Berth of this machine, whichever one other commands speak to.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"BERTH_URL", "BERTH_TOKEN", "BERTH_CA_FILE"}, name)
	})
	if b.config != "" {
		command.Env = append(command.Env, "BERTH_CONFIG="+b.config)
	}
	command.Stderr = os.Stderr
	return command
}

func (b berth) output(ctx context.Context, args ...string) ([]byte, error) {
	return b.command(ctx, args...).Output()
}

// answer runs a command and decodes what it says. What it cannot do is an
// *apiclient.Problem.
func (b berth) answer(ctx context.Context, into any, args ...string) error {
	command := b.command(ctx, append(args, "--json")...)
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		return problemOf(err, failure.Bytes())
	}
	return json.Unmarshal(out, into)
}

// problemOf reads the error that a command wrote, or returns err with what it wrote
// instead.
func problemOf(err error, written []byte) error {
	for line := range bytes.Lines(written) {
		var said struct {
			Error *apiclient.Problem `json:"error"`
		}
		if json.Unmarshal(line, &said) == nil && said.Error != nil {
			return said.Error
		}
	}
	return fmt.Errorf("%w: %s", err, bytes.TrimSpace(written))
}

// release makes the tenant, unless it is there, and applies the app file.
func (b berth) release(ctx context.Context, file string) error {
	var tenants []apiclient.Tenant
	if err := b.answer(ctx, &tenants, "tenants"); err != nil {
		return fmt.Errorf("listing the tenants: %w", err)
	}
	at := slices.IndexFunc(tenants, func(t apiclient.Tenant) bool { return t.Name == tenant })
	if at >= 0 && tenants[at].Deleting {
		return fmt.Errorf("the tenant %s is being deleted: `berth tenants` shows when it is gone; then deploy again", tenant)
	}
	if at < 0 {
		create := b.command(ctx, "tenants:create", tenant, "--plan", "small")
		create.Stdout = os.Stdout
		if err := create.Run(); err != nil {
			return err
		}
	}
	var secrets []string
	var problem *apiclient.Problem
	err := b.answer(ctx, &secrets, "secrets", "--tenant", tenant, "--app", app)
	noApp := errors.As(err, &problem) && problem.Code == string(errs.NotFound)
	if err != nil && !noApp {
		return fmt.Errorf("listing the shop's secrets: %w", err)
	}
	args := []string{"apply", "--tenant", tenant, "--app", app, "--file", file}
	apply := b.command(ctx, args...)
	if !slices.Contains(secrets, "POSTGRES_PASSWORD") {
		apply = b.command(ctx, append(args, "--secret", "POSTGRES_PASSWORD")...)
		apply.Env = append(apply.Env, "POSTGRES_PASSWORD="+rand.Text())
	}
	apply.Stdout = os.Stdout
	return apply.Run()
}
