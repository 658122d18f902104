package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/localcluster"
)

// statusOutput is what `berth status --json` prints.
type statusOutput struct {
	upOutput
	Running bool `json:"running"`
	// Links say how a host is linked, Hosts which hosts an instance has.
	Links *localcluster.Links            `json:"links,omitempty"`
	Hosts map[string]localcluster.HostOf `json:"hosts,omitempty"`
	Parts []localcluster.PartStatus      `json:"parts,omitempty"`
}

func (c *cli) statusCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:     "status",
		Short:   "Show what runs on this machine",
		Example: "  berth status\n  berth status --name second --json",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			instance, err := localcluster.Open(name)
			if err != nil {
				return err
			}
			status, err := statusOf(instance)
			if err != nil {
				return err
			}
			return c.show(status, func(w io.Writer) { printStatus(w, instance, status) })
		},
	}
	command.Flags().StringVar(&name, "name", localcluster.DefaultName, "instance")
	return command
}

func statusOf(instance *localcluster.Instance) (statusOutput, error) {
	state, err := instance.LoadState()
	if err != nil {
		return statusOutput{}, err
	}
	described, err := describe(instance, state)
	if err != nil {
		return statusOutput{}, err
	}
	status := statusOutput{upOutput: described}
	if status.Hosts, err = instance.Hosts(); err != nil || instance.Running() == nil {
		return status, err
	}
	status.Running = true
	if state.Host != nil {
		links, err := instance.Links()
		if err != nil {
			return statusOutput{}, err
		}
		status.Links = &links
	}
	// In the first second of a start nothing is known of the parts yet.
	if status.Parts, err = instance.Parts(); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return status, err
}

func printStatus(out io.Writer, instance *localcluster.Instance, status statusOutput) {
	switch {
	case status.Running && len(status.Parts) == 0:
		fmt.Fprintf(out, "Instance %q is starting.\n", instance.Name)
	case status.Running && status.Host != nil:
		fmt.Fprintf(out, "Instance %q runs, a host of instance %q: %s\n\n", instance.Name, status.Host.Instance, status.URL)
		fmt.Fprintf(out, "  region       %s\n", status.Host.Region)
		links := "up"
		if !status.Links.Up {
			links = "down: " + status.Links.Problem
		}
		fmt.Fprintf(out, "  links        %s\n", links)
		fmt.Fprintf(out, "  kubeconfig   %s\n\n", status.Kubeconfig)
	case status.Running:
		fmt.Fprintf(out, "Instance %q runs: %s\n\n", instance.Name, status.URL)
		for _, name := range slices.Sorted(maps.Keys(status.Hosts)) {
			fmt.Fprintf(out, "  host         %s, region %s; see: berth status --name %[1]s\n", name, status.Hosts[name].Region)
		}
		fmt.Fprintf(out, "  registry     %s\n", status.Registry)
		fmt.Fprintf(out, "  certificate  %s\n", status.CA)
		fmt.Fprintf(out, "  kubeconfig   %s\n", status.Kubeconfig)
		fmt.Fprintf(out, "  zone file    %s, for domains of your own; a line of it:\n", status.ZoneFile)
		fmt.Fprintf(out, "               _berth.www.acme-shop.localhost. TXT \"berth-domain=TOKEN\"\n\n")
	case instance.Exists():
		fmt.Fprintf(out, "Instance %q is stopped. `berth up --name %s` starts it.\n", instance.Name, instance.Name)
	default:
		fmt.Fprintf(out, "There is no instance %q. `berth up --name %s` makes it.\n", instance.Name, instance.Name)
	}
	table(out, "", func(row func(...any)) {
		for _, part := range status.Parts {
			state := "ready"
			if !part.Ready {
				state = "starting"
			}
			if part.Starts > 1 {
				state += fmt.Sprintf(", started %d times", part.Starts)
			}
			row("  "+part.Name, state)
		}
	})
}

func (c *cli) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "Check that this machine has what `berth up` needs",
		Example: "  berth doctor",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			checks := localcluster.Doctor()
			failed := false
			for _, check := range checks {
				failed = failed || !check.OK
			}
			if err := c.show(checks, func(w io.Writer) { printChecks(w, checks) }); err != nil {
				return err
			}
			if failed {
				return errors.New("this machine lacks something `berth up` needs")
			}
			return nil
		},
	}
}

func printChecks(out io.Writer, checks []localcluster.Check) {
	for _, check := range checks {
		mark := "✓"
		if !check.OK {
			mark = "✗"
		}
		fmt.Fprintf(out, "%s %-16s %s\n", mark, check.Name, check.Detail)
		if !check.OK {
			fmt.Fprintf(out, "  %-16s fix: %s\n", "", check.Fix)
		}
	}
}
