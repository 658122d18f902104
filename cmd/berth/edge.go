package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

// usualAnswerSeconds is how long an answer may take to begin where an app asks for nothing.
const usualAnswerSeconds = 300

func (c *cli) edgeCommands() []*cobra.Command {
	return append([]*cobra.Command{
		{
			Use: "access", Short: "Show which networks are let in to the app", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error { return c.access(cmd.Context(), nil) },
		},
		{
			Use: "access:allow NETWORK...", Short: "Let only these networks in, besides those that are let in already",
			Long: `Let a network or one address in. From the first one on, everybody else gets 403. It
counts which address your visitors' connections come from, which may be that of a gateway.`,
			Example: "  berth access:allow 203.0.113.0/24\n  berth access:allow 203.0.113.7 2001:db8::/32",
			Args:    arguments(1, -1, "a network, such as 203.0.113.0/24"),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.access(cmd.Context(), &apiclient.EdgePatch{Allow: args})
			},
		},
		{
			Use: "access:remove NETWORK...", Short: "Let networks in no longer",
			Long: `Let networks in no longer. The last one stays, since without any everybody is let in:
that is asked for with access:clear.`,
			Example: "  berth access:remove 203.0.113.0/24",
			Args:    arguments(1, -1, "a network, such as 203.0.113.0/24"),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.access(cmd.Context(), &apiclient.EdgePatch{Disallow: args})
			},
		},
		{
			Use: "access:clear", Short: "Let everybody in again", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return c.access(cmd.Context(), &apiclient.EdgePatch{AllowedCIDRs: &[]string{}})
			},
		},
	}, c.limitCommands()...)
}

// access shows which networks are let in, after a change if there is one.
func (c *cli) access(ctx context.Context, patch *apiclient.EdgePatch) error {
	app, err := c.edgeOf(ctx, patch)
	if err != nil {
		return err
	}
	networks := app.Edge.AllowedCIDRs
	if networks == nil {
		networks = []string{}
	}
	return c.show(map[string]any{"allowedCIDRs": networks}, func(w io.Writer) {
		if len(networks) == 0 {
			fmt.Fprintf(w, "Everybody is let in to %s.\n", app.Name)
			return
		}
		for _, network := range networks {
			fmt.Fprintln(w, network)
		}
		if patch != nil {
			fmt.Fprintf(w, "Everybody else gets 403. If that includes you: berth access:clear --app %s\n", app.Name)
		}
	})
}

// edgeOf changes how the edge treats the app, if asked to, and gives the app.
func (c *cli) edgeOf(ctx context.Context, patch *apiclient.EdgePatch) (apiclient.App, error) {
	client, tenant, name, err := c.appClient()
	if err != nil {
		return apiclient.App{}, err
	}
	if patch == nil {
		return client.App(ctx, tenant, name)
	}
	change, err := client.PatchApp(ctx, tenant, name, apiclient.AppPatch{Edge: patch})
	return change.App, err
}

func (c *cli) limitCommands() []*cobra.Command {
	var body, seconds int32
	set := &cobra.Command{
		Use: "limits:set", Short: "Set how large a request may be and how long an answer may take",
		Long: `Set how large the body of a request may be, in MiB, and how many seconds the app may take
until its answer begins. What is not named stays; 0 is the platform's own limit.`,
		Example: "  berth limits:set --max-body 20\n  berth limits:set --answer-timeout 600 --max-body 0",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			patch := &apiclient.EdgePatch{}
			if cmd.Flags().Changed("max-body") {
				patch.MaxBodyMiB = &body
			}
			if cmd.Flags().Changed("answer-timeout") {
				patch.AnswerTimeoutSeconds = &seconds
			}
			if patch.MaxBodyMiB == nil && patch.AnswerTimeoutSeconds == nil {
				return usage("limits:set needs a limit", "Write for example: berth limits:set --max-body 20; see them with: berth limits")
			}
			return c.limits(cmd.Context(), patch)
		},
	}
	set.Flags().Int32Var(&body, "max-body", 0, "MiB of a request's body; 0 for no limit")
	set.Flags().Int32Var(&seconds, "answer-timeout", 0, "seconds until an answer begins; 0 for the usual 300")
	return []*cobra.Command{{
		Use: "limits", Short: "Show how large a request may be and how long an answer may take", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.limits(cmd.Context(), nil) },
	}, set}
}

func (c *cli) limits(ctx context.Context, patch *apiclient.EdgePatch) error {
	app, err := c.edgeOf(ctx, patch)
	if err != nil {
		return err
	}
	body, seconds := app.Edge.MaxBodyMiB, app.Edge.AnswerTimeoutSeconds
	return c.show(map[string]int32{"maxBodyMiB": body, "answerTimeoutSeconds": seconds}, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			largest, longest := "no limit", fmt.Sprintf("%d seconds until it begins (the usual)", usualAnswerSeconds)
			if body > 0 {
				largest = fmt.Sprintf("%d MiB", body)
			}
			if seconds > 0 {
				longest = fmt.Sprintf("%d seconds until it begins", seconds)
			}
			row("Body of a request", largest)
			row("Answer", longest)
		})
	})
}
