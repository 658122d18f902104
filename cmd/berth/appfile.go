package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/appfile"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/errs"
)

// applyOptions are what apply is told besides the file.
type applyOptions struct {
	file    string
	secrets []string
	message string
	noWait  bool
}

func (c *cli) appFileCommands() []*cobra.Command {
	var opts applyOptions
	apply := &cobra.Command{
		Use: "apply", Short: "Make the app be what its file says, and wait until it is live",
		Long: `Make the app be what its app file says, and wait until the release is live. The app is
made when there is none. Nothing happens when it is like that already. Secrets that the
file names and nobody has set are asked for.`,
		Example: "  berth apply\n  berth apply --file deploy/shop.yaml\n  SESSION_KEY=… berth apply --secret SESSION_KEY",
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.apply(cmd.Context(), opts) },
	}
	apply.Flags().StringVarP(&opts.file, "file", "f", appfile.Name, "app file")
	apply.Flags().StringVar(&opts.message, "message", "", "what the list of releases says about it")
	apply.Flags().StringArrayVar(&opts.secrets, "secret", nil, "also set this secret: from the environment variable of that name, else asked for")
	noWaitFlag(apply, &opts.noWait)
	diff := &cobra.Command{
		Use: "diff", Short: "Show what apply would change",
		Long: `Show what apply would change, after all the checks that apply makes. The exit code is 0
either way; with --exit-code it is 1 when there are differences.`,
		Example: "  berth diff", Args: arguments(0, 0, ""),
	}
	var exit bool
	diff.Flags().StringVarP(&opts.file, "file", "f", appfile.Name, "app file")
	diff.Flags().BoolVar(&exit, "exit-code", false, "exit with 1 when there are differences")
	diff.RunE = func(cmd *cobra.Command, _ []string) error { return c.diff(cmd.Context(), opts.file, exit) }
	return []*cobra.Command{{
		Use: "init [FOLDER]", Short: "Write an app file for a folder",
		Long:    "Look at a folder (Dockerfile, Procfile, and what language it is) and write a berth.yaml to begin with. A file that is there is never touched.",
		Example: "  berth init", Args: arguments(0, 1, ""),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return c.init(dir)
		},
	}, apply, diff}
}

func (c *cli) init(dir string) error {
	path, err := appfile.Init(dir)
	if err != nil {
		return err
	}
	return c.show(map[string]string{"file": path}, func(w io.Writer) {
		fmt.Fprintf(w, "Wrote %s. Name your image in it, then: berth apply\n", path)
	})
}

// readAppFile reads a file; another name that was chosen replaces its own: one file can be
// several apps.
func (c *cli) readAppFile(path string) (*appfile.File, error) {
	raw, err := os.ReadFile(path) // the person's own file
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("there is no app file "+path, "Write one with: berth init; or name it with --file")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the app file: %w", err)
	}
	file, err := appfile.Parse(raw)
	if err != nil {
		return nil, fileFaults(path, err)
	}
	file.App = cmp.Or(c.chosenApp(), file.App)
	return file, nil
}

// fileFaults lists everything that is wrong with a file, and names the file once: what is
// wrong with it as a whole has its usual name for a field.
func fileFaults(path string, err error) error {
	name := filepath.Base(path)
	p := &apiclient.Problem{Code: string(errs.Invalid), Detail: err.Error()}
	for _, f := range apps.Faults(err) {
		fault := apiclient.Fault{Field: f.Field, Detail: name + " " + f.Message, Fix: f.Fix}
		if f.Field == appfile.Name {
			fault.Field, fault.Detail = name, f.Message
		}
		p.Faults = append(p.Faults, fault)
	}
	if len(p.Faults) > 0 {
		p.Field, p.Detail, p.Fix = p.Faults[0].Field, p.Faults[0].Detail, p.Faults[0].Fix
	}
	return p
}

func templatePut(file *appfile.File) apiclient.TemplatePut {
	app := file.ToApp()
	return apiclient.TemplatePut{
		Template: *app.Spec.Template, Formation: app.Spec.Formation, DeployTimeoutSeconds: app.Spec.DeployTimeoutSeconds,
		Labels: app.Spec.Labels, Edge: file.Edge,
	}
}

func (c *cli) apply(ctx context.Context, opts applyOptions) error {
	file, err := c.readAppFile(opts.file)
	if err != nil {
		return err
	}
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	put := templatePut(file)
	put.Reason = opts.message
	if put.Reason == "" {
		put.Reason = "applied " + filepath.Base(opts.file)
	}
	if put.Secrets, err = c.applySecrets(ctx, client, tenant, file, opts.secrets); err != nil {
		return err
	}
	change, err := client.PutTemplate(ctx, tenant, file.App, put, false)
	if err != nil {
		return err
	}
	return c.finish(ctx, client, change, opts.noWait)
}

// applySecrets finds the values of secrets that the file names and the app lacks, and
// of those named on the command line.
func (c *cli) applySecrets(ctx context.Context, client *apiclient.Client, tenant string, file *appfile.File, named []string) (map[string]string, error) {
	if len(file.Secrets) == 0 && len(named) == 0 {
		return nil, nil
	}
	present, err := client.Secrets(ctx, tenant, file.App)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	values := map[string]string{}
	for _, key := range append(file.MissingSecrets(present), named...) {
		if _, have := values[key]; have {
			continue
		}
		fix := "Set it from the environment: " + key + "=… berth apply --secret " + key
		if value, ok := os.LookupEnv(key); ok && slices.Contains(named, key) {
			if values[key], err = secretValue(key, value, fix); err != nil {
				return nil, err
			}
			continue
		}
		if !isTerminal(c.in) && !slices.Contains(named, key) {
			return nil, &apiclient.Problem{
				Code: string(errs.Invalid), Field: "secrets." + key, Detail: "the app file names the secret " + key + ", and nobody has set it",
				Fix: fix,
			}
		}
		if values[key], err = c.readSecret(ctx, key, fix); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (c *cli) diff(ctx context.Context, path string, exit bool) error {
	file, err := c.readAppFile(path)
	if err != nil {
		return err
	}
	client, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	change, err := client.PutTemplate(ctx, tenant, file.App, templatePut(file), true)
	if err != nil {
		return err
	}
	if change.Changes == nil {
		change.Changes = []apiclient.FieldChange{}
	}
	err = c.show(struct {
		Changed  bool                    `json:"changed"`
		Changes  []apiclient.FieldChange `json:"changes"`
		OCUs     int32                   `json:"ocus"`
		PlanOCUs int32                   `json:"planOCUs"`
	}{change.Changed, change.Changes, change.OCUs, change.PlanOCUs}, func(w io.Writer) { printDiff(w, change) })
	if err == nil && exit && change.Changed {
		return exitCode(exitFailed)
	}
	return err
}

func printDiff(w io.Writer, change apiclient.Changed) {
	if !change.Changed {
		fmt.Fprintln(w, "There are no differences.")
		return
	}
	for _, f := range change.Changes {
		line := appfile.Change(f).String()
		fmt.Fprintln(w, strings.TrimRight(line, "\n"))
	}
	fmt.Fprintf(w, "\nThe tenant would use %d of the %s of its plan.\n", change.OCUs, plural(change.PlanOCUs, "OCU"))
}
