package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) domainCommands() []*cobra.Command {
	var in apiclient.NewDomain
	var noWait bool
	add := &cobra.Command{
		Use: "domains:add HOST", Short: "Serve an app, or redirect, on a host of your own",
		Long: `Serve an app on a host of your own, or send its visitors to another host. It is served once
you have proven that it is yours, with a DNS record or a file that this command prints.
A host *.example.com stands for any one name below example.com.`,
		Example: "  berth domains:add www.example.com -a shop\n" +
			"  berth domains:add api.example.com -a shop --component api\n" +
			"  berth domains:add example.com --redirect-to www.example.com",
		Args: arguments(1, 1, "a host, such as www.example.com"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Host = args[0]
			return c.addDomain(cmd.Context(), in)
		},
	}
	add.Flags().StringVarP(&in.Component, "component", "c", "", "component that answers (default: the app's front)")
	add.Flags().StringVarP(&in.Port, "port", "p", "", "port of the component by name (default: its first exposed one)")
	add.Flags().StringVar(&in.RedirectTo, "redirect-to", "", "send visitors to this host instead of to an app")
	add.Flags().StringVar(&in.Certificate, "certificate", "", "an uploaded certificate by name; see: berth certs")
	remove := &cobra.Command{
		Use: "domains:remove HOST", Short: "Stop serving a host and give it back",
		Example: "  berth domains:remove www.example.com",
		Args:    arguments(1, 1, "a host"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.removeDomain(cmd.Context(), args[0], noWait)
		},
	}
	remove.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it is gone")
	return []*cobra.Command{
		{
			Use: "domains", Short: "List the tenant's own hosts", Args: arguments(0, 0, ""),
			RunE: func(cmd *cobra.Command, _ []string) error { return c.listDomains(cmd.Context()) },
		},
		add,
		{
			Use: "domains:info HOST", Short: "Show a host, its proof and how far it is", Args: arguments(1, 1, "a host"),
			Example: "  berth domains:info www.example.com",
			RunE:    func(cmd *cobra.Command, args []string) error { return c.domainInfo(cmd.Context(), args[0]) },
		},
		{
			Use: "domains:check HOST", Short: "Look at the proof of a host now", Args: arguments(1, 1, "a host"),
			Long: `Look now whether a host is proven, and say what was found. It is looked at by itself too:
often at first, and later every ten minutes. Ends with 1 if the host is not yours yet.`,
			Example: "  berth domains:check www.example.com",
			RunE:    func(cmd *cobra.Command, args []string) error { return c.checkDomain(cmd.Context(), args[0]) },
		},
		remove,
	}
}

func (c *cli) listDomains(ctx context.Context) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	domains, err := client.Domains(ctx, tenant)
	if err != nil {
		return err
	}
	return c.show(domains, func(w io.Writer) {
		if len(domains) == 0 {
			fmt.Fprintf(w, "The tenant %s has no hosts of its own. Add one with: berth domains:add HOST --app APP\n", tenant)
			return
		}
		table(w, "HOST|LEADS TO|STATE", func(row func(...any)) {
			for i := range domains {
				row(domains[i].Display, leadsTo(&domains[i]), domainState(&domains[i]))
			}
		})
	})
}

func leadsTo(d *apiclient.Domain) string {
	switch {
	case d.RedirectTo != "":
		return "redirect to " + d.RedirectTo
	case d.Port != "":
		return fmt.Sprintf("app %s, %s, port %s", d.App, d.Component, d.Port)
	case d.Component != "":
		return fmt.Sprintf("app %s, %s", d.App, d.Component)
	}
	return "app " + d.App
}

// domainState is the first thing that a person would want to know.
func domainState(d *apiclient.Domain) string {
	if d.Deleting {
		return "being removed"
	}
	for _, state := range []struct{ condition, reason, words string }{
		{v1alpha1.ConditionOwned, v1alpha1.ReasonHostHeld, "held by another"},
		{v1alpha1.ConditionOwned, v1alpha1.ReasonNotProven, "not proven"},
		{v1alpha1.ConditionOwned, v1alpha1.ReasonProofLost, "proof lost"},
		{v1alpha1.ConditionServed, v1alpha1.ReasonTargetNotFound, "leads nowhere"},
	} {
		if slices.ContainsFunc(d.Conditions, func(cond apiclient.Condition) bool {
			return cond.Type == state.condition && cond.Reason == state.reason
		}) {
			return state.words
		}
	}
	switch {
	case d.Ready:
		return "served"
	case d.Owned:
		return "being prepared"
	}
	return "being checked"
}

func (c *cli) addDomain(ctx context.Context, in apiclient.NewDomain) error {
	var client *apiclient.Client
	var tenant string
	var err error
	if in.RedirectTo == "" {
		client, tenant, in.App, err = c.appClient()
	} else {
		in.App = c.app
		client, tenant, err = c.tenantClient()
	}
	if err != nil {
		return err
	}
	domain, err := client.AddDomain(ctx, tenant, in)
	if err != nil {
		return err
	}
	// The token is drawn a moment later.
	domain, err = c.awaitDomain(ctx, client, tenant, domain, "preparing the proof", func(d *apiclient.Domain) bool { return d.Proof != nil })
	if err != nil {
		return err
	}
	return c.show(domain, func(w io.Writer) {
		fmt.Fprintf(w, "%s is added (%s). It is served once you have proven that it is yours.\n\n", domain.Display, leadsTo(&domain))
		printProof(w, &domain)
	})
}

// printProof says what to set, and what to do then.
func printProof(w io.Writer, d *apiclient.Domain) {
	if d.Proof == nil {
		return
	}
	rows := [][2]string{{"Set the TXT record", d.Proof.Record}, {"to the text", d.Proof.Text}}
	if d.Proof.URL != "" {
		rows = append(rows, [2]string{}, [2]string{"or let", d.Proof.URL}, [2]string{"answer with", d.Proof.Answer})
	}
	table(w, "", func(row func(...any)) {
		for _, cells := range rows {
			row("  "+cells[0], cells[1])
		}
	})
	fmt.Fprintf(w, "\nThen see whether it is found: berth domains:check %s\n", d.Display)
	fmt.Fprintf(w, "Visitors come once the DNS of %s leads here: set a CNAME record to %s\n", d.Display, d.PointTo)
	fmt.Fprintln(w, "(at the top of a zone, where there can be none, an ALIAS record or the same addresses).")
}

func (c *cli) domainInfo(ctx context.Context, host string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	d, err := client.Domain(ctx, tenant, host)
	if err != nil {
		return err
	}
	return c.show(d, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("Host", d.Display)
			if d.Display != d.Host {
				row("In DNS", d.Host)
			}
			row("Leads to", leadsTo(&d))
			row("State", domainState(&d))
			if d.URL != "" {
				row("URL", d.URL)
			}
			if d.Certificate != "" {
				row("Certificate", d.Certificate)
			}
			if d.ProvenAt != nil {
				row("Proven", ago(*d.ProvenAt))
			}
			if d.CheckedAt != nil {
				row("Checked", ago(*d.CheckedAt))
			}
		})
		for _, cond := range d.Conditions {
			if cond.Type != v1alpha1.ConditionReady && cond.Message != "" {
				fmt.Fprintf(w, "\n%s\n", clean(cond.Message, false))
			}
		}
		if !d.Owned {
			fmt.Fprintln(w)
			printProof(w, &d)
		}
	})
}

func (c *cli) checkDomain(ctx context.Context, host string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	d, err := client.CheckDomain(ctx, tenant, host)
	if err != nil {
		return err
	}
	d, err = c.awaitDomain(ctx, client, tenant, d, "looking at "+d.Display, func(d *apiclient.Domain) bool { return !d.Checking })
	if err != nil {
		return err
	}
	if !d.Owned && !c.json {
		return &apiclient.Problem{
			Field: d.Display, Detail: conditionMessage(d.Conditions, v1alpha1.ConditionOwned, "it is not proven yet"),
			Fix: "See what to set with: berth domains:info " + d.Display + "; DNS may need some minutes to tell of a change.",
		}
	}
	if err := c.show(d, func(w io.Writer) { printChecked(w, &d) }); err != nil || d.Owned {
		return err
	}
	return exitCode(exitFailed)
}

func printChecked(w io.Writer, d *apiclient.Domain) {
	fmt.Fprintf(w, "%s is yours: %s\n", d.Display, clean(conditionMessage(d.Conditions, v1alpha1.ConditionOwned, "it is proven."), false))
	if d.Ready && d.URL != "" {
		fmt.Fprintln(w, d.URL)
	}
	for _, cond := range d.Conditions {
		if cond.Status == "False" && cond.Type != v1alpha1.ConditionReady && cond.Message != "" {
			fmt.Fprintln(w, clean(cond.Message, false))
		}
	}
}

func conditionMessage(all []apiclient.Condition, kind, otherwise string) string {
	for _, cond := range all {
		if cond.Type == kind && cond.Message != "" {
			return cond.Message
		}
	}
	return otherwise
}

// awaitDomain waits until a domain is as it should be, which takes moments.
func (c *cli) awaitDomain(
	ctx context.Context, client *apiclient.Client, tenant string, d apiclient.Domain, doing string, done func(*apiclient.Domain) bool,
) (apiclient.Domain, error) {
	p := c.progress()
	defer p.clear()
	var patience patience
	for !done(&d) {
		p.say("%s", doing)
		if err := wait(ctx, pollEvery); err != nil {
			return d, err
		}
		next, err := client.Domain(ctx, tenant, d.Host)
		switch {
		case patience.bears(ctx, err):
		case err != nil:
			return d, err
		default:
			d = next
		}
	}
	return d, nil
}

func (c *cli) removeDomain(ctx context.Context, host string, noWait bool) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	d, err := client.Domain(ctx, tenant, host)
	if err != nil {
		return err
	}
	if err := client.RemoveDomain(ctx, tenant, d.Host); err != nil {
		return err
	}
	if !noWait {
		err := c.awaitGone(ctx, d.Display, func() error {
			_, err := client.Domain(ctx, tenant, d.Host)
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.show(map[string]any{"host": d.Host, "removed": !noWait}, func(w io.Writer) {
		if noWait {
			fmt.Fprintf(w, "%s is being removed.\n", d.Display)
			return
		}
		fmt.Fprintf(w, "%s is not served any more. Its DNS records can go too.\n", d.Display)
	})
}
