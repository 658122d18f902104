package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/localcluster"
)

// statusOutput is what `berth status --json` prints.
type statusOutput struct {
	upOutput
	Running bool                      `json:"running"`
	Parts   []localcluster.PartStatus `json:"parts,omitempty"`
}

func newStatusCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:     "status",
		Short:   "Show what runs on this machine",
		Example: "  berth status\n  berth status --name second --json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			instance, err := localcluster.Open(name)
			if err != nil {
				return err
			}
			state, err := instance.LoadState()
			if err != nil {
				return err
			}
			status := statusOutput{upOutput: describe(instance, state.Ports)}
			if instance.Running() != nil {
				status.Running = true
				// In the first second of a start nothing is known of the parts yet.
				if status.Parts, err = instance.Parts(); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			if asJSON, _ := command.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(command.OutOrStdout()).Encode(status)
			}
			printStatus(command, instance, status)
			return nil
		},
	}
	command.Flags().StringVar(&name, "name", localcluster.DefaultName, "instance")
	return command
}

func printStatus(command *cobra.Command, instance *localcluster.Instance, status statusOutput) {
	out := command.OutOrStdout()
	switch {
	case status.Running && len(status.Parts) == 0:
		fmt.Fprintf(out, "Instance %q is starting.\n", instance.Name)
	case status.Running:
		fmt.Fprintf(out, "Instance %q runs: %s\n\n", instance.Name, status.URL)
		fmt.Fprintf(out, "  registry     %s\n", status.Registry)
		fmt.Fprintf(out, "  certificate  %s\n", status.CA)
		fmt.Fprintf(out, "  kubeconfig   %s\n\n", status.Kubeconfig)
	case instance.Exists():
		fmt.Fprintf(out, "Instance %q is stopped. `berth up --name %s` starts it.\n", instance.Name, instance.Name)
	default:
		fmt.Fprintf(out, "There is no instance %q. `berth up --name %s` makes it.\n", instance.Name, instance.Name)
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, part := range status.Parts {
		state := "ready"
		if !part.Ready {
			state = "starting"
		}
		if part.Starts > 1 {
			state += fmt.Sprintf(", started %d times", part.Starts)
		}
		fmt.Fprintf(table, "  %s\t%s\n", part.Name, state)
	}
	table.Flush()
}

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "Check that this machine has what `berth up` needs",
		Example: "  berth doctor",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			checks := localcluster.Doctor()
			failed := false
			for _, check := range checks {
				failed = failed || !check.OK
			}
			if asJSON, _ := command.Flags().GetBool("json"); asJSON {
				if err := json.NewEncoder(command.OutOrStdout()).Encode(checks); err != nil {
					return err
				}
			} else {
				printChecks(command, checks)
			}
			if failed {
				return errors.New("this machine lacks something `berth up` needs")
			}
			return nil
		},
	}
}

func printChecks(command *cobra.Command, checks []localcluster.Check) {
	out := command.OutOrStdout()
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
