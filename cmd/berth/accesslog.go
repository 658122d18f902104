package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/berth-dev/berth/internal/apiclient"
)

// accessLog shows the requests of visitors.
func (c *cli) accessLog(ctx context.Context, opts apiclient.LogOptions) error {
	tail := &accessTail{told: map[string]bool{}, print: c.accessPrinter()}
	return c.readLines(ctx, opts, &tail.patience,
		func(client *apiclient.Client, tenant, app string, opts apiclient.LogOptions) error {
			return client.AccessLog(ctx, tenant, app, opts, tail.each)
		},
		func(opts *apiclient.LogOptions) {
			// What the edge still knows is asked for again; what was shown already is left out.
			if tail.began {
				opts.Tail = catchUpLines
			}
		})
}

// accessTail prints each request once, however often the connection breaks.
type accessTail struct {
	print    func(apiclient.AccessLine) error
	patience patience
	began    bool
	// since is the time of the oldest request shown: what is older was not asked for.
	since time.Time
	told  map[string]bool
}

func (t *accessTail) each(line apiclient.AccessLine) error {
	t.patience = patience{}
	key := line.RequestID + line.Time.String()
	if t.told[key] || t.began && line.Time.Before(t.since) {
		return nil
	}
	if !t.began {
		t.began, t.since = true, line.Time
	}
	if len(t.told) > 20*catchUpLines { // longer than the edge remembers
		clear(t.told)
	}
	t.told[key] = true
	return t.print(line)
}

// accessPrinter prints requests as text or as JSON.
func (c *cli) accessPrinter() func(apiclient.AccessLine) error {
	if c.json {
		enc := json.NewEncoder(c.out)
		enc.SetEscapeHTML(false)
		return func(line apiclient.AccessLine) error { return enc.Encode(line) }
	}
	return func(line apiclient.AccessLine) error {
		// Visitors choose most of it.
		_, err := fmt.Fprintln(c.out, clean(fmt.Sprintf("%s %d %s %s%s %.0f ms %s from %s",
			line.Time.Local().Format("15:04:05"), line.Status, line.Method, line.Host, line.Path, line.DurationMS, sizeWords(line.Bytes), line.Client), false))
		return err
	}
}
