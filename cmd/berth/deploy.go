package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) deployCommands() []*cobra.Command {
	var noWait bool
	var reason string
	deploy := &cobra.Command{
		Use: "deploy COMPONENT=IMAGE...", Short: "Put new images into components and wait until they are live",
		Long: `Put new images into components of an app and wait until the release is live. All
components change together; when one does not become healthy, all go back.`,
		Example: "  berth deploy --app shop api=registry.berth.internal/shop/api:2",
		Args:    arguments(1, -1, "a component and its image, such as web=registry.berth.internal/shop/web:2"),
		RunE: func(cmd *cobra.Command, args []string) error {
			images := map[string]string{}
			for _, arg := range args {
				component, image, ok := strings.Cut(arg, "=")
				if !ok || component == "" || image == "" {
					return usage(arg+" is not COMPONENT=IMAGE", "Write for example: berth deploy web=registry.berth.internal/shop/web:2")
				}
				if _, twice := images[component]; twice {
					return usage("the component "+component+" is named twice", "Name each component once.")
				}
				images[component] = image
			}
			client, tenant, app, err := c.appClient()
			if err != nil {
				return err
			}
			change, err := client.Deploy(cmd.Context(), tenant, app, apiclient.Deploy{Images: images, Reason: reason})
			if err != nil {
				return err
			}
			return c.finish(cmd.Context(), client, change, noWait)
		},
	}
	noWaitFlag(deploy, &noWait)
	deploy.Flags().StringVar(&reason, "message", "", "what the list of releases says about it")
	return []*cobra.Command{deploy}
}
