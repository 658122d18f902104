package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/internal/localcluster"
	"github.com/berth-dev/berth/tenancy/hosts"
)

// upOutput is what `berth up --json` and `berth status --json` print about a running
// instance.
type upOutput struct {
	Name       string                  `json:"name"`
	Host       *localcluster.HostOf    `json:"hostOf,omitempty"`
	Domain     string                  `json:"domain"`
	URL        string                  `json:"url"`
	HTTPSPort  int                     `json:"httpsPort"`
	HTTPPort   int                     `json:"httpPort"`
	TCPPort    int                     `json:"tcpPort"`
	Registry   string                  `json:"registry"`
	CA         string                  `json:"ca"`
	CLIConfig  string                  `json:"cliConfig"`
	Kubeconfig string                  `json:"kubeconfig"`
	Logs       string                  `json:"logs"`
	ZoneFile   string                  `json:"zoneFile"`
	Steps      []localcluster.StepTime `json:"steps,omitempty"`
	Total      int64                   `json:"totalMilliseconds,omitempty"`
}

// describe says how an instance is used. A host is used through the instance it is a host of:
// the API, the registry, the command line's login and the zone file are that one's.
func describe(instance *localcluster.Instance, state localcluster.State) (upOutput, error) {
	ports := state.Ports
	output := upOutput{
		Name: instance.Name, Domain: localcluster.Domain,
		URL:       fmt.Sprintf("https://api.%s:%d", localcluster.Domain, ports.HTTPS),
		HTTPSPort: ports.HTTPS, HTTPPort: ports.HTTP, TCPPort: ports.TCP,
		Registry: fmt.Sprintf("127.0.0.1:%d", ports.Registry),
		CA:       instance.EdgeCA(), CLIConfig: instance.CLIConfig(),
		Kubeconfig: instance.Kubeconfig(), Logs: instance.Logs(), ZoneFile: instance.ZoneFile(),
	}
	if state.Host == nil {
		return output, nil
	}
	through, err := localcluster.Open(state.Host.Instance)
	if err != nil {
		return upOutput{}, err
	}
	other, err := through.LoadState()
	if err != nil {
		return upOutput{}, err
	}
	of, err := describe(through, localcluster.State{Ports: other.Ports})
	output.Host, output.URL, output.Registry = state.Host, of.URL, of.Registry
	output.CA, output.CLIConfig, output.ZoneFile = of.CA, of.CLIConfig, of.ZoneFile
	return output, err
}

func (c *cli) upCommand() *cobra.Command {
	var name string
	var options localcluster.UpOptions
	var into localcluster.InstallOptions
	command := &cobra.Command{
		Use:   "up",
		Short: "Start Berth on this machine",
		Long: `Start Berth on this machine: a real Kubernetes in namespaces of its own, with Berth
installed in it. What is current is not built again; a running instance is brought up to
the source tree. Ctrl-C before the end leaves nothing running.`,
		Example: `  berth up
  berth up --name second --pool 0     a second one beside it
  berth up --name plain --bare        only the Kubernetes, without Berth
  berth up --name far --fargate       tenants' pods behave as on Fargate
  berth up --name eu --join berth     a host of the instance berth, in the region eu
  berth up --context my-eks --registry 123456789012.dkr.ecr.eu-central-1.amazonaws.com/berth --values eks.yaml
                                      into a cluster that exists`,
		Args: arguments(0, 0, ""), PreRunE: here("name", "bare", "fargate", "fargate-start-delay", "fargate-patch-after", "join", "region"),
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if into.Context != "" {
				into.SourceDir, into.PoolSize, into.Out = options.SourceDir, options.PoolSize, command.ErrOrStderr()
				if err := localcluster.Install(ctx, into); err != nil {
					return err
				}
				return c.reportInstall(into)
			}
			instance, err := localcluster.Open(name)
			if err != nil {
				return err
			}
			options.Out, options.Join.Register = command.ErrOrStderr(), register
			result, err := instance.Up(ctx, options)
			if err != nil {
				return err
			}
			return c.reportUp(instance, result, options.Bare)
		},
	}
	flags := command.Flags()
	flags.StringVar(&name, "name", localcluster.DefaultName, "instance; each has its own state and ports")
	flags.StringVar(&options.SourceDir, "source", "", "Berth's source tree (default: the one around this folder)")
	flags.IntVar(&options.PoolSize, "pool", 1, "virtual clusters to keep ready for new tenants")
	flags.BoolVar(&options.Bare, "bare", false, "start the Kubernetes only, without Berth")
	flags.BoolVar(&options.Fargate.Enabled, "fargate", false, "treat pods of tenants as Fargate does")
	flags.DurationVar(&options.Fargate.StartDelay, "fargate-start-delay", 0, "with --fargate: how long a pod waits for its machine, such as 45s")
	flags.DurationVar(&options.Fargate.PatchAfter, "fargate-patch-after", 0, "with --fargate: evict pods of this age, and delete them at twice that (default: never)")
	flags.StringVar(&options.Join.Instance, "join", "", "make it a host of this instance, with no Berth of its own; said once, it stays so")
	flags.StringVar(&options.Join.Region, "region", "", "with --join: the region it serves (default: its name)")
	flags.StringVar(&into.Context, "context", "", "install into the cluster of this kubeconfig context instead")
	flags.StringVar(&into.Kubeconfig, "kubeconfig", "", "with --context: the kubeconfig (default: KUBECONFIG, or ~/.kube/config)")
	flags.StringVar(&into.Registry, "registry", "", "with --context: where to push Berth's images for the cluster")
	flags.StringVar(&into.ValuesFile, "values", "", "with --context: a file of values for the chart")
	return command
}

// here checks where a command is meant to work: on this machine, which the named flags are
// for, or with --context in another cluster, which --kubeconfig, --registry and --values are
// for. A flag of the other side would be left aside, and the wrong place worked on.
func here(flags ...string) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		given := command.Flags().Changed
		if !given("context") {
			for _, name := range []string{"kubeconfig", "registry", "values"} {
				if given(name) {
					return usage("--"+name+" is for another cluster than that of this machine", "name the cluster with --context, or leave --"+name+" out")
				}
			}
			return nil
		}
		if command.Flag("context").Value.String() == "" {
			return usage("--context is empty", "name a context of your kubeconfig, or leave --context out for this machine")
		}
		for _, name := range flags {
			if given(name) {
				return usage("--"+name+" is for Berth on this machine, and --context for another cluster", "leave one of them out")
			}
		}
		return nil
	}
}

// reportUp says what is there now and how to use it.
func (c *cli) reportUp(instance *localcluster.Instance, result *localcluster.Result, bare bool) error {
	output, err := describe(instance, localcluster.State{Ports: result.Ports, Host: result.Host})
	if err != nil {
		return err
	}
	output.Steps, output.Total = result.Steps, result.Total.Milliseconds()
	if result.Host != nil {
		return c.show(output, func(out io.Writer) { printHost(out, output) })
	}
	if instance.Name == localcluster.DefaultName && !bare {
		path, err := userConfig(instance)
		if err != nil {
			return err
		}
		output.CLIConfig = path
	}
	return c.show(output, func(out io.Writer) {
		fmt.Fprintf(out, "\nBerth is up (%.1f s).\n\n", result.Total.Seconds())
		if !bare {
			fmt.Fprintf(out, "  API         %s\n", output.URL)
			fmt.Fprintf(out, "  registry    %s\n", output.Registry)
			if output.CLIConfig == instance.CLIConfig() {
				fmt.Fprintf(out, "  commands    export BERTH_CONFIG=%s\n", output.CLIConfig)
			}
		}
		fmt.Fprintf(out, "  kubectl     export KUBECONFIG=%s\n", output.Kubeconfig)
		fmt.Fprintf(out, "  logs        %s\n", output.Logs)
	})
}

// printHost says that a host is there now and what is done with it next.
func printHost(out io.Writer, host upOutput) {
	fmt.Fprintf(out, "\nInstance %q is up (%.1f s), a host of instance %q.\n\n", host.Name, float64(host.Total)/1000, host.Host.Instance)
	fmt.Fprintf(out, "  next        berth tenants:create acme-%s --region %[1]s\n", host.Host.Region)
	if host.Host.Instance != localcluster.DefaultName {
		fmt.Fprintf(out, "  commands    export BERTH_CONFIG=%s\n", host.CLIConfig)
	}
	fmt.Fprintf(out, "  kubectl     export KUBECONFIG=%s\n", host.Kubeconfig)
	fmt.Fprintf(out, "  logs        %s\n", host.Logs)
}

// register makes an instance known to its management cluster, and returns the values of its
// chart that lead there.
func register(ctx context.Context, management *rest.Config, host localcluster.Host) (map[string]any, error) {
	joined, err := hosts.Join(ctx, management, hosts.Options{
		Name: host.Name, Region: host.Spec.Region, EdgeAddress: host.Spec.EdgeAddress, PoolSize: &host.Spec.Pool.Size,
		Host: host.Spec, Server: host.Server, CABundle: host.CA,
	})
	if err != nil {
		return nil, err
	}
	return (&joining{}).complete(joined), nil
}

// installOutput is what `berth up --context --json` prints. Where Berth answers is known
// only of an embedded instance.
type installOutput struct {
	Context   string `json:"context"`
	URL       string `json:"url,omitempty"`
	CLIConfig string `json:"cliConfig,omitempty"`
}

// reportInstall says where Berth is now and how to log in.
func (c *cli) reportInstall(into localcluster.InstallOptions) error {
	output := installOutput{Context: into.Context}
	if instance := localcluster.Embedded(into.Context, into.Kubeconfig); instance != nil {
		state, err := instance.LoadState()
		if err != nil {
			return err
		}
		there, err := describe(instance, state)
		if err != nil {
			return err
		}
		output.URL, output.CLIConfig = there.URL, there.CLIConfig
	}
	return c.show(output, func(out io.Writer) {
		fmt.Fprintf(out, "\nBerth is up in the cluster of the context %s.\n\n", into.Context)
		if output.URL != "" {
			fmt.Fprintf(out, "  API         %s\n", output.URL)
			fmt.Fprintf(out, "  commands    export BERTH_CONFIG=%s\n", output.CLIConfig)
			return
		}
		fmt.Fprintf(out, "  commands    berth login https://api.DOMAIN, with the domain of your values and this token:\n")
		fmt.Fprintf(out, "              kubectl --context %s -n %s get secret berth-operator-token --template '{{.data.token | base64decode}}'\n",
			into.Context, localcluster.SystemNamespace)
	})
}

// userConfig makes the default instance what the user's commands talk to, unless they
// talk to another Berth. It returns where the configuration for the instance is.
func userConfig(instance *localcluster.Instance) (string, error) {
	raw, err := os.ReadFile(instance.CLIConfig())
	if err != nil {
		return "", err
	}
	var own userConfigFile
	if err := json.Unmarshal(raw, &own); err != nil {
		return "", fmt.Errorf("reading %s: %w", instance.CLIConfig(), err)
	}
	login, err := loadConfig()
	if err != nil || !replaces(own, login) {
		// A login that cannot be read is the user's to mend, not ours to replace.
		return instance.CLIConfig(), nil
	}
	own.Tenant = login.Tenant
	return own.save()
}

// replaces reports whether an instance's login may take the place of the user's: there is
// none, or it is for this instance. With its state deleted an instance may have come back
// on other ports; its certificate's path is the same.
func replaces(own, login userConfigFile) bool {
	return login.URL == "" || login.URL == own.URL || login.CAFile != "" && login.CAFile == own.CAFile
}

func (c *cli) downCommand() *cobra.Command {
	var name, kubeContext, kubeconfig string
	var forget bool
	command := &cobra.Command{
		Use:   "down",
		Short: "Stop Berth on this machine",
		Long: `Stop an instance. Its tenants and apps come back with the next ` + "`berth up`" + `, unless --delete removes them.

An instance that is a host of another stays known there, and is away. To remove one for good, delete
the tenants on it, run ` + "`berth hostclusters:leave`" + ` while it is up, and then this with --delete.`,
		Example: `  berth down
  berth down --delete                 and remove everything it kept
  berth down --context my-eks         uninstall Berth from another cluster`,
		Args: arguments(0, 0, ""), PreRunE: here("name", "delete"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kubeContext != "" {
				if err := localcluster.Uninstall(cmd.Context(), kubeContext, kubeconfig); err != nil {
					return err
				}
				return c.show(map[string]any{"context": kubeContext, "uninstalled": true}, func(w io.Writer) {
					fmt.Fprintf(w, "Berth is gone from the cluster of the context %s.\n", kubeContext)
				})
			}
			instance, err := localcluster.Open(name)
			if err != nil {
				return err
			}
			state, err := instance.LoadState()
			if err != nil {
				return err
			}
			lost := forget && instance.StillKnown(cmd.Context())
			if err := instance.Down(forget); err != nil {
				return err
			}
			return c.show(map[string]any{"name": instance.Name, "running": false, "deleted": forget}, func(w io.Writer) {
				fmt.Fprintf(w, "Instance %q %s.\n", instance.Name, map[bool]string{true: "is gone with all it kept", false: "is stopped"}[forget])
				if lost {
					fmt.Fprintf(w, "\nInstance %q still lists it as a host, and what is described there of its tenants stays until it is back:\n\n", state.Host.Instance)
					fmt.Fprintf(w, "  berth up --name %s --join %s --region %s\n", instance.Name, state.Host.Instance, state.Host.Region)
					fmt.Fprintf(w, "  berth hostclusters:leave %s --management-context berth-%s     when the tenants are deleted\n", instance.Name, state.Host.Instance)
				}
			})
		},
	}
	command.Flags().StringVar(&name, "name", localcluster.DefaultName, "instance")
	command.Flags().BoolVar(&forget, "delete", false, "also remove all tenants, apps and data of the instance")
	command.Flags().StringVar(&kubeContext, "context", "", "uninstall Berth from the cluster of this kubeconfig context")
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "with --context: the kubeconfig (default: KUBECONFIG, or ~/.kube/config)")
	return command
}
