package apps_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

// nightly is a component that runs by the clock, with a sidecar.
func nightly() v1alpha1.Component {
	report := component("report")
	report.Cron = &v1alpha1.Cron{Schedule: "0 3 * * *", TimeZone: "Europe/Berlin", TimeoutSeconds: 600}
	report.Sidecars = []v1alpha1.Sidecar{{Name: "log", Image: "registry.berth.internal/acme/log:1", Percent: 20}}
	return report
}

func TestValidateClocksSidecarsLabelsAndEdge(t *testing.T) {
	report := func(edit func(*v1alpha1.Component)) func(*v1alpha1.App) {
		return func(app *v1alpha1.App) { edit(&app.Spec.Template.Components[0]) }
	}
	schedule := func(text string) func(*v1alpha1.App) {
		return report(func(c *v1alpha1.Component) { c.Cron.Schedule = text })
	}
	sidecar := func(edit func(*v1alpha1.Sidecar)) func(*v1alpha1.App) {
		return report(func(c *v1alpha1.Component) { edit(&c.Sidecars[0]) })
	}
	cidr := func(text string) func(*v1alpha1.App) {
		return func(app *v1alpha1.App) { app.Spec.Edge.AllowedCIDRs = []string{text} }
	}
	tests := map[string]struct {
		change func(*v1alpha1.App)
		// field is empty for what is good.
		field, text string
	}{
		"a nightly report":         {func(*v1alpha1.App) {}, "", ""},
		"a quarter of an hour":     {schedule("*/15 * * * *"), "", ""},
		"names of days and months": {schedule("0 0 1 JAN-MAR MON"), "", ""},
		"a word for a schedule":    {schedule("@daily"), "", ""},
		"a leap day comes":         {schedule("0 0 29 2 *"), "", ""},
		"no schedule":              {schedule(""), "components.report.cron.schedule", "is not a schedule"},
		"six fields":               {schedule("0 0 3 * * *"), "components.report.cron.schedule", "five fields"},
		"minute 60":                {schedule("60 * * * *"), "components.report.cron.schedule", "is not a schedule"},
		"an interval":              {schedule("@every 5m"), "components.report.cron.schedule", "no fixed times"},
		"a zone in the schedule":   {schedule("CRON_TZ=Asia/Tokyo 0 3 * * *"), "components.report.cron.schedule", "into timeZone"},
		"the 30th of February":     {schedule("0 0 30 2 *"), "components.report.cron.schedule", "never comes"},
		"no zone is UTC":           {report(func(c *v1alpha1.Component) { c.Cron.TimeZone = "" }), "", ""},
		"an unknown zone":          {report(func(c *v1alpha1.Component) { c.Cron.TimeZone = "Europe/Entenhausen" }), "components.report.cron.timeZone", "Europe/Berlin"},
		"the zone of the machine":  {report(func(c *v1alpha1.Component) { c.Cron.TimeZone = "Local" }), "components.report.cron.timeZone", "not a time zone"},
		"no timeout is an hour":    {report(func(c *v1alpha1.Component) { c.Cron.TimeoutSeconds = 0 }), "", ""},
		"a timeout of two days":    {report(func(c *v1alpha1.Component) { c.Cron.TimeoutSeconds = 172800 }), "components.report.cron.timeoutSeconds", "10 to 86400"},
		"a port":                   {report(func(c *v1alpha1.Component) { c.Ports = []v1alpha1.Port{exposed("http", 1)} }), "components.report.cron", "has no ports"},
		"a volume": {report(func(c *v1alpha1.Component) {
			c.Volumes = []v1alpha1.Volume{{Name: "a", Path: "/a", Size: resource.MustParse("1Gi")}}
		}), "components.report.cron", "has no volumes"},
		"two runs at a time":             {func(a *v1alpha1.App) { _ = apps.Scale(a, "report", new(int32(2)), nil) }, "components.report.count", "runs once at a time"},
		"count 0 leaves runs out":        {func(a *v1alpha1.App) { _ = apps.Scale(a, "report", new(int32(0)), nil) }, "", ""},
		"a sidecar of the usual share":   {sidecar(func(s *v1alpha1.Sidecar) { s.Percent = 0 }), "", ""},
		"a sidecar with a bad name":      {sidecar(func(s *v1alpha1.Sidecar) { s.Name = "L" }), "components.report.sidecars.L", "lower-case"},
		"a sidecar called like its host": {sidecar(func(s *v1alpha1.Sidecar) { s.Name = "report" }), "components.report.sidecars.report", "rename it"},
		"a sidecar without an image":     {sidecar(func(s *v1alpha1.Sidecar) { s.Image = "" }), "components.report.sidecars.log.image", "is not an image"},
		"a sidecar's endless command":    {sidecar(func(s *v1alpha1.Sidecar) { s.Command = make([]string, 65) }), "components.report.sidecars.log.command", "into a script"},
		"a sidecar of 4 percent":         {sidecar(func(s *v1alpha1.Sidecar) { s.Percent = 4 }), "components.report.sidecars.log.percent", "5 to 90"},
		"sidecars that take everything": {report(func(c *v1alpha1.Component) {
			c.Sidecars = append(c.Sidecars, v1alpha1.Sidecar{Name: "b", Image: "b:1", Percent: 71})
		}), "components.report.sidecars", "at 90 or less"},
		"sidecars that leave a tenth": {report(func(c *v1alpha1.Component) {
			c.Sidecars = append(c.Sidecars, v1alpha1.Sidecar{Name: "b", Image: "b:1", Percent: 70})
		}), "", ""},
		"five sidecars": {report(func(c *v1alpha1.Component) { c.Sidecars = slices.Repeat(c.Sidecars, 5) }), "components.report.sidecars", "keep to 4"},

		"labels":              {func(a *v1alpha1.App) { a.Spec.Labels = map[string]string{"team": "Käse", "cost.centre": ""} }, "", ""},
		"a label in capitals": {func(a *v1alpha1.App) { a.Spec.Labels = map[string]string{"Team": "a"} }, "labels.Team", "lower-case"},
		"a long label":        {func(a *v1alpha1.App) { a.Spec.Labels = map[string]string{"team": strings.Repeat("ä", 64)} }, "labels.team", "keep to 63"},

		"networks": {func(a *v1alpha1.App) {
			a.Spec.Edge.AllowedCIDRs = []string{"203.0.113.0/24", "2001:db8::/32", "203.0.113.7/32"}
		}, "", ""},
		"an address":          {cidr("203.0.113.7"), "edge.allowedCIDRs", "203.0.113.7/32 for one address"},
		"a mapped network":    {cidr("::ffff:203.0.113.0/120"), "edge.allowedCIDRs", "is not a network"},
		"65 networks":         {func(a *v1alpha1.App) { a.Spec.Edge.AllowedCIDRs = slices.Repeat([]string{"10.0.0.0/8"}, 65) }, "edge.allowedCIDRs", "keep to 64"},
		"a huge body":         {func(a *v1alpha1.App) { a.Spec.Edge.MaxBodyMiB = 10241 }, "edge.maxBodyMiB", "1 to 10240"},
		"an endless patience": {func(a *v1alpha1.App) { a.Spec.Edge.AnswerTimeoutSeconds = 3601 }, "edge.answerTimeoutSeconds", "1 to 3600"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app := newApp("shop", nightly())
			test.change(app)
			faults := apps.Faults(apps.Validate(app, apps.Surroundings{Suffix: suffix}))
			if test.field == "" {
				if len(faults) > 0 {
					t.Errorf("refused: %v", faults[0])
				}
				return
			}
			for _, fault := range faults {
				if fault.Field == test.field && strings.Contains(fault.Error(), test.text) && fault.Fix != "" {
					return
				}
			}
			t.Errorf("no fault of %s with %q in: %v", test.field, test.text, faults)
		})
	}
}
