package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The groups of the help.
const (
	groupApps       = "apps"
	groupConfig     = "config"
	groupDomains    = "domains"
	groupTenants    = "tenants"
	groupKubernetes = "kubernetes"
	groupMachine    = "machine"
	groupAccount    = "account"
	groupPlatform   = "platform"
)

// cli is what all commands share: where to write, and what the flags say.
type cli struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	tenant   string
	app      string
}

// run runs one command line and gives the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	c := &cli{in: in, out: out, err: errOut}
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var wrong *usageError
	if errors.As(err, &wrong) && asksJSON(args) {
		c.json = true // what comes after a mistake has not been read as flags
	}
	return c.report(err)
}

// asksJSON looks for --json among our own arguments, before those of a command to run.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json")
}

// newRoot builds the whole tree of commands.
func newRoot(c *cli) *cobra.Command {
	var asksVersion bool
	root := &cobra.Command{
		Use:   "berth",
		Short: "Deploy apps and get a URL",
		Long: `Deploy apps and get a URL. Start with:

  berth init      write an app file for this folder
  berth apply     make it run
  berth logs -f   watch it`,
		SilenceErrors: true,
		SilenceUsage:  true,
		// A mistyped command gets a suggestion and exit code 2.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asksVersion {
				return c.showVersion()
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&asksVersion, "version", false, "print the version")
	root.SetHelpCommand(helpCommand())
	root.SuggestionsMinimumDistance = 3
	root.CompletionOptions.HiddenDefaultCmd = false
	flags := root.PersistentFlags()
	flags.BoolVar(&c.json, "json", false, "print JSON for programs")
	flags.StringVarP(&c.tenant, "tenant", "t", "", "tenant (default: BERTH_TENANT, or the one of your login)")
	flags.StringVarP(&c.app, "app", "a", "", "app (default: BERTH_APP, or the name in ./berth.yaml)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), "See: "+cmd.CommandPath()+" --help")
	})
	root.AddGroup(
		&cobra.Group{ID: groupApps, Title: "Apps:"},
		&cobra.Group{ID: groupConfig, Title: "Config and secrets:"},
		&cobra.Group{ID: groupDomains, Title: "Hosts of your own:"},
		&cobra.Group{ID: groupTenants, Title: "Tenants:"},
		&cobra.Group{ID: groupAccount, Title: "Account:"},
		&cobra.Group{ID: groupPlatform, Title: "The platform, for operators:"},
		&cobra.Group{ID: groupMachine, Title: "Berth on this machine:"},
		&cobra.Group{ID: groupKubernetes, Title: "Kubernetes:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupApps: slices.Concat(c.appFileCommands(), c.appCommands(), c.labelCommands(), c.diagnoseCommands(), c.deployCommands(), c.releaseCommands(),
			c.processCommands(), c.logCommands(), c.runCommands(), c.forwardCommands(), c.copyCommands(), c.maintenanceCommands(), c.edgeCommands()),
		groupConfig:     slices.Concat(c.configCommands(), c.configHistoryCommands(), c.secretCommands()),
		groupDomains:    slices.Concat(c.domainCommands(), c.certCommands()),
		groupTenants:    slices.Concat(c.tenantCommands(), c.planCommands(), c.regionCommands()),
		groupPlatform:   slices.Concat(c.hostClusterCommands(), c.joinCommands()),
		groupAccount:    slices.Concat(c.loginCommands(), c.versionCommands()),
		groupKubernetes: c.kubeconfigCommands(),
		groupMachine:    {c.upCommand(), c.downCommand(), c.statusCommand(), c.doctorCommand()},
	} {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	return root
}

// helpCommand is in place of cobra's own, which forgives a command that is not there.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Say how a command is used",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil || found == cmd.Root() && len(args) > 0:
				return unknownCommand(cmd.Root(), args)
			case len(rest) > 0:
				return arguments(0, 0, "")(found, rest)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, known := range cmd.Root().Commands() {
				if len(args) == 0 && !known.Hidden && strings.HasPrefix(known.Name(), begun) {
					names = append(names, known.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// arguments checks how many arguments a command got and says what belongs there.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd.Name()+" needs "+what, "See: berth "+cmd.Name()+" --help")
		case most >= 0 && len(args) > most:
			if other, _, err := cmd.Root().Find([]string{cmd.Name() + ":" + args[0]}); err == nil && other != cmd.Root() {
				return usage(fmt.Sprintf("%s takes no %q", cmd.Name(), args[0]), "Did you mean: berth "+other.Name())
			}
			return usage(fmt.Sprintf("%s has no use for %q", cmd.Name(), args[most]), "See: berth "+cmd.Name()+" --help")
		}
		return nil
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	fix := "See: berth --help"
	if len(args) > 1 {
		if other, _, err := cmd.Find([]string{args[0] + ":" + args[1]}); err == nil && other != cmd {
			return usage(fmt.Sprintf("there is no command %q", args[0]+" "+args[1]), "Did you mean: berth "+other.Name())
		}
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		slices.SortFunc(near, func(a, b string) int { return shared(b, args[0]) - shared(a, args[0]) })
		fix = "Did you mean: berth " + strings.Join(near[:min(3, len(near))], ", berth ")
	}
	return usage(fmt.Sprintf("there is no command %q", args[0]), fix)
}

// shared counts the characters two words begin with in common.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// isTerminal tells whether a stream is a person's terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) // a descriptor is small
}

var errAborted = errors.New("nothing was changed")
