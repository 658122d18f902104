package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) hostClusterCommands() []*cobra.Command {
	cordon := func(use, short string, on bool) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: arguments(1, 1, "a host"),
			RunE: func(cmd *cobra.Command, args []string) error { return c.cordon(cmd.Context(), args[0], on) },
		}
	}
	return []*cobra.Command{
		{
			Use: "hostclusters", Short: "List the hosts that tenants are placed on", Args: arguments(0, 0, ""),
			Long: "List the hosts that tenants are placed on, with what room they have and why one takes no tenant now.",
			RunE: func(cmd *cobra.Command, _ []string) error { return c.listHostClusters(cmd.Context()) },
		},
		{
			Use: "hostclusters:info HOST", Short: "Show a host and how it is", Args: arguments(1, 1, "a host"),
			RunE: func(cmd *cobra.Command, args []string) error { return c.hostClusterInfo(cmd.Context(), args[0]) },
		},
		cordon("hostclusters:cordon HOST", "Keep new tenants away from a host; those that are there stay", true),
		cordon("hostclusters:uncordon HOST", "Let new tenants come to a host again", false),
	}
}

func (c *cli) regionCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "regions", Short: "List the regions a tenant can be in", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listRegions(cmd.Context()) },
	}}
}

func (c *cli) listRegions(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	regions, err := client.Regions(ctx)
	if err != nil {
		return err
	}
	return c.show(regions, func(w io.Writer) {
		if len(regions) == 0 {
			fmt.Fprintln(w, "There are no regions yet; ask the operator.")
			return
		}
		table(w, "NAME|ZONES|ROOM", func(row func(...any)) {
			for _, r := range regions {
				row(r.Name, orDash(strings.Join(r.Zones, ",")), yesNo(r.Room))
			}
		})
	})
}

func (c *cli) listHostClusters(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	hosts, err := client.HostClusters(ctx)
	if err != nil {
		return err
	}
	return c.show(hosts, func(w io.Writer) {
		if len(hosts) == 0 {
			fmt.Fprintln(w, "There are no hosts yet. Make a HostCluster; see docs/spec/hostcluster.md.")
			return
		}
		hostTable(w, hosts)
	})
}

// hostTable has a column for controllers only where there are several.
func hostTable(w io.Writer, hosts []apiclient.HostCluster) {
	named := slices.ContainsFunc(hosts, func(h apiclient.HostCluster) bool { return h.ControllerName != "" })
	header := "NAME|REGION|TENANTS|READY|FREE OCUS|STATE"
	if named {
		header = "NAME|REGION|CONTROLLER|TENANTS|READY|FREE OCUS|STATE"
	}
	table(w, header, func(row func(...any)) {
		for _, h := range hosts {
			cells := []any{h.Name, h.Region}
			if named {
				cells = append(cells, orDash(h.ControllerName))
			}
			row(append(cells, fmt.Sprintf("%d of %d", h.Bound, h.MaxClusters), h.Available,
				fmt.Sprintf("%d of %d", h.FreeOCUs, h.CapacityOCUs), hostState(&h))...)
		}
	})
}

// hostState says in a few words whether a host takes tenants, and why not.
func hostState(h *apiclient.HostCluster) string {
	if h.Skipped == nil {
		return "takes tenants"
	}
	switch h.Skipped.Reason {
	case "Cordoned":
		return "cordoned"
	case "Unreachable":
		return "does not answer"
	case "Full":
		return "full"
	case "Refilling":
		return "being refilled"
	case "Deleting":
		return "being deleted"
	}
	return "not looked at yet"
}

func (c *cli) hostClusterInfo(ctx context.Context, name string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	h, err := client.HostCluster(ctx, name)
	if err != nil {
		return err
	}
	return c.show(h, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("Name", h.Name)
			row("State", hostState(&h))
			row("Region", h.Region)
			row("Zones", orDash(strings.Join(h.Zones, ", ")))
			if h.ControllerName != "" {
				row("Controller", h.ControllerName)
			}
			if h.ControllerName != "" || h.EdgeAddress != "" {
				row("Edge", orDash(h.EdgeAddress))
			}
			row("Tenants", fmt.Sprintf("%d of %d", h.Bound, h.MaxClusters))
			row("Pool", fmt.Sprintf("%d of %d ready, %d starting", h.Available, h.PoolSize, h.Starting))
			row("Free OCUs", fmt.Sprintf("%d of %d", h.FreeOCUs, h.CapacityOCUs))
		})
		if h.Skipped != nil {
			fmt.Fprintf(w, "\nIt takes no tenant now: %s\n", clean(h.Skipped.Message, false))
		}
		for _, cond := range h.Conditions {
			if cond.Status != "True" && cond.Type != "Ready" {
				fmt.Fprintf(w, "\n%s: %s\n", cond.Type, clean(cond.Message, false))
			}
		}
	})
}

func (c *cli) cordon(ctx context.Context, name string, on bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	h, err := client.PatchHostCluster(ctx, name, apiclient.HostClusterPatch{Cordoned: &on})
	if err != nil {
		return err
	}
	return c.show(h, func(w io.Writer) {
		if on {
			fmt.Fprintf(w, "No new tenant is placed on %s. Those that are there stay: %d.\n", h.Name, h.Bound)
			return
		}
		fmt.Fprintf(w, "New tenants are placed on %s again.\n", h.Name)
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
