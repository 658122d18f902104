package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/localcluster"
)

func TestUpLeavesALoginToAnotherBerthAlone(t *testing.T) {
	own := userConfigFile{URL: "https://api.berth.localhost:8443", Token: "new", CAFile: "/var/lib/berth/berth/edge-ca.crt"}
	elsewhere := userConfigFile{URL: "https://api.example.com", Token: "theirs", Tenant: "acme"}
	tests := map[string]struct {
		before *userConfigFile
		want   userConfigFile
		kept   bool
	}{
		"no login":                   {nil, own, false},
		"a login to another Berth":   {&elsewhere, elsewhere, true},
		"a login to this instance":   {&userConfigFile{URL: own.URL, Token: "old", Tenant: "acme"}, userConfigFile{own.URL, "new", own.CAFile, "acme"}, false},
		"this instance's other port": {&userConfigFile{URL: "https://api.berth.localhost:9443", CAFile: own.CAFile}, own, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "user", "config.json")
			t.Setenv("BERTH_CONFIG", path)
			if test.before != nil {
				if _, err := test.before.save(); err != nil {
					t.Fatal(err)
				}
			}
			instance := &localcluster.Instance{Name: "berth", Dir: dir}
			raw, err := json.Marshal(own)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(instance.CLIConfig(), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := userConfig(instance)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{true: instance.CLIConfig(), false: path}[test.kept]; got != want {
				t.Errorf("commands are told to use %s, want %s", got, want)
			}
			after, err := loadConfig()
			if diff := cmp.Diff(test.want, after); diff != "" || err != nil {
				t.Errorf("the login (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

// A flag that is left aside would have the wrong place worked on: `berth down --kubeconfig FILE
// --delete` without a context removes what is on this machine.
func TestFlagsOfAnotherPlaceAreRefused(t *testing.T) {
	up, down := (*cli).upCommand, (*cli).downCommand
	for name, test := range map[string]struct {
		make func(*cli) *cobra.Command
		args []string
		want string
	}{
		"up here":                        {up, []string{"--name", "far", "--fargate", "--pool", "0"}, ""},
		"up elsewhere":                   {up, []string{"--context", "x", "--registry", "r", "--values", "f", "--pool", "2"}, ""},
		"values without a context":       {up, []string{"--values", "f"}, "--values"},
		"a registry without a context":   {up, []string{"--registry", "r"}, "--registry"},
		"Fargate's rules elsewhere":      {up, []string{"--context", "x", "--fargate"}, "--fargate"},
		"no Berth elsewhere":             {up, []string{"--context", "x", "--bare"}, "--bare"},
		"a host here":                    {up, []string{"--name", "eu", "--join", "berth", "--region", "eu"}, ""},
		"a host elsewhere":               {up, []string{"--context", "x", "--join", "berth"}, "--join"},
		"a region elsewhere":             {up, []string{"--context", "x", "--region", "eu"}, "--region"},
		"an instance elsewhere":          {up, []string{"--context", "x", "--name", "far"}, "--name"},
		"a context that came out empty":  {up, []string{"--context", ""}, "--context"},
		"down here":                      {down, []string{"--delete"}, ""},
		"down elsewhere":                 {down, []string{"--context", "x", "--kubeconfig", "k"}, ""},
		"a kubeconfig without a context": {down, []string{"--kubeconfig", "k", "--delete"}, "--kubeconfig"},
		"data elsewhere":                 {down, []string{"--context", "x", "--delete"}, "--delete"},
	} {
		t.Run(name, func(t *testing.T) {
			command := test.make(&cli{})
			if err := command.ParseFlags(test.args); err != nil {
				t.Fatal(err)
			}
			err := command.PreRunE(command, nil)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var refused *usageError
			if !errors.As(err, &refused) || !strings.HasPrefix(refused.problem.Detail, test.want+" ") || refused.problem.Fix == "" {
				t.Errorf("%v, want %s refused with a fix", err, test.want)
			}
		})
	}
}

func TestAHostIsUsedThroughTheInstanceItIsAHostOf(t *testing.T) {
	// Shorter than t.TempDir, which the names of tests are part of.
	home, err := os.MkdirTemp("", "berth") //nolint:usetesting // its path would be too long for an instance
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	t.Setenv("BERTH_HOME", home)
	for name, state := range map[string]localcluster.State{
		"berth": {Ports: localcluster.Ports{HTTPS: 8443, Registry: 5000}},
		"eu":    {Ports: localcluster.Ports{HTTPS: 20000, Registry: 20004}, Host: &localcluster.HostOf{Instance: "berth", Region: "eu-1", EdgePort: 7400}},
	} {
		raw, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(home, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name, "state.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status := func(name string) statusOutput {
		instance, err := localcluster.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := statusOf(instance)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	eu, berth := status("eu"), status("berth")
	if eu.URL != "https://api.berth.localhost:8443" || eu.Registry != "127.0.0.1:5000" || eu.CLIConfig != berth.CLIConfig || eu.CA != berth.CA {
		t.Errorf("the host is used by %+v", eu.upOutput)
	}
	if eu.HTTPSPort != 20000 || eu.Kubeconfig != filepath.Join(home, "eu", "kubeconfig") {
		t.Errorf("its own are %+v", eu.upOutput)
	}
	if berth.Host != nil || len(eu.Hosts) > 0 || len(berth.Hosts) != 1 || berth.Hosts["eu"].Region != "eu-1" {
		t.Errorf("hosts: %v and %v", berth.Hosts, eu.Hosts)
	}

	eu.Running, eu.Parts = true, []localcluster.PartStatus{{Name: "kubelet", Ready: true}}
	eu.Links = &localcluster.Links{Problem: `instance "berth" does not run`}
	var out strings.Builder
	printStatus(&out, &localcluster.Instance{Name: "eu"}, eu)
	for _, want := range []string{`a host of instance "berth"`, "eu-1", `down: instance "berth" does not run`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out.String())
		}
	}
	out.Reset()
	printHost(&out, eu.upOutput)
	if !strings.Contains(out.String(), "berth tenants:create acme-eu-1 --region eu-1\n") {
		t.Errorf("what to do next is not said:\n%s", out.String())
	}
}
