package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) appCommands() []*cobra.Command {
	var confirm string
	var noWait bool
	remove := &cobra.Command{
		Use: "apps:delete [NAME]", Short: "Delete an app with its data",
		Example: "  berth apps:delete shop --confirm shop",
		Args:    arguments(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.app = args[0]
			}
			return c.deleteApp(cmd.Context(), confirm, noWait)
		},
	}
	remove.Flags().StringVar(&confirm, "confirm", "", "the app's name once more, instead of being asked")
	remove.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is gone")
	var labels []string
	list := &cobra.Command{
		Use: "apps", Short: "List the tenant's apps", Args: arguments(0, 0, ""),
		Example: "  berth apps\n  berth apps --label team=shop",
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.listApps(cmd.Context(), labels) },
	}
	list.Flags().StringArrayVarP(&labels, "label", "l", nil, "only apps with this label, KEY=VALUE (repeatable)")
	return []*cobra.Command{
		list,
		{
			Use: "apps:create NAME", Short: "Make an app that runs nothing yet",
			Long:    "Make an app that runs nothing yet. `berth apply` makes the app by itself; this is for those who want to begin step by step.",
			Example: "  berth apps:create shop", Args: arguments(1, 1, "a name"),
			RunE: func(cmd *cobra.Command, args []string) error { return c.createApp(cmd.Context(), args[0]) },
		},
		{
			Use: "apps:info [NAME]", Short: "Show an app and its components", Args: arguments(0, 1, ""),
			RunE: func(cmd *cobra.Command, args []string) error {
				if len(args) == 1 {
					c.app = args[0]
				}
				return c.appInfo(cmd.Context())
			},
		},
		remove,
	}
}

func (c *cli) listApps(ctx context.Context, labels []string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	apps, err := client.Apps(ctx, tenant, labels...)
	if err != nil {
		return err
	}
	return c.show(apps, func(w io.Writer) {
		if len(apps) == 0 && len(labels) > 0 {
			fmt.Fprintf(w, "No app of the tenant %s has these labels. See all with: berth apps\n", tenant)
			return
		}
		if len(apps) == 0 {
			fmt.Fprintf(w, "The tenant %s has no apps yet. Write an app file with: berth init\n", tenant)
			return
		}
		table(w, "NAME|RELEASE|STATE|URL", func(row func(...any)) {
			for _, a := range apps {
				row(a.Name, versionName(a.Live), appState(&a), a.URL)
			}
		})
	})
}

func versionName(v int64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", v)
}

func appState(a *apiclient.App) string {
	switch {
	case a.Deleting:
		return "deleting"
	case a.Template == nil:
		return "empty"
	case a.Maintenance:
		return "maintenance"
	case a.Ready:
		return "up"
	case a.Live == 0 && firstFailed(a.Conditions):
		return "failed"
	case a.Latest > a.Live:
		return "deploying " + versionName(a.Latest)
	}
	return "starting"
}

// firstFailed tells whether an app that was never live is not so for a release's failure.
func firstFailed(conditions []apiclient.Condition) bool {
	return slices.ContainsFunc(conditions, func(cond apiclient.Condition) bool {
		if cond.Type != v1alpha1.ConditionReady {
			return false
		}
		switch cond.Reason {
		case v1alpha1.ReasonImageNotFound, v1alpha1.ReasonProcessExits, v1alpha1.ReasonOutOfMemory, v1alpha1.ReasonNotHealthy,
			v1alpha1.ReasonNoRoom, v1alpha1.ReasonCannotStart, v1alpha1.ReasonTimedOut:
			return true
		}
		return false
	})
}

func (c *cli) createApp(ctx context.Context, name string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	app, err := client.CreateApp(ctx, tenant, name)
	if err != nil {
		return err
	}
	return c.show(app, func(w io.Writer) {
		fmt.Fprintf(w, "App %s is made. Write an app file with: berth init; deploy it with: berth apply\n", name)
	})
}

func (c *cli) appInfo(ctx context.Context) error {
	client, tenant, name, err := c.appClient()
	if err != nil {
		return err
	}
	app, err := client.App(ctx, tenant, name)
	if err != nil {
		return err
	}
	return c.show(app, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("App", app.Name)
			row("Tenant", app.Tenant)
			row("State", appState(&app))
			row("URL", app.URL)
			row("Release", versionName(app.Live))
			row("Maintenance", yesNo(app.Maintenance))
			if len(app.Labels) > 0 {
				row("Labels", labelWords(app.Labels))
			}
			if len(app.Edge.AllowedCIDRs) > 0 {
				row("Let in", strings.Join(app.Edge.AllowedCIDRs, ", "))
			}
		})
		if len(app.Components) == 0 {
			return
		}
		fmt.Fprintln(w)
		table(w, "COMPONENT|READY|OCUS EACH|URL", func(row func(...any)) {
			for _, k := range app.Components {
				row(k.Name, readyWords(app.Template, k), k.OCUs, k.URL)
			}
		})
		for _, cond := range app.Conditions {
			if cond.Status == "False" && cond.Type != "Ready" && cond.Message != "" {
				fmt.Fprintf(w, "\n%s\n", clean(cond.Message, false))
			}
		}
	})
}

func (c *cli) deleteApp(ctx context.Context, confirm string, noWait bool) error {
	client, tenant, name, err := c.appClient()
	if err != nil {
		return err
	}
	if _, err := client.App(ctx, tenant, name); err != nil {
		return err
	}
	if err := c.confirm(ctx, "This deletes the app "+name+" with its data, for good", name, confirm); err != nil {
		return err
	}
	if err := client.DeleteApp(ctx, tenant, name); err != nil {
		return err
	}
	if !noWait {
		err := c.awaitGone(ctx, name, func() error {
			_, err := client.App(ctx, tenant, name)
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.show(map[string]any{"name": name, "deleted": !noWait}, func(w io.Writer) {
		if noWait {
			fmt.Fprintf(w, "App %s is being deleted.\n", name)
			return
		}
		fmt.Fprintf(w, "App %s is gone.\n", name)
	})
}
