package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/localcluster"
	"github.com/berth-dev/berth/tenancy/hosts"
)

// joining is what hostclusters:join was asked.
type joining struct {
	options hosts.Options
	at      managementFlags
	// managementCIDRs are where the management cluster's API server is.
	managementCIDRs []string
	// peerCIDRs are where edges of other clusters are, each with a port or without.
	peerCIDRs []string
	caFile    string
	poolSize  int32
	// values is the file to write; force takes the place of one that is there.
	values string
	force  bool
}

// joinCommands change the management cluster itself, with an administrator's kubeconfig.
func (c *cli) joinCommands() []*cobra.Command {
	return []*cobra.Command{c.joinCommand(), c.leaveCommand()}
}

func (c *cli) joinCommand() *cobra.Command {
	var ask joining
	command := &cobra.Command{
		Use: "hostclusters:join HOST", Short: "Make a host with an API server of its own known, and write what is installed there",
		Long: `Make a host with an API server of its own known to this Berth. It gets accounts for its
controller and its edge, and is listed among the hosts. What to install there is written
to a file of values for Berth's chart, and the commands to do it are printed.

A host that has joined may join again: its tokens stay, and what is not said stays as it is.
What stands in the file alone (--server, --tls-server-name, --server-ca-file, --management-cidr
and --peer-cidr) is taken from the one that --force writes over; without that file say it again.
This is done with a kubeconfig of where Berth's portal runs, not with your login.`,
		Example: `  berth hostclusters:join eu --region eu-central-1 --server https://ABC.eks.amazonaws.com --management-cidr 198.51.100.0/28 \
      --api-server-cidr 10.1.0.0/24 --api-server-port 443 --management-context my-eks
  berth hostclusters:join eu --edge-address edge.eu.example.com:443 --force --management-context my-eks`,
		Args: arguments(1, 1, "a name for the host"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.options.Name = args[0]
			if cmd.Flags().Changed("pool") {
				ask.options.PoolSize = &ask.poolSize
			}
			return c.join(cmd.Context(), ask)
		},
	}
	o, network := &ask.options, &ask.options.Host.Network
	flags := command.Flags()
	flags.StringVar(&o.Region, "region", "", "where the host is, as tenants choose it")
	flags.StringSliceVar(&o.Zones, "zone", nil, "a zone of the region that it is in (repeatable)")
	flags.StringVar(&o.Server, "server", "", "`URL` of the API server where Berth's portal runs, as the host reaches it")
	flags.StringVar(&o.TLSServerName, "tls-server-name", "", "name that its certificate is for (default: that of --server)")
	flags.StringVar(&ask.caFile, "server-ca-file", "", "PEM certificate that verifies it (default: that of the kubeconfig)")
	flags.StringSliceVar(&ask.managementCIDRs, "management-cidr", nil, "addresses of it, which the host may reach (default: the one in --server; repeatable)")
	flags.StringSliceVar(&network.APIServerCIDRs, "api-server-cidr", nil, "addresses of the host's own API server, behind its service (repeatable)")
	flags.Int32Var(&network.APIServerPort, "api-server-port", 0, "port of the host's own API server behind those addresses (default: 6443)")
	flags.StringVar(&o.EdgeAddress, "edge-address", "", "`host:port` where other edges reach the host's; it can be said later")
	flags.StringSliceVar(&ask.peerCIDRs, "peer-cidr", nil, "addresses of other edges that are known by name, with :PORT where it is not 443 (repeatable)")
	flags.StringSliceVar(&network.EgressCIDRs, "egress-cidr", nil, "addresses outside that tenants' processes may reach (repeatable)")
	flags.StringSliceVar(&network.DeniedCIDRs, "denied-cidr", nil, "addresses cut out of those, such as the host's own networks (repeatable)")
	flags.Int32Var(&ask.poolSize, "pool", 1, "how many places to keep ready for new tenants")
	flags.Int32Var(&o.Host.CPUOvercommit, "cpu-overcommit", 0, "what a process's CPU limit is divided by to get its request (default: 1)")
	flags.StringVar(&o.Host.StorageClassName, "storage-class", "", "class of volumes (default: the host's default)")
	flags.StringVar(&ask.values, "values", "", "file to write, - for standard output (default: berth-HOST.yaml)")
	flags.BoolVar(&ask.force, "force", false, "write over a file that is there")
	ask.at.add(command)
	return command
}

// managementFlags say where the management cluster is.
type managementFlags struct{ context, kubeconfig string }

func (m *managementFlags) add(command *cobra.Command) {
	command.Flags().StringVar(&m.context, "management-context", "", "kubeconfig context of where Berth's portal runs (default: Berth on this machine, or the current context)")
	command.Flags().StringVar(&m.kubeconfig, "kubeconfig", "", "the kubeconfig (default: KUBECONFIG, or ~/.kube/config)")
}

// config finds the management cluster.
func (m *managementFlags) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = m.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: m.context}
	instance := localcluster.Embedded(m.context, m.kubeconfig)
	if m.context == "" && m.kubeconfig == "" {
		instance = localcluster.Embedded("berth-"+localcluster.DefaultName, "")
	}
	if instance != nil {
		rules.ExplicitPath, overrides.CurrentContext = instance.Kubeconfig(), "berth-"+instance.Name
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, errs.New(errs.Invalid, "--management-context", fmt.Sprintf("context %q cannot be used: %v", m.context, err),
			"`kubectl config get-contexts` lists those there are; --kubeconfig names another file")
	}
	return config, nil
}

// joinOutput is what hostclusters:join --json prints.
type joinOutput struct {
	Name       string   `json:"name"`
	Management string   `json:"management"`
	Values     string   `json:"values"`
	Commands   []string `json:"commands"`
}

func (c *cli) join(ctx context.Context, ask joining) error {
	if err := c.prepare(&ask); err != nil {
		return err
	}
	config, err := ask.at.config()
	if err != nil {
		return err
	}
	joined, err := hosts.Join(ctx, config, ask.options)
	if err != nil {
		return err
	}
	values, err := yaml.Marshal(ask.complete(joined))
	if err != nil {
		return err
	}
	if ask.values == "-" {
		_, err := c.out.Write(values)
		return err
	}
	if err := writePrivate(ask.values, values); err != nil {
		return err
	}
	output := joinOutput{Name: ask.options.Name, Management: config.Host, Values: ask.values, Commands: installCommands(ask.values)}
	return c.show(output, func(w io.Writer) {
		fmt.Fprintf(w, "The host %s is known to Berth at %s.\n\n", output.Name, output.Management)
		fmt.Fprintf(w, "What to install on it is in %s. Tokens and keys are in there: keep it as you keep a password.\n", output.Values)
		fmt.Fprintf(w, "With the context of the host in place of HOST:\n\n")
		for _, line := range output.Commands {
			fmt.Fprintf(w, "  %s\n", line)
		}
		for _, sentence := range joined.Missing() {
			fmt.Fprintf(w, "\n%s\n", sentence)
		}
		fmt.Fprintf(w, "\nSee how it is with: berth hostclusters:info %s\n", output.Name)
	})
}

// prepare checks what would fail only after the host was made known.
func (c *cli) prepare(ask *joining) error {
	if ask.values == "" {
		ask.values = "berth-" + ask.options.Name + ".yaml"
	}
	switch {
	case ask.values == "-" && c.json:
		return usage("--values - prints the values, and --json something else", "leave one of them out")
	case ask.values == "-" && isTerminal(c.out):
		return usage("--values - would show tokens and keys on your terminal", "name a file, or redirect the output")
	case ask.values != "-" && !ask.force:
		if _, err := os.Lstat(ask.values); !errors.Is(err, os.ErrNotExist) {
			return errs.New(errs.Conflict, "--values", ask.values+" is there already", "name another file, or write over it with --force")
		}
	}
	if err := ask.keep(); err != nil {
		return err
	}
	if err := ask.readPeers(); err != nil {
		return err
	}
	if ask.caFile != "" {
		var err error
		if ask.options.CABundle, err = os.ReadFile(ask.caFile); err != nil {
			return errs.New(errs.Invalid, "--server-ca-file", err.Error(), "name a file of PEM certificates")
		}
	}
	for _, block := range ask.managementCIDRs {
		if _, err := netip.ParsePrefix(block); err != nil {
			return errs.New(errs.Invalid, "--management-cidr", fmt.Sprintf("%q is no block of addresses", block), "write it as 198.51.100.0/28")
		}
	}
	at, err := url.Parse(ask.options.Server)
	if err != nil || at.Hostname() == "" || len(ask.managementCIDRs) > 0 {
		return nil // of a URL that cannot be, Join tells
	}
	if _, err := netip.ParseAddr(at.Hostname()); err != nil {
		return errs.New(errs.Invalid, "--management-cidr", "the addresses behind "+at.Hostname()+" are not known, and the host's network policies must let it reach them",
			"name them, such as --management-cidr 198.51.100.0/28")
	}
	return nil
}

// complete are all of the host's values, in one file.
func (ask *joining) complete(joined hosts.Joined) map[string]any {
	values := joined.Values()
	if management, ok := values["management"].(map[string]any); ok {
		management["kubeconfigs"] = map[string]any{"controller": string(joined.ControllerKubeconfig), "router": string(joined.RouterKubeconfig)}
		if len(ask.managementCIDRs) > 0 {
			management["egressCIDRs"] = ask.managementCIDRs
		}
	}
	return values
}

// installCommands install Berth on a host.
func installCommands(values string) []string {
	return []string{
		"kubectl --context HOST create namespace berth-system",
		"kubectl --context HOST label namespace berth-system pod-security.kubernetes.io/enforce=restricted",
		"helm upgrade --install berth charts/berth --kube-context HOST --namespace berth-system --skip-crds --values " + values,
	}
}

func (c *cli) leaveCommand() *cobra.Command {
	var at managementFlags
	var patience time.Duration
	command := &cobra.Command{
		Use: "hostclusters:leave HOST", Short: "Let a host go that joined",
		Long: `Let a host go that joined: its controller takes away what it kept ready, and then its
accounts end. It is refused while tenants are on the host. Uninstall Berth there afterwards.

This is done with a kubeconfig of where Berth's portal runs, not with your login.`,
		Example: "  berth hostclusters:leave eu --management-context my-eks",
		Args:    arguments(1, 1, "a host"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if patience <= 0 {
				return usage("--timeout leaves no time", "give it a duration such as 5m")
			}
			config, err := at.config()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			p := c.progress()
			p.say("%s takes away what it kept ready", args[0])
			err = hosts.Leave(ctx, config, args[0])
			p.clear()
			if err != nil {
				return err
			}
			return c.show(map[string]any{"name": args[0], "left": true}, func(w io.Writer) {
				fmt.Fprintf(w, "The host %s has left. Uninstall Berth there with: helm uninstall berth --kube-context HOST --namespace berth-system\n", args[0])
			})
		},
	}
	command.Flags().DurationVar(&patience, "timeout", 5*time.Minute, "how long to wait for the host's controller")
	at.add(command)
	return command
}
