package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

// catchUpLines is how much of the past is asked for again after a broken connection;
// what was printed already is left out.
const catchUpLines = 1000

func (c *cli) logCommands() []*cobra.Command {
	opts, access := apiclient.LogOptions{}, false
	logs := &cobra.Command{
		Use: "logs", Short: "Show what an app writes, all components together",
		Long: `Show what the processes of an app write, all components together, each line with its
process's name, and with its sidecar's behind a slash. With --follow it goes on, through releases and restarts, until Ctrl-C.
With --access it shows the requests that visitors made instead, of which the platform keeps
the newest few hundred.`,
		Example: "  berth logs\n  berth logs -f -c api\n  berth logs --access -f",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if access {
				return c.accessLog(cmd.Context(), opts)
			}
			return c.logs(cmd.Context(), opts)
		},
	}
	logs.Flags().BoolVar(&access, "access", false, "the requests of visitors, not what the app writes")
	logs.Flags().BoolVarP(&opts.Follow, "follow", "f", false, "go on with what comes")
	logs.Flags().StringVarP(&opts.Component, "component", "c", "", "only this component")
	logs.Flags().IntVarP(&opts.Tail, "lines", "n", 100, "how many lines of the past")
	return []*cobra.Command{logs}
}

func (c *cli) logs(ctx context.Context, opts apiclient.LogOptions) error {
	lines := &logTail{start: time.Now(), last: map[string]time.Time{}, print: c.linePrinter()}
	return c.readLines(ctx, opts, &lines.patience,
		func(client *apiclient.Client, tenant, app string, opts apiclient.LogOptions) error {
			return client.Logs(ctx, tenant, app, opts, lines.each)
		},
		func(opts *apiclient.LogOptions) {
			// Nothing seen yet means that the past is still to be shown, if it was asked for.
			if len(lines.last) > 0 || opts.Tail == 0 {
				lines.resume()
				opts.Tail = catchUpLines
			}
		})
}

// readLines reads an app's lines to their end; to follow them it reads until Ctrl-C, and asks
// again after each connection that broke, for what again makes of the options.
func (c *cli) readLines(ctx context.Context, opts apiclient.LogOptions, patience *patience,
	read func(client *apiclient.Client, tenant, app string, opts apiclient.LogOptions) error, again func(*apiclient.LogOptions),
) error {
	if opts.Tail < 0 {
		return usage("--lines cannot be less than 0", "Give 0 or more.")
	}
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	for {
		err := read(client, tenant, app, opts)
		switch {
		case ctx.Err() != nil && opts.Follow:
			return nil // Ctrl-C is how following ends
		case !opts.Follow:
			return err
		case err == nil: // the server never ends it
			err = apiclient.ErrStreamEnded
		}
		again(&opts)
		if !patience.bears(ctx, err) {
			return err
		}
	}
}

// logTail prints each line once, however often the connection breaks.
type logTail struct {
	print    func(apiclient.LogLine) error
	patience patience
	// start is when the watching began, last the time of the newest line of each process.
	start   time.Time
	last    map[string]time.Time
	resumed bool
	// since is the time after which lines of processes not seen before are new.
	since time.Time
}

// resume leaves out from now on what was printed or is older than the watching.
func (l *logTail) resume() {
	l.resumed, l.since = true, l.start
	if len(l.last) > 0 {
		l.since = slices.MaxFunc(slices.Collect(maps.Values(l.last)), time.Time.Compare)
	}
}

func (l *logTail) each(line apiclient.LogLine) error {
	l.patience = patience{}
	newest, seen := l.last[line.Process]
	if !seen {
		newest = l.since
	}
	if l.resumed && !line.Time.After(newest) {
		return nil
	}
	l.last[line.Process] = line.Time
	return l.print(line)
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
