package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *cli) loginCommands() []*cobra.Command {
	var caFile string
	login := &cobra.Command{
		Use: "login [URL]", Short: "Keep the address and the token that commands use",
		Long: `Keep the address of Berth and your token. The token is asked for, or read from standard
input when that is not a terminal. It is checked before it is kept.`,
		Example: "  berth login https://api.example.com\n  berth login https://api.berth.localhost:8443 --ca-file ca.crt < token",
		Args:    arguments(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := loadConfig()
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] != conf.URL {
				conf = userConfigFile{URL: args[0]}
			}
			if conf.URL == "" {
				return usage("login needs the address of Berth", "Write for example: berth login https://api.example.com")
			}
			if caFile != "" {
				if conf.CAFile, err = filepath.Abs(caFile); err != nil {
					return err
				}
			}
			conf.Tenant = cmp.Or(c.tenant, conf.Tenant)
			if _, err := conf.client(); err != nil {
				return err // before a token is asked for
			}
			if conf.Token, err = c.readSecret(cmd.Context(), "token", "Pipe it in: berth login "+conf.URL+" < token"); err != nil {
				return err
			}
			return c.login(cmd, conf)
		},
	}
	login.Flags().StringVar(&caFile, "ca-file", "", "certificate to trust (PEM), where it is not a public one")
	return []*cobra.Command{login, {
		Use: "whoami", Short: "Show who you are logged in as, and where", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			me, err := client.Me(cmd.Context())
			if err != nil {
				return err
			}
			conf, err := loginInUse()
			if err != nil {
				return err
			}
			out := map[string]any{"name": me.Name, "operator": me.Operator, "url": client.URL(), "tenant": cmp.Or(c.tenant, conf.Tenant)}
			return c.show(out, func(w io.Writer) {
				fmt.Fprintf(w, "%s at %s\n", me.Name, client.URL())
			})
		},
	}}
}

func (c *cli) login(cmd *cobra.Command, conf userConfigFile) error {
	client, err := conf.client()
	if err != nil {
		return err
	}
	me, err := client.Me(cmd.Context())
	if err != nil {
		return err
	}
	path, err := conf.save()
	if err != nil {
		return err
	}
	return c.show(map[string]any{"name": me.Name, "url": conf.URL, "config": path}, func(w io.Writer) {
		fmt.Fprintf(w, "Logged in as %s at %s.\n", me.Name, conf.URL)
	})
}
