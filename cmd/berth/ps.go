package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) processCommands() []*cobra.Command {
	var noWait bool
	restart := &cobra.Command{
		Use: "ps:restart [COMPONENT...]", Short: "Restart every process, a few at a time; try a failed release again",
		Long: `Restart every process, or those of some components, a few at a time. When the newest release
failed, it is tried again as a new one, and the command waits for that.`,
		Example: "  berth ps:restart\n  berth ps:restart web worker",
		Args:    arguments(0, -1, ""),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.restart(cmd.Context(), args, noWait) },
	}
	noWaitFlag(restart, &noWait)
	return []*cobra.Command{
		{
			Use: "ps", Short: "List what runs", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error { return c.listProcesses(cmd.Context()) },
		},
		{
			Use: "ps:scale [COMPONENT=COUNT[:OCUS]...]", Short: "Change how many of a component run, and how large",
			Long: `Change how many processes of a component run and how large each is. 1 OCU is a tenth of
a processor and 1 GiB of memory. No release is made. Without arguments it shows the sizes.`,
			Example: "  berth ps:scale api=4\n  berth ps:scale api=4:2      four processes of two OCUs each\n  berth ps:scale worker=0     stop it",
			Args:    arguments(0, -1, ""),
			RunE:    func(cmd *cobra.Command, args []string) error { return c.scale(cmd.Context(), args) },
		},
		restart,
	}
}

func (c *cli) listProcesses(ctx context.Context) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	processes, err := client.Processes(ctx, tenant, app)
	if err != nil {
		return err
	}
	return c.show(processes, func(w io.Writer) {
		if len(processes) == 0 {
			fmt.Fprintf(w, "Nothing of %s runs.\n", app)
			return
		}
		table(w, "PROCESS|STATE|OCUS|RELEASE|RESTARTS|SINCE|", func(row func(...any)) {
			for _, p := range processes {
				since := "-"
				if p.StartedAt != nil {
					since = ago(*p.StartedAt)
				}
				row(p.Name, p.State, p.OCUs, versionName(p.Release), p.Restarts, since, p.Message)
			}
		})
	})
}

// scaleArgument reads COMPONENT=COUNT[:OCUS].
func scaleArgument(arg string) (apiclient.Scale, error) {
	wrong := usage(arg+" is not COMPONENT=COUNT or COMPONENT=COUNT:OCUS", "Write for example: berth ps:scale web=2 or berth ps:scale web=2:4")
	name, size, ok := strings.Cut(arg, "=")
	if !ok || name == "" {
		return apiclient.Scale{}, wrong
	}
	out := apiclient.Scale{Name: name}
	count, ocus, both := strings.Cut(size, ":")
	n, err := strconv.ParseInt(count, 10, 32)
	if err != nil {
		return out, wrong
	}
	n32 := int32(n)
	out.Count = &n32
	if both {
		m, err := strconv.ParseInt(ocus, 10, 32)
		if err != nil {
			return out, wrong
		}
		m32 := int32(m)
		out.OCUs = &m32
	}
	return out, nil
}

func (c *cli) scale(ctx context.Context, args []string) error {
	var patch apiclient.AppPatch
	for _, arg := range args {
		s, err := scaleArgument(arg)
		if err != nil {
			return err
		}
		patch.Formation = append(patch.Formation, s)
	}
	client, tenant, name, err := c.appClient()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		app, err := client.App(ctx, tenant, name)
		if err != nil {
			return err
		}
		return c.show(app.Components, func(w io.Writer) { printSizes(w, app) })
	}
	change, err := client.PatchApp(ctx, tenant, name, patch)
	if err != nil {
		return err
	}
	return c.show(change, func(w io.Writer) {
		if !change.Changed {
			fmt.Fprintln(w, "There is nothing to do: the app has that size already.")
		}
		printSizes(w, change.App)
		fmt.Fprintf(w, "\nThe tenant uses %d of the %s of its plan.\n", change.OCUs, plural(change.PlanOCUs, "OCU"))
	})
}

func printSizes(w io.Writer, app apiclient.App) {
	table(w, "COMPONENT|COUNT|OCUS EACH|OCUS", func(row func(...any)) {
		for _, k := range app.Components {
			row(k.Name, k.Count, k.OCUs, k.Count*k.OCUs)
		}
	})
}

func (c *cli) restart(ctx context.Context, components []string, noWait bool) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	change, err := client.Restart(ctx, tenant, app, components...)
	if err != nil {
		return err
	}
	// A retried release is a rollout like any other; the processes of a live one are
	// replaced without a release of their own.
	return c.rollout(ctx, client, change, noWait, func(w io.Writer, out outcome) {
		if out.Release == nil || superseded(out) || out.Release.Version != change.App.Latest {
			printOutcome(w, out)
			return
		}
		whose := "Its processes"
		if len(components) > 0 {
			whose = "The processes of " + strings.Join(components, ", ")
		}
		fmt.Fprintf(w, "%s is live. %s are being restarted; watch them with: berth ps --app %s\n", versionName(out.Release.Version), whose, app)
	})
}
