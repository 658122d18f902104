package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

// pollEvery is how often the state of a tenant is asked for while one waits.
const pollEvery = 500 * time.Millisecond

func (c *cli) tenantCommands() []*cobra.Command {
	var plan, region, organization, owner, display, confirm string
	var noWait bool
	create := &cobra.Command{
		Use: "tenants:create NAME", Short: "Make a tenant and wait until it is ready",
		Example: "  berth tenants:create acme --plan small\n  berth tenants:create acme-us --region us --organization acme",
		Args:    arguments(1, 1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.createTenant(cmd.Context(), apiclient.NewTenant{
				Name: args[0], Plan: plan, Region: region, Organization: organization, DisplayName: display,
			}, noWait)
		},
	}
	create.Flags().StringVar(&plan, "plan", "small", "plan; see: berth plans")
	create.Flags().StringVar(&region, "region", "", "region; see: berth regions (default: any)")
	create.Flags().StringVar(&organization, "organization", "", "organization that owns the tenant; it may own several")
	create.Flags().StringVar(&display, "display-name", "", "name for people")
	create.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is ready")
	remove := &cobra.Command{
		Use: "tenants:delete NAME", Short: "Delete a tenant with all its apps and data",
		Example: "  berth tenants:delete acme --confirm acme",
		Args:    arguments(1, 1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.deleteTenant(cmd.Context(), args[0], confirm, noWait)
		},
	}
	remove.Flags().StringVar(&confirm, "confirm", "", "the tenant's name once more, instead of being asked")
	remove.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is gone")
	list := &cobra.Command{
		Use: "tenants", Short: "List the tenants", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listTenants(cmd.Context(), owner) },
	}
	list.Flags().StringVar(&owner, "organization", "", "only those of an organization")
	return []*cobra.Command{
		list,
		create,
		{
			Use: "tenants:info [NAME]", Short: "Show a tenant, its plan and what it uses", Args: arguments(0, 1, ""),
			RunE: func(cmd *cobra.Command, args []string) error {
				if len(args) == 1 {
					c.tenant = args[0]
				}
				return c.tenantInfo(cmd.Context())
			},
		},
		remove,
	}
}

func (c *cli) listTenants(ctx context.Context, organization string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	tenants, err := client.Tenants(ctx, organization)
	if err != nil {
		return err
	}
	return c.show(tenants, func(w io.Writer) {
		if len(tenants) == 0 && organization != "" {
			fmt.Fprintf(w, "The organization %s has no tenants. Make one with: berth tenants:create NAME --organization %s\n", organization, organization)
			return
		}
		if len(tenants) == 0 {
			fmt.Fprintln(w, "There are no tenants yet. Make one with: berth tenants:create NAME")
			return
		}
		table(w, "NAME|PLAN|REGION|ORGANIZATION|OCUS|STATE|CREATED", func(row func(...any)) {
			for _, t := range tenants {
				row(t.Name, t.Plan, orDash(t.Region), orDash(t.Organization), fmt.Sprintf("%d of %d", t.OCUs, t.PlanOCUs), tenantState(&t), ago(t.CreatedAt))
			}
		})
	})
}

func tenantState(t *apiclient.Tenant) string {
	switch {
	case t.Deleting:
		return "deleting"
	case t.Ready:
		return "ready"
	}
	return "being prepared"
}

func (c *cli) tenantInfo(ctx context.Context) error {
	client, name, err := c.tenantClient()
	if err != nil {
		return err
	}
	t, err := client.Tenant(ctx, name)
	if err != nil {
		return err
	}
	return c.show(t, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("Name", t.Name)
			row("State", tenantState(&t))
			row("Plan", t.Plan)
			row("Region", cmp.Or(t.Region, "any"))
			row("Organization", orDash(t.Organization))
			row("OCUs", fmt.Sprintf("%d of %d", t.OCUs, t.PlanOCUs))
			row("Hosts", "*."+t.HostSuffix)
			row("Created", ago(t.CreatedAt))
		})
		for _, cond := range t.Conditions {
			if cond.Status != "True" && cond.Type != "Ready" {
				fmt.Fprintf(w, "\n%s: %s\n", stepName(cond.Type), stepMessage(cond))
			}
		}
	})
}

// stepName is what people call a step of a tenant's making.
func stepName(condition string) string {
	switch condition {
	case "NameReserved":
		return "name"
	case "ClusterBound":
		return "room"
	case "LimitsApplied":
		return "limits"
	case "AccessReady":
		return "access"
	}
	return condition
}

func stepMessage(cond apiclient.Condition) string {
	if cond.Message != "" {
		return cond.Message
	}
	return "waiting"
}

func (c *cli) createTenant(ctx context.Context, in apiclient.NewTenant, noWait bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	t, err := client.CreateTenant(ctx, in)
	if err != nil {
		return err
	}
	if err := rememberTenant(in.Name); err != nil {
		return err
	}
	if !noWait {
		if t, err = c.awaitTenant(ctx, client, in.Name); err != nil {
			return err
		}
	}
	return c.show(t, func(w io.Writer) {
		if noWait {
			fmt.Fprintf(w, "Tenant %s is being prepared. See how far it is with: berth tenants:info %s\n", t.Name, t.Name)
			return
		}
		fmt.Fprintf(w, "Tenant %s is ready (%s). Deploy an app with: berth apply --tenant %s\n", t.Name, plural(t.PlanOCUs, "OCU"), t.Name)
	})
}

// rememberTenant makes the first tenant the one that commands mean.
func rememberTenant(name string) error {
	conf, err := loadConfig()
	if err != nil || conf.Tenant != "" || conf.URL == "" || elsewhere(conf) {
		return err
	}
	conf.Tenant = name
	_, err = conf.save()
	return err
}

// awaitTenant waits until a tenant is ready, or needs a person.
func (c *cli) awaitTenant(ctx context.Context, client *apiclient.Client, name string) (apiclient.Tenant, error) {
	p := c.progress()
	defer p.clear()
	var patience patience
	for {
		t, err := client.Tenant(ctx, name)
		if patience.bears(ctx, err) {
			continue
		}
		if err != nil {
			return t, err
		}
		if t.Ready {
			return t, nil
		}
		step, message := "tenant", "waiting"
		for _, cond := range t.Conditions {
			if cond.Type == "Ready" || cond.Status == "True" {
				continue
			}
			step, message = stepName(cond.Type), stepMessage(cond)
			if cond.Reason == "Stalled" || cond.Reason == "NameTaken" || cond.Reason == "PlanNotFound" {
				return t, &apiclient.Problem{Field: step, Detail: message, Fix: "Delete the tenant and make another: berth tenants:delete " + name}
			}
			break
		}
		p.say("%s: %s", step, message)
		if err := wait(ctx, pollEvery); err != nil {
			return t, err
		}
	}
}

func (c *cli) deleteTenant(ctx context.Context, name, confirm string, noWait bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if _, err := client.Tenant(ctx, name); err != nil {
		return err
	}
	if err := c.confirm(ctx, "This deletes the tenant "+name+" with all its apps and data, for good", name, confirm); err != nil {
		return err
	}
	if err := client.DeleteTenant(ctx, name); err != nil {
		return err
	}
	if !noWait {
		err := c.awaitGone(ctx, name, func() error {
			_, err := client.Tenant(ctx, name)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := forgetTenant(name); err != nil {
		return err
	}
	return c.show(map[string]any{"name": name, "deleted": !noWait}, func(w io.Writer) {
		if noWait {
			fmt.Fprintf(w, "Tenant %s is being deleted.\n", name)
			return
		}
		fmt.Fprintf(w, "Tenant %s is gone. Its name is not used again.\n", name)
	})
}

func forgetTenant(name string) error {
	conf, err := loadConfig()
	if err != nil || conf.Tenant != name || elsewhere(conf) {
		return err
	}
	conf.Tenant = ""
	_, err = conf.save()
	return err
}

// awaitGone waits until there is no such thing as ask asks for.
func (c *cli) awaitGone(ctx context.Context, name string, ask func() error) error {
	p := c.progress()
	defer p.clear()
	var patience patience
	for {
		err := ask()
		switch {
		case isNotFound(err):
			return nil
		case patience.bears(ctx, err):
			continue
		case err != nil:
			return err
		}
		p.say("deleting %s", name)
		if err := wait(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func isNotFound(err error) bool {
	var p *apiclient.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// wait pauses until the time is over or the person gives up.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
