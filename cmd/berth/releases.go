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

func (c *cli) releaseCommands() []*cobra.Command {
	var noWait bool
	rollback := &cobra.Command{
		Use: "rollback [VERSION]", Short: "Make a new release of an old one",
		Long: `Make a new release that runs what an old one ran: its images, config and secrets.
Without a version it is the one before the live one. Data in volumes stays as it is.`,
		Example: "  berth rollback\n  berth rollback v3",
		Args:    arguments(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := versionArgument(args)
			if err != nil {
				return err
			}
			client, tenant, app, err := c.appClient()
			if err != nil {
				return err
			}
			change, err := client.Rollback(cmd.Context(), tenant, app, apiclient.Rollback{Version: version})
			if err != nil {
				return err
			}
			return c.finish(cmd.Context(), client, change, noWait)
		},
	}
	noWaitFlag(rollback, &noWait)
	return []*cobra.Command{
		{
			Use: "releases", Short: "List an app's releases", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error { return c.listReleases(cmd.Context()) },
		},
		{
			Use: "releases:info VERSION", Short: "Show what a release runs and how it went",
			Example: "  berth releases:info v3", Args: arguments(1, 1, "a version"),
			RunE: func(cmd *cobra.Command, args []string) error {
				version, err := versionArgument(args)
				if err != nil {
					return err
				}
				return c.releaseInfo(cmd.Context(), version)
			},
		},
		rollback,
	}
}

// versionArgument reads v3 or 3; nothing is 0.
func versionArgument(args []string) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(args[0], "v"), 10, 64)
	if err != nil || n < 1 {
		return 0, usage(fmt.Sprintf("%q is not a release's version", args[0]), "Write it as v3; see: berth releases")
	}
	return n, nil
}

func (c *cli) listReleases(ctx context.Context) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	releases, err := client.Releases(ctx, tenant, app)
	if err != nil {
		return err
	}
	return c.show(releases, func(w io.Writer) {
		if len(releases) == 0 {
			fmt.Fprintf(w, "%s has no releases yet. Deploy it with: berth apply\n", app)
			return
		}
		table(w, "RELEASE|STATE|WHAT|WHEN", func(row func(...any)) {
			for _, r := range releases {
				row(versionName(r.Version), phaseName(r.Phase), r.Summary, ago(r.CreatedAt))
			}
		})
	})
}

func (c *cli) releaseInfo(ctx context.Context, version int64) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	rel, err := client.Release(ctx, tenant, app, version)
	if err != nil {
		return err
	}
	return c.show(rel, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("Release", versionName(rel.Version))
			row("State", phaseName(rel.Phase))
			row("What", rel.Summary)
			row("When", ago(rel.CreatedAt))
		})
		fmt.Fprintln(w)
		table(w, "COMPONENT|IMAGE", func(row func(...any)) {
			for _, k := range rel.Template.Components {
				row(k.Name, k.Image)
			}
		})
		if rel.Failure != nil {
			fmt.Fprintln(w)
			printFailure(w, &rel, 0)
		}
	})
}
