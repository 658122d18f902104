package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (c *cli) versionCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: "version", Short: "Print the version", Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return c.showVersion() },
	}}
}

func (c *cli) showVersion() error {
	return c.show(map[string]string{"version": version()}, func(w io.Writer) { fmt.Fprintln(w, "berth", version()) })
}
