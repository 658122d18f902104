package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// reconnects is how often in a row a waiting command asks again.
const reconnects = 30

// patience is that of a command that waits: the portal and the edge may restart meanwhile.
type patience struct{ broken int }

// bears tells whether to ask again after err, and pauses before that. Any success ends a
// row of failures.
func (p *patience) bears(ctx context.Context, err error) bool {
	if err == nil {
		p.broken = 0
		return false
	}
	p.broken++
	if p.broken > reconnects || !transient(err) {
		return false
	}
	_ = wait(ctx, time.Second) // if ctx ends, asking again tells
	return true
}

// transient tells whether the same question may have an answer in a moment.
func transient(err error) bool {
	var unreachable *apiclient.UnreachableError
	var problem *apiclient.Problem
	switch {
	case errors.As(err, &problem):
		return slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, problem.Status)
	case errors.As(err, &unreachable):
		return !untrusted(err)
	}
	return errors.Is(err, apiclient.ErrStreamEnded)
}

// untrusted tells whether the server's certificate was refused.
func untrusted(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// outcome is what a deploying command prints as JSON.
type outcome struct {
	Changed bool                    `json:"changed"`
	Changes []apiclient.FieldChange `json:"changes,omitempty"`
	Release *apiclient.Release      `json:"release,omitempty"`
	App     apiclient.App           `json:"app"`
}

// noWaitFlag adds the flag that every deploying command has.
func noWaitFlag(cmd *cobra.Command, noWait *bool) {
	cmd.Flags().BoolVar(noWait, "no-wait", false, "do not wait until the release is live")
}

// finish waits for the release that a change made and tells how it went.
func (c *cli) finish(ctx context.Context, client *apiclient.Client, change apiclient.Changed, noWait bool) error {
	return c.rollout(ctx, client, change, noWait, printOutcome)
}

// rollout is finish with other words for what went well.
func (c *cli) rollout(ctx context.Context, client *apiclient.Client, change apiclient.Changed, noWait bool, words func(io.Writer, outcome)) error {
	out := outcome{Changed: change.Changed, Changes: change.Changes, App: change.App}
	if noWait {
		return c.show(out, func(w io.Writer) {
			if !change.Changed {
				fmt.Fprintln(w, "There is nothing to do: the app is like that already.")
				return
			}
			fmt.Fprintf(w, "The change is accepted. Watch it with: berth releases --app %s\n", change.App.Name)
		})
	}
	last, err := c.follow(ctx, client, change.App)
	if err != nil {
		c.goesOn(ctx, change.App.Name)
		return err
	}
	out.App, out.Release = last.App, last.Release
	if last.Error != nil {
		return last.Error
	}
	if last.Release != nil && last.Release.Phase == string(v1alpha1.ReleaseFailed) {
		return c.failed(out)
	}
	return c.show(out, func(w io.Writer) { words(w, out) })
}

func printOutcome(w io.Writer, out outcome) {
	version := "The app"
	if out.Release != nil {
		version = versionName(out.Release.Version)
	}
	switch {
	case !out.Changed:
		fmt.Fprintf(w, "There is nothing to do: %s is live.\n", version)
	case superseded(out):
		fmt.Fprintf(w, "%s was replaced by a newer release before it was live. See: berth releases --app %s\n", version, out.App.Name)
		return
	default:
		fmt.Fprintf(w, "%s is live.\n", version)
	}
	if out.App.URL != "" {
		fmt.Fprintln(w, out.App.URL)
	}
}

func superseded(out outcome) bool {
	return out.Release != nil && out.Release.Phase == string(v1alpha1.ReleaseSuperseded)
}

// follow tells a release's progress until it is done. What breaks on the way is taken
// up again: the release goes on without us.
func (c *cli) follow(ctx context.Context, client *apiclient.Client, app apiclient.App) (apiclient.ReleaseEvent, error) {
	p := c.progress()
	defer p.clear()
	var last apiclient.ReleaseEvent
	var patience patience
	for {
		err := client.WatchRelease(ctx, app.Tenant, app.Name, 0, app.Generation, func(ev apiclient.ReleaseEvent) error {
			if ev.Error != nil && transient(ev.Error) {
				return ev.Error // of the watching, not of the release
			}
			patience.broken = 0
			last = ev
			p.say("%s", describeRollout(ev))
			return nil
		})
		if !patience.bears(ctx, err) {
			return last, err
		}
	}
}

// goesOn tells a person who stops waiting that the release does not.
func (c *cli) goesOn(ctx context.Context, app string) {
	if ctx.Err() != nil && !c.json {
		fmt.Fprintf(c.err, "\nThe release goes on. Watch it with: berth releases --app %s\n", app)
	}
}

// describeRollout is one line of progress.
func describeRollout(ev apiclient.ReleaseEvent) string {
	if ev.Release == nil {
		return "waiting for the release"
	}
	parts := make([]string, 0, len(ev.App.Components))
	for _, k := range ev.App.Components {
		if clockOf(ev.App.Template, k.Name) == nil {
			parts = append(parts, fmt.Sprintf("%s %d/%d", k.Name, k.Ready, k.Count))
		}
	}
	return fmt.Sprintf("%s %s: %s", versionName(ev.Release.Version), phaseName(ev.Release.Phase), strings.Join(parts, ", "))
}

func phaseName(phase string) string {
	switch v1alpha1.ReleasePhase(phase) {
	case v1alpha1.ReleasePending:
		return "waiting"
	case v1alpha1.ReleaseRollingOut:
		return "starting"
	case v1alpha1.ReleaseLive:
		return "live"
	case v1alpha1.ReleaseFailed:
		return "failed"
	case v1alpha1.ReleaseSuperseded:
		return "replaced"
	}
	return phase
}

// failed explains why a release did not become healthy.
func (c *cli) failed(out outcome) error {
	if c.json {
		if err := c.show(out, nil); err != nil {
			return err
		}
		return exitCode(exitFailed)
	}
	printFailure(c.err, out.Release, out.App.Live)
	if !out.Changed {
		fmt.Fprintf(c.err, "Nothing was changed by this: v%d is the app as asked for. Try it again with: berth ps:restart --app %s\n", out.Release.Version, out.App.Name)
	}
	return exitCode(exitFailed)
}

func printFailure(w io.Writer, rel *apiclient.Release, live int64) {
	f := rel.Failure
	if f == nil {
		f = &v1alpha1.ReleaseFailure{Message: "it did not become healthy"}
	}
	// Some of it is what the app itself wrote.
	message, hint, tail := clean(f.Message, false), clean(f.Hint, false), clean(f.LogTail, false)
	where := ""
	if f.Component != "" {
		where = f.Component + ": "
	}
	fmt.Fprintf(w, "error: v%d failed. %s%s\n", rel.Version, where, message)
	if tail != "" {
		fmt.Fprintf(w, "\nThe last it wrote:\n")
		for line := range strings.SplitSeq(strings.TrimRight(tail, "\n"), "\n") {
			fmt.Fprintf(w, "  | %s\n", line)
		}
		fmt.Fprintln(w)
	}
	if hint != "" {
		fmt.Fprintf(w, "  fix: %s\n", hint)
	}
	next := "berth logs --app " + rel.App
	if f.Component != "" {
		next += " --component " + f.Component
	}
	fmt.Fprintf(w, "  see: %s\n", next)
	if live > 0 && live != rel.Version {
		fmt.Fprintf(w, "v%d keeps serving; all components run it.\n", live)
	}
}
