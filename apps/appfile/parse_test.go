package appfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/appfile"
	"github.com/berth-dev/berth/internal/errs"
)

const shop = `app: shop
components:
  ui:
    image: registry.berth.internal/acme/ui:1
    count: 2
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
  db:
    image: registry.berth.internal/acme/db:1
    command: [postgres, -D, /data]
    ocus: 2
    user: 999
    ports:
      postgres: {port: 5432, protocol: TCP}
    volumes:
      data: {path: /data, size: 1Gi}
    sidecars:
      metrics: {image: "registry.berth.internal/acme/metrics:1", percent: 25}
      backup:
        image: registry.berth.internal/acme/backup:1
        command: [ship, --all]
  report:
    image: registry.berth.internal/acme/ui:1
    cron: {schedule: 0 3 * * *, timeZone: Europe/Berlin, timeoutSeconds: 600}
config:
  POSTGRES_URL: postgres://shop@db:5432/shop
  WORKERS: 4
  DEBUG: true
  VERSION: 1.10
secrets: [SESSION_KEY]
labels: {team: checkout, cost.centre: "42"}
edge:
  allowedCIDRs: [203.0.113.0/24, "2001:db8::/32"]
  maxBodyMiB: 20
  answerTimeoutSeconds: 600
deployTimeoutSeconds: 120
`

func TestParseKeepsEverythingAndItsOrder(t *testing.T) {
	file, err := appfile.Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	want := &appfile.File{
		App: "shop",
		Components: []appfile.Component{
			{Component: v1alpha1.Component{
				Name: "ui", Image: "registry.berth.internal/acme/ui:1",
				Ports:  []v1alpha1.Port{{Name: "http", Port: 8080, Protocol: v1alpha1.ProtocolHTTP, Expose: true}},
				Health: &v1alpha1.Health{Path: "/healthz"},
			}, Count: 2, OCUs: 1},
			{Component: v1alpha1.Component{
				Name: "db", Image: "registry.berth.internal/acme/db:1", Command: []string{"postgres", "-D", "/data"}, User: new(int64(999)),
				Ports:   []v1alpha1.Port{{Name: "postgres", Port: 5432, Protocol: v1alpha1.ProtocolTCP}},
				Volumes: []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}},
				Sidecars: []v1alpha1.Sidecar{
					{Name: "metrics", Image: "registry.berth.internal/acme/metrics:1", Percent: 25},
					{Name: "backup", Image: "registry.berth.internal/acme/backup:1", Command: []string{"ship", "--all"}, Percent: 10},
				},
			}, Count: 1, OCUs: 2},
			{Component: v1alpha1.Component{
				Name: "report", Image: "registry.berth.internal/acme/ui:1",
				Cron: &v1alpha1.Cron{Schedule: "0 3 * * *", TimeZone: "Europe/Berlin", TimeoutSeconds: 600},
			}, Count: 1, OCUs: 1},
		},
		// Numbers and truths are the text they are written as.
		Config:               map[string]string{"POSTGRES_URL": "postgres://shop@db:5432/shop", "WORKERS": "4", "DEBUG": "true", "VERSION": "1.10"},
		Secrets:              []string{"SESSION_KEY"},
		Labels:               map[string]string{"team": "checkout", "cost.centre": "42"},
		Edge:                 &v1alpha1.EdgeSettings{AllowedCIDRs: []string{"203.0.113.0/24", "2001:db8::/32"}, MaxBodyMiB: 20, AnswerTimeoutSeconds: 600},
		DeployTimeoutSeconds: 120,
	}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Error(diff)
	}
}

func TestParseNamesLineFieldAndFix(t *testing.T) {
	head := "app: shop\ncomponents:\n  ui:\n    image: ui:1\n"
	tests := map[string]struct{ text, field, message, fix string }{
		"an unknown field":            {head + "    ocu: 1\n", "components.ui.ocu", `line 5: unknown field "ocu"`, `did you mean "ocus"?`},
		"an unknown field at the top": {head + "conifg: {}\n", "conifg", `line 5: unknown field "conifg"`, `did you mean "config"?`},
		"nothing near":                {head + "    replicas: 1\n", "components.ui.replicas", `line 5: unknown field "replicas"`, "choose one of: command, count, cron, health"},
		"a field twice":               {head + "    image: b\n", "components.ui.image", `line 5: "image" is there twice`, "keep one"},
		"a component twice":           {head + "  ui:\n    image: b\n", "components.ui", `line 5: "ui" is there twice`, "keep one"},
		"text for a number":           {head + "    ocus: lots\n", "components.ui.ocus", "line 5: the value must be a whole number", "write a whole number"},
		"a number for text":           {"app: 5\ncomponents: {ui: {image: a}}\n", "app", "line 1: the value must be text", `put it in quotes: "5"`},
		"a missing value":             {head + "    ports:\n", "components.ui.ports", "line 5: the value is missing", "leave the field out"},
		"0 OCUs":                      {head + "    ocus: 0\n", "components.ui.ocus", "line 5: a process cannot have 0 OCUs", "choose 1 to 100"},
		"10,000 OCUs":                 {head + "    ocus: 10000\n", "components.ui.ocus", "line 5: a process cannot have 10000 OCUs", "choose 1 to 100"},
		"a number out of range":       {head + "    ocus: 99999999999\n", "components.ui.ocus", "line 5: the number 99999999999 is out of range", "smaller"},
		"no image":                    {"app: shop\ncomponents:\n  ui: {count: 1}\n", "components.ui.image", "line 3: the component has no image", "add image:"},
		"no components":               {"app: shop\n", "components", "line 1: the field is missing", "add components:"},
		"a port without a number":     {head + "    ports: {http: {expose: true}}\n", "components.ui.ports.http.port", "line 5: the port has no number", "add port:"},
		"an unknown protocol":         {head + "    ports: {http: {port: 1, protocol: http}}\n", "components.ui.ports.http.protocol", `line 5: "http" is not a protocol`, "HTTP or TCP"},
		"an unknown health port":      {head + "    ports: {http: {port: 1}}\n    health: {port: htpt}\n", "components.ui.health.port", `line 6: the component has no port "htpt"`, "choose one of: http"},
		"a bad size":                  {head + "    volumes: {data: {path: /data, size: big}}\n", "components.ui.volumes.data.size", `line 5: "big" is not a size`, "1Gi"},
		"two processes on a volume":   {head + "    count: 2\n    volumes: {data: {path: /data, size: 1Gi}}\n", "components.ui.count", "line 5: a component with a volume", "set count to 1"},
		"a secret's value":            {head + "secrets:\n- KEY: hunter2\n", "secrets", "line 6: a secret's value must not be in the file", "berth secrets:set"},
		"a secret in config":          {head + "config: {KEY: a}\nsecrets: [KEY]\n", "secrets", "line 6: KEY is in config too", "keep it in one"},
		"a bad app name":              {"app: Shop\ncomponents: {ui: {image: a}}\n", "app", `line 1: "Shop" cannot be the name of an app`, "lower-case"},
		"an alias":                    {head + "    command: &a [x]\n  b:\n    image: c\n    command: *a\n", "components.b.command", "line 8: anchors and aliases are not read", "write the value out"},
		"a list for a mapping":        {"- app\n", appfile.Name, "line 1: the value must be a mapping", "mapping"},
		"broken indentation":          {"app: shop\n  b: c\n", appfile.Name, "line 2: mapping values are not allowed", "indentation"},
		"an empty file":               {"# nothing\n", appfile.Name, "the file is empty", "berth init"},
		"two documents":               {"app: a\n---\napp: b\n", appfile.Name, "a second document begins", "one app in one file"},
		"a clock without times":       {head + "    cron: {timeZone: UTC}\n", "components.ui.cron.schedule", "line 5: the times to run at are missing", "add schedule:"},
		"a bad schedule":              {head + "    cron:\n      schedule: whenever\n", "components.ui.cron.schedule", `line 6: "whenever" is not a schedule`, "five fields"},
		"an unknown zone":             {head + "    cron: {schedule: '@daily', timeZone: Berlin}\n", "components.ui.cron.timeZone", `line 5: "Berlin" is not a time zone`, "Europe/Berlin"},
		"two runs at a time":          {head + "    count: 2\n    cron: {schedule: '@daily'}\n", "components.ui.count", "line 5: a cron component runs once at a time", "set count to 1"},
		"a clock and a port":          {head + "    ports: {http: {port: 1}}\n    cron: {schedule: '@daily'}\n", "components.ui.cron", "line 6: a component that runs by the clock has no ports", "leave ports out"},
		"a sidecar without an image":  {head + "    sidecars:\n      log: {percent: 5}\n", "components.ui.sidecars.log.image", "line 6: the sidecar has no image", "add image:"},
		"a misspelt share":            {head + "    sidecars: {log: {image: a, per_cent: 5}}\n", "components.ui.sidecars.log.per_cent", "line 5: unknown field", `did you mean "percent"?`},
		"sidecars that take too much": {head + "    sidecars: {a: {image: a, percent: 60}, b: {image: b, percent: 40}}\n", "components.ui.sidecars", "line 5: the sidecars take 100 percent", "at 90 or less"},
		"a label of a number":         {head + "labels: {floor: 3}\n", "labels.floor", "line 5: the value must be text", `put it in quotes: "3"`},
		"a network without a mask":    {head + "edge:\n  allowedCIDRs: [203.0.113.7]\n", "edge.allowedCIDRs", `line 6: "203.0.113.7" is not a network`, "203.0.113.7/32"},
		"maintenance in the file":     {head + "edge: {maintenance: true}\n", "edge.maintenance", `line 5: unknown field "maintenance"`, "choose one of: allowedCIDRs"},
		"a timeout out of range":      {head + "deployTimeoutSeconds: 5\n", "deployTimeoutSeconds", "line 5: 5 is out of range", "choose 10 to 3600"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := appfile.Parse([]byte(test.text))
			for _, fault := range apps.Faults(err) {
				if fault.Field == test.field && strings.Contains(fault.Message, test.message) && strings.Contains(fault.Fix, test.fix) {
					if fault.Code != errs.Invalid {
						t.Errorf("the code is %s", fault.Code)
					}
					return
				}
			}
			t.Errorf("no such fault in: %v", err)
		})
	}
}

func TestParseTellsEveryFault(t *testing.T) {
	_, err := appfile.Parse([]byte("app: shop\ncomponents:\n  ui: {imag: a}\n  api: {image: 1, cuont: 2}\n"))
	if faults := apps.Faults(err); len(faults) != 4 {
		t.Errorf("%d faults: %v", len(faults), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte("app: a\ncomponents: {b: {image: c}}\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Add([]byte("<<: {app: a}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("--- !!binary x\n...\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := appfile.Parse(data)
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v and error %v", file, err)
		}
		if err != nil {
			var known *errs.Error
			if !errors.As(err, &known) || known.Message == "" {
				t.Fatalf("an error for nobody: %v", err)
			}
			return
		}
		if changes := appfile.Diff(file.ToApp(), file.ToApp()); len(changes) > 0 {
			t.Fatalf("a file differs from itself: %v", changes)
		}
		if err := apps.Validate(file.ToApp(), apps.Surroundings{}); err != nil {
			t.Fatalf("parsed, but not valid: %v", err)
		}
	})
}

// Clocks are what people write without quotes, and YAML has other plans with both signs.
func TestAClockWithoutItsQuotesIsToldHowToBeWritten(t *testing.T) {
	for _, schedule := range []string{"*/15 * * * *", "* * * * *", "@daily"} {
		text := "app: shop\ncomponents:\n  tick:\n    image: a/b:1\n    cron:\n      schedule: "
		if _, err := appfile.Parse([]byte(text + `"` + schedule + `"`)); err != nil {
			t.Errorf("%s in quotes: %v", schedule, err)
		}
		_, err := appfile.Parse([]byte(text + schedule))
		if err == nil {
			t.Errorf("%s without quotes is taken", schedule)
			continue
		}
		if fix := apps.Faults(err)[0].Fix; !strings.Contains(fix, "quotes") {
			t.Errorf("%s: %v, told to %q", schedule, err, fix)
		}
	}
}
