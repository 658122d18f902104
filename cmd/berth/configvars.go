package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) configCommands() []*cobra.Command {
	var noWait bool
	set := &cobra.Command{
		Use: "config:set KEY=VALUE...", Short: "Set plain settings; a new release is made",
		Long: `Set plain settings of an app, which every component gets in its environment. Everybody
in the tenant can read them: put passwords and keys into secrets instead.`,
		Example: "  berth config:set LOG_LEVEL=debug",
		Args:    arguments(1, -1, "a setting, such as LOG_LEVEL=debug"),
		RunE: func(cmd *cobra.Command, args []string) error {
			values := map[string]*string{}
			for _, arg := range args {
				key, value, ok := strings.Cut(arg, "=")
				if !ok || key == "" {
					return usage(arg+" is not KEY=VALUE", "Write for example: berth config:set LOG_LEVEL=debug")
				}
				values[key] = &value
			}
			return c.patchConfig(cmd, values, noWait)
		},
	}
	unset := &cobra.Command{
		Use: "config:unset KEY...", Short: "Remove plain settings; a new release is made",
		Example: "  berth config:unset LOG_LEVEL",
		Args:    arguments(1, -1, "the name of a setting"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.patchConfig(cmd, removals(args), noWait)
		},
	}
	noWaitFlag(set, &noWait)
	noWaitFlag(unset, &noWait)
	return []*cobra.Command{{
		Use: "config", Short: "Show an app's plain settings", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, tenant, app, err := c.appClient()
			if err != nil {
				return err
			}
			values, err := client.Config(cmd.Context(), tenant, app)
			if err != nil {
				return err
			}
			return c.show(values, func(w io.Writer) {
				for _, k := range slices.Sorted(maps.Keys(values)) {
					fmt.Fprintf(w, "%s=%s\n", k, values[k])
				}
			})
		},
	}, set, unset}
}

func removals(keys []string) map[string]*string {
	out := map[string]*string{}
	for _, k := range keys {
		out[k] = nil
	}
	return out
}

func (c *cli) patchConfig(cmd *cobra.Command, values map[string]*string, noWait bool) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	change, err := client.PatchApp(cmd.Context(), tenant, app, apiclient.AppPatch{Config: values})
	if err != nil {
		return err
	}
	return c.finish(cmd.Context(), client, change, noWait)
}
