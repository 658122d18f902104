package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/berth-dev/berth/internal/apiclient"
)

func (c *cli) runCommands() []*cobra.Command {
	var in apiclient.Run
	flags := func(cmd *cobra.Command) *cobra.Command {
		cmd.Flags().StringVarP(&in.Component, "component", "c", "", "component whose image and settings to use (default: web, else the first)")
		cmd.Flags().Int32Var(&in.OCUs, "size", 0, "OCUs of the process (default: as the component's)")
		cmd.Flags().SetInterspersed(false)
		return cmd
	}
	return []*cobra.Command{
		flags(&cobra.Command{
			Use: "run [flags] -- COMMAND...", Short: "Run a command once, beside the app",
			Long: `Run a command once in a process of its own, with a component's image and settings, and
show what it writes. Its exit code becomes ours. Volumes are not there: they belong to
the component that runs.`,
			Example: "  berth run -- rake db:migrate\n  berth run -c api --size 2 -- /app/import --all",
			Args:    arguments(1, -1, "a command"),
			RunE: func(cmd *cobra.Command, args []string) error {
				in.Command = args
				return c.runOnce(cmd.Context(), in)
			},
		}),
		flags(&cobra.Command{
			Use: "shell [flags] [-- COMMAND...]", Short: "Open an interactive shell beside the app",
			Long: `Open an interactive shell, or another interactive command, in a process of its own with
a component's image and settings.`,
			Example: "  berth shell\n  berth shell -c api -- rails console",
			Args:    arguments(0, -1, ""),
			RunE: func(cmd *cobra.Command, args []string) error {
				in.Command = args
				return c.shell(cmd.Context(), in)
			},
		}),
	}
}

func (c *cli) runOnce(ctx context.Context, in apiclient.Run) error {
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	var code *int32
	out := forTerminal(c.out)
	err = client.Run(ctx, tenant, app, in, func(ev apiclient.RunEvent) error {
		switch {
		case ev.Error != nil:
			return ev.Error
		case c.json:
			code = ev.ExitCode
			return json.NewEncoder(c.out).Encode(ev)
		case ev.ExitCode != nil:
			code = ev.ExitCode
		}
		_, err := out.Write(ev.Output)
		return err
	})
	return ended(err, code, client.URL())
}

// ended turns the end of a process into our own: its exit code, or why there is none.
func ended(err error, code *int32, url string) error {
	switch {
	case err != nil:
		return err
	case code == nil:
		return &apiclient.UnreachableError{URL: url, Err: apiclient.ErrStreamEnded}
	case *code != 0:
		return exitCode(*code)
	}
	return nil
}

func (c *cli) shell(ctx context.Context, in apiclient.Run) error {
	keyboard, ok := c.in.(*os.File)
	if !ok || !isTerminal(c.in) || !isTerminal(c.out) || c.json {
		return usage("shell needs a terminal", "For a command without one use: berth run -- COMMAND")
	}
	client, tenant, app, err := c.appClient()
	if err != nil {
		return err
	}
	fd := int(keyboard.Fd()) // a descriptor is small
	cols, rows, err := term.GetSize(fd)
	if err != nil || cols == 0 || rows == 0 {
		cols, rows = 80, 24
	}
	fmt.Fprintln(c.err, "Starting a process…")
	shell, err := client.Shell(ctx, tenant, app, in, uint16(cols), uint16(rows)) // a terminal's size
	if err != nil {
		return err
	}
	defer shell.Close()
	// Until the process runs the keyboard stays ours: Ctrl-C gives up.
	for {
		ctl, err := shell.Next(c.out)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return &apiclient.UnreachableError{URL: client.URL(), Err: err}
		case ctl.Error != nil:
			return ctl.Error
		case ctl.ExitCode != nil:
			return ended(nil, ctl.ExitCode, client.URL())
		case ctl.Process != "":
			leave, err := enter(shell, keyboard)
			if err != nil {
				return err
			}
			defer leave()
		}
	}
}

// enter gives the terminal to the process, until leave.
func enter(shell *apiclient.Pipe, keyboard *os.File) (leave func(), err error) {
	fd := int(keyboard.Fd()) // a descriptor is small
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("preparing the terminal: %w", err)
	}
	go copyKeys(shell, keyboard)
	stop := copySizes(shell, fd)
	return func() {
		stop()
		_ = term.Restore(fd, state)
	}, nil
}

// copyKeys sends what is typed until the shell ends. It may wait for one more key then;
// the program ends without it.
func copyKeys(shell *apiclient.Pipe, keyboard *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := keyboard.Read(buf)
		if err != nil {
			return
		}
		if _, err := shell.Write(buf[:n]); err != nil {
			return
		}
	}
}

// copySizes tells the shell the window's size, and when it changes.
func copySizes(shell *apiclient.Pipe, fd int) (stop func()) {
	changes := make(chan os.Signal, 1)
	changes <- syscall.SIGWINCH // it may have changed while the process started
	signal.Notify(changes, syscall.SIGWINCH)
	go func() {
		for range changes {
			if cols, rows, err := term.GetSize(fd); err == nil {
				_ = shell.Resize(uint16(cols), uint16(rows)) // a terminal's size
			}
		}
	}()
	return func() {
		signal.Stop(changes)
		close(changes)
	}
}
