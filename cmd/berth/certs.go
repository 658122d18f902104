package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/internal/apiclient"
)

// maxPairFile bounds what is read of a file with a certificate or a key.
const maxPairFile = 64 << 10

func (c *cli) certCommands() []*cobra.Command {
	var certFile, keyFile string
	add := &cobra.Command{
		Use: "certs:add NAME --cert FILE --key FILE", Short: "Upload a certificate of your own, or replace one",
		Long: `Upload a certificate of your own and its key, both in PEM form, under a name. The file of
the certificate holds the host's own first, then those that lead to its authority. The
pair is checked before it is taken; the key is never given out again.

Run it again with the new files when the certificate was renewed: domains that use it
get the new one at once. Use it for a domain with: berth domains:add HOST --certificate NAME`,
		Example: "  berth certs:add example-com --cert fullchain.pem --key privkey.pem",
		Args:    arguments(1, 1, "a name, such as example-com"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.addCert(cmd.Context(), args[0], certFile, keyFile)
		},
	}
	add.Flags().StringVar(&certFile, "cert", "", "file of the certificate and its chain")
	add.Flags().StringVar(&keyFile, "key", "", "file of the key, or - for standard input")
	return []*cobra.Command{
		{
			Use: "certs", Short: "List the certificates you uploaded", Args: arguments(0, 0, ""),
			Long: `List the certificates you uploaded. Those that Berth gets by itself are shown with their
domain: berth domains:info HOST`,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.listCerts(cmd.Context()) },
		},
		add,
		{
			Use: "certs:info NAME", Short: "Show an uploaded certificate and which domains use it",
			Example: "  berth certs:info example-com",
			Args:    arguments(1, 1, "a name"),
			RunE:    func(cmd *cobra.Command, args []string) error { return c.certInfo(cmd.Context(), args[0]) },
		},
		{
			Use: "certs:remove NAME", Short: "Remove an uploaded certificate that no domain uses",
			Example: "  berth certs:remove example-com",
			Args:    arguments(1, 1, "a name"),
			RunE:    func(cmd *cobra.Command, args []string) error { return c.removeCert(cmd.Context(), args[0]) },
		},
	}
}

func (c *cli) addCert(ctx context.Context, name, certFile, keyFile string) error {
	if certFile == "" || keyFile == "" {
		return usage("certs:add needs the files of the certificate and of its key", "Write: berth certs:add "+name+" --cert fullchain.pem --key privkey.pem")
	}
	certificate, err := readPairFile("--cert", certFile)
	if err != nil {
		return err
	}
	var key string
	if keyFile == "-" {
		key, err = c.readPiped(ctx)
	} else {
		key, err = readPairFile("--key", keyFile)
	}
	if err != nil {
		return err
	}
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	added, err := client.AddCertificate(ctx, tenant, apiclient.NewCertificate{Name: name, Certificate: certificate, Key: key})
	if err != nil {
		return err
	}
	return c.show(added, func(w io.Writer) {
		fmt.Fprintf(w, "Certificate %s for %s is kept, valid until %s.\n", added.Name, clean(strings.Join(added.Hosts, ", "), false), until(added.NotAfter))
		if len(added.Domains) == 0 {
			fmt.Fprintf(w, "Use it with: berth domains:add HOST --certificate %s\n", added.Name)
			return
		}
		fmt.Fprintf(w, "It is served for %s now.\n", strings.Join(added.Domains, ", "))
	})
}

// readPairFile reads a file that the person named with a flag.
func readPairFile(flag, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", usage(fmt.Sprintf("%s: %v", flag, err), "Give a file in PEM form that you may read.")
	}
	defer file.Close()
	return readPair(flag, file)
}

func readPair(flag string, from io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxPairFile+1))
	switch {
	case err != nil:
		return "", usage(fmt.Sprintf("%s: %v", flag, err), "Give a file in PEM form that you may read.")
	case len(text) > maxPairFile:
		return "", usage(flag+": the file is longer than 64 KiB", "Give a file in PEM form.")
	}
	return string(text), nil
}

// readPiped reads a key that is never written to this machine's disk.
func (c *cli) readPiped(ctx context.Context) (string, error) {
	if isTerminal(c.in) {
		return "", usage("--key -: standard input is a terminal", "Pipe the key in, or name its file.")
	}
	return unlessDone(ctx, func() (string, error) { return readPair("--key", c.in) })
}

func (c *cli) listCerts(ctx context.Context) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	all, err := client.Certificates(ctx, tenant)
	if err != nil {
		return err
	}
	return c.show(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "No certificates were uploaded. Berth gets those of your domains by itself; give one of your own with: berth certs:add NAME")
			return
		}
		table(w, "NAME|HOSTS|VALID UNTIL|USED BY", func(row func(...any)) {
			for _, one := range all {
				row(one.Name, strings.Join(one.Hosts, ", "), until(one.NotAfter), cmp.Or(strings.Join(one.Domains, ", "), "-"))
			}
		})
	})
}

func (c *cli) certInfo(ctx context.Context, name string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	one, err := client.Certificate(ctx, tenant, name)
	if err != nil {
		return err
	}
	return c.show(one, func(w io.Writer) {
		table(w, "", func(row func(...any)) {
			row("Name", one.Name)
			row("Hosts", strings.Join(one.Hosts, ", "))
			row("Issuer", one.Issuer)
			row("Valid", until(one.NotBefore)+" to "+until(one.NotAfter))
			row("Used by", cmp.Or(strings.Join(one.Domains, ", "), "no domain"))
		})
		if one.Problem != "" {
			fmt.Fprintf(w, "\nIt cannot be used: %s\n", clean(one.Problem, false))
		}
	})
}

func (c *cli) removeCert(ctx context.Context, name string) error {
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if err := client.RemoveCertificate(ctx, tenant, name); err != nil {
		return err
	}
	return c.show(map[string]any{"name": name, "removed": true}, func(w io.Writer) {
		fmt.Fprintf(w, "Certificate %s is gone.\n", name)
	})
}

// until is a day as people write it, in the machine's own time zone.
func until(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format("2006-01-02 15:04 MST")
}
