package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) labelCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "apps:label [KEY=VALUE | KEY-]...", Short: "Set and remove an app's labels",
		Long: `Set labels of an app, your own words to find it by, and remove those that end in a hyphen.
Nothing that runs is changed. Without arguments it shows them.`,
		Example: "  berth apps:label team=shop stage=live\n  berth apps:label stage-\n  berth apps --label team=shop",
		Args:    arguments(0, -1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			labels, err := labelArguments(args)
			if err != nil {
				return err
			}
			return c.label(cmd.Context(), labels)
		},
	}}
}

// labelArguments reads KEY=VALUE and KEY-.
func labelArguments(args []string) (map[string]*string, error) {
	labels := map[string]*string{}
	for _, arg := range args {
		key, value, sets := strings.Cut(arg, "=")
		removed, removes := strings.CutSuffix(arg, "-")
		if !sets && removes {
			key = removed
		}
		if key == "" || !sets && !removes {
			return nil, usage(arg+" is neither KEY=VALUE nor KEY-", "Write for example: berth apps:label team=shop, or berth apps:label team-")
		}
		if _, twice := labels[key]; twice {
			return nil, usage("the label "+key+" is named twice", "Name each label once.")
		}
		labels[key] = nil
		if sets {
			labels[key] = &value
		}
	}
	return labels, nil
}

func (c *cli) label(ctx context.Context, labels map[string]*string) error {
	client, tenant, name, err := c.appClient()
	if err != nil {
		return err
	}
	if len(labels) == 0 {
		app, err := client.App(ctx, tenant, name)
		if err != nil {
			return err
		}
		return c.showLabels(app)
	}
	change, err := client.PatchApp(ctx, tenant, name, apiclient.AppPatch{Labels: labels})
	if err != nil {
		return err
	}
	return c.showLabels(change.App)
}

func (c *cli) showLabels(app apiclient.App) error {
	labels := app.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return c.show(labels, func(w io.Writer) {
		if len(labels) == 0 {
			fmt.Fprintf(w, "%s has no labels.\n", app.Name)
		}
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			fmt.Fprintln(w, clean(key+"="+labels[key], false))
		}
	})
}

// labelWords are an app's labels on one line.
func labelWords(labels map[string]string) string {
	words := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, key+"="+labels[key])
	}
	return strings.Join(words, ", ")
}
