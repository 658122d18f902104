package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) maintenanceCommands() []*cobra.Command {
	var message string
	on := &cobra.Command{
		Use: "maintenance:on", Short: "Answer every visitor that the app is being worked on", Args: arguments(0, 0, ""),
		Long: `Answer every visitor with 503 and a page that says that the app is being worked on. The
message is plain text on that page; without one it is the usual page.`,
		Example: "  berth maintenance:on\n  berth maintenance:on --message \"Back at noon.\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.maintenance(cmd.Context(), true, &apiclient.EdgePatch{MaintenanceMessage: &message})
		},
	}
	on.Flags().StringVar(&message, "message", "", "what the page says, at most 500 characters")
	return []*cobra.Command{
		on,
		{
			Use: "maintenance:off", Short: "Let visitors in again", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error { return c.maintenance(cmd.Context(), false, nil) },
		},
		{
			Use: "url", Short: "Print the app's URL", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error {
				url, err := c.appURL(cmd.Context())
				if err != nil {
					return err
				}
				return c.show(map[string]string{"url": url}, func(w io.Writer) { fmt.Fprintln(w, url) })
			},
		},
		{
			Use: "open", Short: "Open the app in your browser", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error {
				url, err := c.appURL(cmd.Context())
				if err != nil {
					return err
				}
				if err := openBrowser(cmd.Context(), url); err != nil {
					return err
				}
				return c.show(map[string]string{"url": url}, func(w io.Writer) { fmt.Fprintln(w, "Opened", url) })
			},
		},
	}
}

func (c *cli) maintenance(ctx context.Context, on bool, edge *apiclient.EdgePatch) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	change, err := client.PatchApp(ctx, tenant, app, apiclient.AppPatch{Maintenance: &on, Edge: edge})
	if err != nil {
		return err
	}
	return c.show(change, func(w io.Writer) {
		if on {
			fmt.Fprintf(w, "%s is in maintenance: visitors get 503. End it with: berth maintenance:off\n", app)
			return
		}
		fmt.Fprintf(w, "%s serves visitors again.\n", app)
	})
}

func (c *cli) appURL(ctx context.Context) (string, error) {
	client, tenant, name, err := c.appClient()
	if err != nil {
		return "", err
	}
	app, err := client.App(ctx, tenant, name)
	if err != nil {
		return "", err
	}
	if app.URL == "" {
		return "", &apiclient.Problem{Detail: "the app " + name + " has no URL", Fix: "Expose a port of a component in its app file (expose: true), then: berth apply"}
	}
	return app.URL, nil
}

func openBrowser(ctx context.Context, url string) error {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	}
	if err := exec.CommandContext(ctx, opener, url).Run(); err != nil { // the URL is the app's own
		return &apiclient.Problem{Detail: "no browser could be opened here", Fix: "Open it yourself: " + url}
	}
	return nil
}
