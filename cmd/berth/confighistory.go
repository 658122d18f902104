package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) configHistoryCommands() []*cobra.Command {
	var values bool
	history := &cobra.Command{
		Use: "config:history", Short: "Show which settings and secrets each release changed",
		Long: `Show for each release, newest first, which settings and secrets it added, removed or
changed. Of secrets only the names are told, also with --values.`,
		Example: "  berth config:history\n  berth config:history --values",
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.configHistory(cmd.Context(), values) },
	}
	diff := &cobra.Command{
		Use: "config:diff [FROM [TO]]", Short: "Show how the settings and secrets of two releases differ",
		Long: `Show how the settings and secrets of two releases differ. Without TO it is the newest
release, without FROM the one before it. Of secrets only the names are told, also with
--values.`,
		Example: "  berth config:diff\n  berth config:diff v3\n  berth config:diff v3 v7 --values",
		Args:    arguments(0, 2, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			var versions [2]int64
			for i := range args {
				var err error
				if versions[i], err = versionArgument(args[i:]); err != nil {
					return err
				}
			}
			return c.configDiff(cmd.Context(), versions[0], versions[1], values)
		},
	}
	for _, cmd := range []*cobra.Command{history, diff} {
		cmd.Flags().BoolVar(&values, "values", false, "show the values of plain settings")
	}
	return []*cobra.Command{history, diff}
}

func (c *cli) configHistory(ctx context.Context, values bool) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	history, err := client.ConfigHistory(ctx, tenant, app, values)
	if err != nil {
		return err
	}
	return c.show(history, func(w io.Writer) {
		told := false
		for _, diff := range history {
			if len(diff.Changes) == 0 && !diff.SecretsGone {
				continue
			}
			if told {
				fmt.Fprintln(w)
			}
			told = true
			fmt.Fprintf(w, "%s %s, %s: %s\n", versionName(diff.Version), phaseName(diff.Phase), ago(diff.CreatedAt), clean(diff.Summary, false))
			printConfigChanges(w, diff, values)
		}
		if !told {
			fmt.Fprintf(w, "No release of %s changed a setting or a secret.\n", app)
		}
	})
}

func (c *cli) configDiff(ctx context.Context, from, to int64, values bool) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	diff, err := client.ConfigBetween(ctx, tenant, app, from, to, values)
	if err != nil {
		return err
	}
	return c.show(diff, func(w io.Writer) {
		earlier := "nothing"
		if diff.From > 0 {
			earlier = versionName(diff.From)
		}
		if len(diff.Changes) == 0 && !diff.SecretsGone {
			fmt.Fprintf(w, "%s and %s have the same settings and secrets.\n", earlier, versionName(diff.Version))
			return
		}
		fmt.Fprintf(w, "From %s to %s:\n", earlier, versionName(diff.Version))
		printConfigChanges(w, diff, values)
	})
}

func printConfigChanges(w io.Writer, diff apiclient.ConfigDiff, values bool) {
	for _, change := range diff.Changes {
		fmt.Fprintln(w, "  "+clean(configChangeWords(change, values), false))
	}
	if diff.SecretsGone {
		fmt.Fprintln(w, "  secrets: those of the earlier release are no longer kept, so they cannot be compared")
	}
}

// configChangeWords is one change as a line, such as "+ LOG_LEVEL".
func configChangeWords(change apiclient.ConfigChange, values bool) string {
	line := map[string]string{"added": "+ ", "removed": "- ", "changed": "~ "}[change.What] + change.Key
	switch {
	case change.Secret:
		return line + " (secret)"
	case !values:
		return line
	case change.What == "added":
		return line + "=" + strconv.Quote(change.New)
	case change.What == "removed":
		return line + "=" + strconv.Quote(change.Old)
	}
	return line + ": " + strconv.Quote(change.Old) + " → " + strconv.Quote(change.New)
}
