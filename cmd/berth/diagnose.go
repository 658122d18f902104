package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) diagnoseCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "apps:diagnose [NAME]", Short: "Say what is wrong with an app and what to do next",
		Long: `Look at an app's newest release and at everything that runs of it, and say what is wrong:
how processes ended and the last they wrote, memory, health checks, images, variables that
are missing, runs of the clock that failed, what changed since the last good release, and
the commands to type next. The exit code is 1 when something is wrong, or when a process
ended within the last ten minutes, also if it runs again.`,
		Example: "  berth apps:diagnose\n  berth apps:diagnose shop --json",
		Args:    arguments(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.app = args[0]
			}
			return c.diagnose(cmd.Context())
		},
	}}
}

func (c *cli) diagnose(ctx context.Context) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	found, err := client.Diagnose(ctx, tenant, app)
	if err != nil {
		return err
	}
	if err := c.show(found, func(w io.Writer) { printDiagnosis(w, found) }); err != nil {
		return err
	}
	if !found.Healthy {
		return exitCode(exitFailed)
	}
	return nil
}

func printDiagnosis(w io.Writer, found apiclient.Diagnosis) {
	fmt.Fprintln(w, clean(found.Summary, false))
	if len(found.Components) > 0 {
		fmt.Fprintln(w)
		table(w, "COMPONENT|READY|RESTARTS|STATE", func(row func(...any)) {
			for _, k := range found.Components {
				ready := "-"
				if k.Desired > 0 {
					ready = fmt.Sprintf("%d of %d", k.Ready, k.Desired)
				}
				row(k.Name, ready, k.Restarts, k.State)
			}
		})
	}
	for _, f := range found.Findings {
		printFinding(w, f)
	}
	if !found.Healthy && len(found.Changes) > 0 {
		fmt.Fprintf(w, "\nWhat %s changed of %s, the last good release:\n", versionName(found.Version), versionName(found.Since))
		for _, change := range found.Changes {
			fmt.Fprintln(w, "  "+clean(templateChangeWords(change), false))
		}
	}
	if len(found.Next) > 0 {
		fmt.Fprintln(w, "\nNext:")
		for _, command := range found.Next {
			fmt.Fprintln(w, "  "+clean(command, false))
		}
	}
}

func printFinding(w io.Writer, f apiclient.Finding) {
	where := f.Component
	if f.Process != "" {
		where = f.Process
	}
	if where != "" {
		where += ": "
	}
	// Some of it is what the app itself wrote.
	fmt.Fprintf(w, "\n%s\n", clean(where+f.Message, false))
	for _, line := range f.Output {
		fmt.Fprintf(w, "  | %s\n", clean(line, false))
	}
	if f.Hint != "" {
		fmt.Fprintf(w, "  fix: %s\n", clean(f.Hint, false))
	}
}

// templateChangeWords is one change as a line. Of images by digest the digest's beginning is
// enough to tell them apart.
func templateChangeWords(change apiclient.TemplateChange) string {
	line := map[string]string{"added": "+ ", "removed": "- ", "changed": "~ "}[change.What] + change.Field
	old, next := shortDigest(change.Old), shortDigest(change.New)
	switch {
	case old != "" && next != "":
		return line + ": " + old + " → " + next
	case old+next != "":
		return line + ": " + old + next
	}
	return line
}

func shortDigest(image string) string {
	const shown = 12
	name, digest, found := strings.Cut(image, "@sha256:")
	if !found || len(digest) <= shown {
		return image
	}
	return name + "@" + digest[:shown]
}
