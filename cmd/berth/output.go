package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// show prints a value as JSON or as text.
func (c *cli) show(v any, text func(w io.Writer)) error {
	if c.json {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	w := bufio.NewWriter(c.out)
	text(w)
	return w.Flush()
}

// table prints rows in columns.
func table(w io.Writer, head string, rows func(row func(cells ...any))) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if head != "" {
		fmt.Fprintln(tw, strings.ReplaceAll(head, "|", "\t"))
	}
	rows(func(cells ...any) {
		texts := make([]string, len(cells))
		for i, cell := range cells {
			texts[i] = clean(fmt.Sprint(cell), false) // summaries and names are anybody's
		}
		fmt.Fprintln(tw, strings.Join(texts, "\t"))
	})
	_ = tw.Flush() // its writer is a buffer
}

// ago says how long ago something was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func plural(n int32, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// progress tells how far something is: on a terminal one line that changes, elsewhere
// a line for each new state. It is silent with --json.
type progress struct {
	w     io.Writer
	live  bool
	start time.Time
	last  string
}

func (c *cli) progress() *progress {
	if c.json {
		return &progress{w: io.Discard, start: time.Now()}
	}
	return &progress{w: c.err, live: isTerminal(c.err), start: time.Now()}
}

// say tells the state as it is.
func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.live {
		fmt.Fprintf(p.w, "\r\033[K%s (%ds)", text, int(time.Since(p.start).Seconds()))
		p.last = text
		return
	}
	if text != p.last {
		fmt.Fprintln(p.w, text)
		p.last = text
	}
}

// clear takes the changing line away.
func (p *progress) clear() {
	if p.live && p.last != "" {
		fmt.Fprint(p.w, "\r\033[K")
	}
}

// confirm lets a person type a name before something is lost. Without a terminal the
// name must be given as a flag.
func (c *cli) confirm(ctx context.Context, what, name, given string) error {
	if given == name {
		return nil
	}
	if given != "" {
		return usage(fmt.Sprintf("--confirm says %q, but the name is %q", given, name), "Check which one you mean.")
	}
	if !isTerminal(c.in) || c.json {
		return usage(what+" must be confirmed", "Add: --confirm "+name)
	}
	fmt.Fprintf(c.err, "%s. Type %s to go on: ", what, name)
	answer, _ := unlessDone(ctx, func() (string, error) { return bufio.NewReader(c.in).ReadString('\n') })
	if ctx.Err() != nil {
		fmt.Fprintln(c.err)
		return ctx.Err()
	}
	if strings.TrimSpace(answer) != name {
		return errAborted
	}
	return nil
}

// unlessDone waits for a person's input, or until ctx ends. Reading cannot be broken off:
// what still waits for a key then ends with the program.
func unlessDone[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
