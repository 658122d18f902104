package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

// catchUpLines is how much of the past is asked for again after a broken connection;
// what was printed already is left out.
const catchUpLines = 1000

func (c *cli) logCommands() []*cobra.Command {
	opts := apiclient.LogOptions{}
	logs := &cobra.Command{
		Use: "logs", Short: "Show what an app writes, all components together",
		Long: `Show what the processes of an app write, all components together, each line with its
process's name. With --follow it goes on, through releases and restarts, until Ctrl-C.`,
		Example: "  berth logs\n  berth logs -f -c api",
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.logs(cmd.Context(), opts) },
	}
	logs.Flags().BoolVarP(&opts.Follow, "follow", "f", false, "go on with what comes")
	logs.Flags().StringVarP(&opts.Component, "component", "c", "", "only this component")
	logs.Flags().IntVarP(&opts.Tail, "lines", "n", 100, "how many lines of the past")
	return []*cobra.Command{logs}
}

func (c *cli) logs(ctx context.Context, opts apiclient.LogOptions) error {
	if opts.Tail < 0 {
		return usage("--lines cannot be less than 0", "Give 0 or more.")
	}
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	print := c.linePrinter()
	last := map[string]time.Time{}
	resumed := false
	each := func(line apiclient.LogLine) error {
		if resumed && !line.Time.After(last[line.Process]) {
			return nil
		}
		last[line.Process] = line.Time
		return print(line)
	}
	for broken := 0; ; broken++ {
		before := len(last)
		err := client.Logs(ctx, tenant, app, opts, each)
		var unreachable *apiclient.UnreachableError
		switch {
		case ctx.Err() != nil && opts.Follow:
			return nil // Ctrl-C is how following ends
		case !opts.Follow || (err != nil && !errors.As(err, &unreachable)) || broken >= reconnects:
			return err
		}
		if len(last) > before {
			broken = 0
		}
		resumed, opts.Tail = true, catchUpLines
		if err := wait(ctx, time.Second); err != nil {
			return nil // Ctrl-C again
		}
	}
}

// linePrinter prints lines as text, in colours on a terminal, or as JSON.
func (c *cli) linePrinter() func(apiclient.LogLine) error {
	if c.json {
		enc := json.NewEncoder(c.out)
		enc.SetEscapeHTML(false)
		return func(line apiclient.LogLine) error { return enc.Encode(line) }
	}
	colours := isTerminal(c.out)
	return func(line apiclient.LogLine) error {
		name, text := line.Process, line.Line
		if colours {
			name, text = clean(name, false), clean(text, true)
			h := fnv.New32a()
			_, _ = h.Write([]byte(line.Component))
			name = fmt.Sprintf("\033[%dm%s\033[0m", 31+h.Sum32()%6, name)
		}
		_, err := fmt.Fprintf(c.out, "%s | %s\n", name, text)
		return err
	}
}
