package appfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/appfile"
	"github.com/berth-dev/berth/internal/errs"
)

func parse(t *testing.T, text string) *appfile.File {
	t.Helper()
	file, err := appfile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestToAppTakesTheFormationOutOfTheComponents(t *testing.T) {
	app := parse(t, shop).ToApp()
	if got := app.Spec.Template.Components[0].Image; got != "registry.berth.internal/acme/ui:1" {
		t.Errorf("ui runs %s", got)
	}
	want := []v1alpha1.ComponentFormation{{Name: "ui", Count: 2, OCUs: 1}, {Name: "db", Count: 1, OCUs: 2}, {Name: "report", Count: 1, OCUs: 1}}
	if diff := cmp.Diff(want, app.Spec.Formation); diff != "" {
		t.Error(diff)
	}
}

// A file without config, labels or edge leaves the settings, one with empty ones clears
// them, and a timeout that is taken out is the default again.
func TestToAppTellsNothingFromEmpty(t *testing.T) {
	const bare = "app: shop\ncomponents: {ui: {image: a}}\n"
	app := parse(t, bare).ToApp()
	if app.Spec.Template.Config != nil {
		t.Errorf("without config: got %v, want none", app.Spec.Template.Config)
	}
	if app.Spec.DeployTimeoutSeconds != 300 {
		t.Errorf("without a timeout: got %d, want the default", app.Spec.DeployTimeoutSeconds)
	}
	if app.Spec.Labels != nil || parse(t, bare).Edge != nil {
		t.Errorf("without labels and edge: got %v and %v, want none", app.Spec.Labels, parse(t, bare).Edge)
	}
	if labels := parse(t, bare+"labels: {}\n").ToApp().Spec.Labels; labels == nil || len(labels) > 0 {
		t.Errorf("empty labels: got %#v, want empty ones", labels)
	}
	if parse(t, bare+"edge: {}\n").Edge == nil {
		t.Error("an empty edge: got none, want an empty one")
	}
	if config := parse(t, bare+"config: {}\n").ToApp().Spec.Template.Config; config == nil || len(config) > 0 {
		t.Errorf("an empty config: got %#v, want an empty one", config)
	}
}

func TestDiffSaysWhatChanges(t *testing.T) {
	before := parse(t, shop).ToApp()
	text := strings.NewReplacer(
		"ui:1", "ui:2", "count: 2", "count: 3", "WORKERS: 4", "WORKERS: 8", "  DEBUG: true\n", "", "{path: /healthz}", "{path: /up}",
		"{port: 8080, expose: true}", "{port: 8080}", "deployTimeoutSeconds: 120", "deployTimeoutSeconds: 300",
		"percent: 25", "percent: 30", "[ship, --all]", "[ship]", "0 3 * * *", "'@hourly'", "timeZone: Europe/Berlin, ", "",
		"team: checkout, ", "", ", \"2001:db8::/32\"", "", "  maxBodyMiB: 20\n", "",
	).Replace(shop)
	var got []string
	for _, change := range appfile.Diff(before, parse(t, text).ToApp()) {
		got = append(got, change.String())
	}
	want := []string{
		"~ components.ui.image: registry.berth.internal/acme/ui:1 → registry.berth.internal/acme/ui:2",
		"~ components.ui.count: 2 → 3",
		"~ components.ui.ports.http: 8080 HTTP, exposed → 8080 HTTP",
		"~ components.ui.health: GET /healthz on the first port within 2 s → GET /up on the first port within 2 s",
		"~ components.db.sidecars.metrics.percent: 25 → 30",
		`~ components.db.sidecars.backup.command: ["ship" "--all"] → ["ship"]`,
		"~ components.report.image: registry.berth.internal/acme/ui:1 → registry.berth.internal/acme/ui:2",
		`~ components.report.cron: "0 3 * * *" in Europe/Berlin, each run within 600 s → "@hourly" in UTC, each run within 600 s`,
		`~ config.WORKERS: "4" → "8"`,
		"~ edge.allowedCIDRs: 203.0.113.0/24, 2001:db8::/32 → 203.0.113.0/24",
		"~ deployTimeoutSeconds: 120 → 300",
		`- config.DEBUG: "true"`,
		`- labels.team: "checkout"`,
		"- edge.maxBodyMiB: 20",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if changes := appfile.Diff(before, before); len(changes) > 0 {
		t.Errorf("an app differs from itself: %v", changes)
	}
	if changes := appfile.Diff(nil, before); len(changes) == 0 || changes[0].String() != "+ app: shop" {
		t.Errorf("a new app: %v", changes)
	}
}

func TestMissingSecrets(t *testing.T) {
	file := &appfile.File{Secrets: []string{"A", "B"}}
	if diff := cmp.Diff([]string{"B"}, file.MissingSecrets([]string{"A", "C"})); diff != "" {
		t.Error(diff)
	}
}

func TestInitWritesAFileThatParses(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  []string
	}{
		"an empty directory": {nil, []string{"app: my-shop", "  web:", "port: 8080, expose: true", "#   cron: {schedule:"}},
		"a Dockerfile": {
			map[string]string{"Dockerfile": "FROM scratch\nEXPOSE 3000/tcp\n"}, []string{"port: 3000", "# Dockerfile:", "user 10001"},
		},
		"a Procfile": {
			map[string]string{"Procfile": "worker: bin/work \"x\"\nweb: bin/serve\n# a comment\nBad Name: x\n", "Gemfile": ""},
			[]string{"  worker:", `command: [sh, -c, "bin/work \"x\""]`, "  web:", "# Gemfile: a Ruby app"},
		},
		"a Node.js app": {map[string]string{"package.json": "{}"}, []string{"process.env.PORT"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "1 My_Shop")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path, err := appfile.Init(dir)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("no %q in:\n%s", want, text)
				}
			}
			parse(t, string(text))
			if _, err := appfile.Init(dir); errs.CodeOf(err) != errs.Conflict {
				t.Errorf("the second time gave %v", err)
			}
		})
	}
}
