package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (c *cli) planCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "plans", Short: "List the plans", Args: arguments(0, 0, ""),
		Long: "List the plans. 1 OCU is a tenth of a processor and 1 GiB of memory.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			plans, err := client.Plans(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(plans, func(w io.Writer) {
				table(w, "NAME|OCUS|STORAGE|", func(row func(...any)) {
					for _, p := range plans {
						row(p.Name, fmt.Sprint(p.OCUs), p.Storage, p.DisplayName)
					}
				})
			})
		},
	}}
}
