package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxSecret bounds what is read as the value of one secret.
const maxSecret = 64 << 10

func (c *cli) secretCommands() []*cobra.Command {
	var noWait bool
	set := &cobra.Command{
		Use: "secrets:set KEY", Short: "Set a secret; a new release is made",
		Long: `Set a secret of an app, which every component gets in its environment. The value is
asked for, or read from standard input when that is not a terminal; a value on the
command line (KEY=VALUE) would stay in your shell's history. Nobody can read it back.`,
		Example: "  berth secrets:set API_KEY\n  berth secrets:set TLS_KEY < key.pem",
		Args:    arguments(1, -1, "the name of a secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := c.secretValues(cmd.Context(), args)
			if err != nil {
				return err
			}
			return c.patchSecrets(cmd, values, noWait)
		},
	}
	unset := &cobra.Command{
		Use: "secrets:unset KEY...", Short: "Remove secrets; a new release is made",
		Example: "  berth secrets:unset API_KEY",
		Args:    arguments(1, -1, "the name of a secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.patchSecrets(cmd, removals(args), noWait)
		},
	}
	noWaitFlag(set, &noWait)
	noWaitFlag(unset, &noWait)
	return []*cobra.Command{{
		Use: "secrets", Short: "List the names of an app's secrets", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, tenant, app, err := c.appClient()
			if err != nil {
				return err
			}
			names, err := client.Secrets(cmd.Context(), tenant, app)
			if err != nil {
				return err
			}
			return c.show(names, func(w io.Writer) {
				for _, name := range names {
					fmt.Fprintln(w, name)
				}
			})
		},
	}, set, unset}
}

// secretValues takes values of the command line as they are, with a warning, and asks
// for the others. Standard input can give one.
func (c *cli) secretValues(ctx context.Context, args []string) (map[string]*string, error) {
	values := map[string]*string{}
	asked := 0
	for _, arg := range args {
		key, value, given := strings.Cut(arg, "=")
		if key == "" {
			return nil, usage(arg+" names no secret", "Write for example: berth secrets:set API_KEY")
		}
		fix := "Pipe it in, such as: berth secrets:set " + key + " < file"
		if given && value != "-" {
			value, err := secretValue(key, value, fix)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(c.err, "warning: the value of %s is now in your shell's history; next time: berth secrets:set %s\n", key, key)
			values[key] = &value
			continue
		}
		if asked++; asked > 1 && !isTerminal(c.in) {
			return nil, usage("standard input can give the value of one secret only", "Set one secret at a time.")
		}
		value, err := c.readSecret(ctx, key, fix)
		if err != nil {
			return nil, err
		}
		values[key] = &value
	}
	return values, nil
}

// readSecret asks for a value without showing it, or reads standard input. One line
// end at the end is the keyboard's, not the value's.
func (c *cli) readSecret(ctx context.Context, key, fix string) (string, error) {
	var raw []byte
	var err error
	if f, ok := c.in.(*os.File); ok && isTerminal(f) {
		fmt.Fprintf(c.err, "Value of %s: ", key)
		raw, err = readHidden(ctx, f)
		fmt.Fprintln(c.err)
	} else {
		raw, err = unlessDone(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(c.in, maxSecret+2)) })
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil && !errors.Is(err, io.EOF) { // the end of what is typed: it may be empty
		return "", fmt.Errorf("reading the value: %w", err)
	}
	return secretValue(key, strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r"), fix)
}

// readHidden reads a line that a terminal does not show, and leaves the terminal as it was
// also when ctx ends first. What may go on reading then must not touch the terminal's
// settings any more, so they are made here.
func readHidden(ctx context.Context, keyboard *os.File) ([]byte, error) {
	fd := int(keyboard.Fd()) // a descriptor is small
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	defer func() { _ = term.Restore(fd, before) }()
	quiet := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keyboard, io.Discard}, "")
	line, err := unlessDone(ctx, func() (string, error) { return quiet.ReadPassword("") })
	if errors.Is(err, io.EOF) {
		return nil, context.Canceled // Ctrl-C and Ctrl-D are but keys now
	}
	return []byte(line), err
}

// secretValue checks the length of a value, wherever it came from.
func secretValue(key, value, fix string) (string, error) {
	switch {
	case value == "":
		return "", usage("the value of "+key+" is empty", fix)
	case len(value) > maxSecret:
		return "", usage("the value of "+key+" is longer than 64 KiB", "Put large data into a volume.")
	}
	return value, nil
}

func (c *cli) patchSecrets(cmd *cobra.Command, values map[string]*string, noWait bool) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	change, err := client.PatchSecrets(cmd.Context(), tenant, app, values)
	if err != nil {
		return err
	}
	return c.finish(cmd.Context(), client, change, noWait)
}
