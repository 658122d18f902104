package apps_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

// good is an app without a fault, for tests to spoil.
func good() *v1alpha1.App {
	db := component("db", v1alpha1.Port{Name: "postgres", Port: 5432, Protocol: v1alpha1.ProtocolTCP})
	db.Volumes = []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}}
	ui := component("ui", exposed("http", 8080))
	ui.Health = &v1alpha1.Health{Port: "http", Path: "/healthz", TimeoutSeconds: 2}
	app := sized(newApp("shop", ui, db), v1alpha1.ComponentFormation{Name: "ui", Count: 2, OCUs: 1})
	app.Spec.Template.Config = map[string]string{"POSTGRES_URL": "postgres://shop@db:5432/shop"}
	return app
}

func TestValidateAcceptsAGoodApp(t *testing.T) {
	in := apps.Surroundings{
		Plan:   &v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: v1alpha1.PlanSpec{OCUs: 3}},
		Others: []v1alpha1.App{*good()}, Suffix: suffix,
	}
	if err := apps.Validate(good(), in); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func TestValidateNamesFieldAndFix(t *testing.T) {
	ui := func(app *v1alpha1.App) *v1alpha1.Component { return &app.Spec.Template.Components[0] }
	db := func(app *v1alpha1.App) *v1alpha1.Component { return &app.Spec.Template.Components[1] }
	host := func(name string) func(*v1alpha1.App) {
		return func(app *v1alpha1.App) { ui(app).Ports[0].Host = name }
	}
	tests := map[string]struct {
		spoil func(*v1alpha1.App)
		field string
		text  string
	}{
		"0 OCUs":                     {func(a *v1alpha1.App) { a.Spec.Formation[0].OCUs = 0 }, "components.ui.ocus", "cannot have 0 OCUs"},
		"10,000 OCUs":                {func(a *v1alpha1.App) { a.Spec.Formation[0].OCUs = 10000 }, "components.ui.ocus", "choose 1 to 100"},
		"a negative count":           {func(a *v1alpha1.App) { a.Spec.Formation[0].Count = -1 }, "components.ui.count", "choose 0 to 100"},
		"101 processes":              {func(a *v1alpha1.App) { a.Spec.Formation[0].Count = 101 }, "components.ui.count", "choose 0 to 100"},
		"a name with capitals":       {func(a *v1alpha1.App) { a.Name = "Shop" }, "app", "lower-case"},
		"two hyphens in a name":      {func(a *v1alpha1.App) { a.Name = "a--b" }, "app", "hyphens"},
		"a reserved name":            {func(a *v1alpha1.App) { a.Name = "api" }, "app", "reserved"},
		"the platform's namespace":   {func(a *v1alpha1.App) { a.Name = "berth-system" }, "app", "reserved"},
		"no components":              {func(a *v1alpha1.App) { a.Spec.Template.Components = nil }, "components", "at least one"},
		"a bad component name":       {func(a *v1alpha1.App) { ui(a).Name = "U_I" }, "components.U_I", "lower-case"},
		"a component twice":          {func(a *v1alpha1.App) { db(a).Name = "ui" }, "components.ui", "two components"},
		"no image":                   {func(a *v1alpha1.App) { ui(a).Image = "" }, "components.ui.image", "is not an image"},
		"user 0":                     {func(a *v1alpha1.App) { ui(a).User = new(int64(0)) }, "components.ui.user", "1 to 65535"},
		"port 0":                     {func(a *v1alpha1.App) { ui(a).Ports[0].Port = 0 }, "components.ui.ports.http.port", "1 to 65535"},
		"a long port name":           {func(a *v1alpha1.App) { db(a).Ports[0].Name = "sixteen-letters-" }, "components.db.ports.sixteen-letters-", "1 to 15"},
		"a port number twice":        {func(a *v1alpha1.App) { ui(a).Ports = append(ui(a).Ports, exposed("b", 8080)) }, "components.ui.ports.b.port", "a number of its own"},
		"an unknown protocol":        {func(a *v1alpha1.App) { ui(a).Ports[0].Protocol = "UDP" }, "components.ui.ports.http.protocol", "HTTP or TCP"},
		"a host that is not exposed": {func(a *v1alpha1.App) { db(a).Ports[0].Host = "db." + suffix }, "components.db.ports.postgres.host", "expose: true"},
		"an unknown health port":     {func(a *v1alpha1.App) { ui(a).Health.Port = "htpt" }, "components.ui.health.port", "choose one of: http"},
		"health without a port":      {func(a *v1alpha1.App) { ui(a).Ports = nil }, "components.ui.health", "no port to check"},
		"a health path without /":    {func(a *v1alpha1.App) { ui(a).Health.Path = "up" }, "components.ui.health.path", "start it with /"},
		"two processes on a volume":  {func(a *v1alpha1.App) { _ = apps.Scale(a, "db", new(int32(2)), nil) }, "components.db.count", "set count to 1"},
		"a volume without a size":    {func(a *v1alpha1.App) { db(a).Volumes[0].Size = resource.Quantity{} }, "components.db.volumes.data.size", "1Gi"},
		"a volume at /":              {func(a *v1alpha1.App) { db(a).Volumes[0].Path = "/" }, "components.db.volumes.data.path", "/data"},
		"a bad variable":             {func(a *v1alpha1.App) { a.Spec.Template.Config["1A"] = "" }, "config.1A", "no digit first"},
		"PORT":                       {func(a *v1alpha1.App) { a.Spec.Template.Config["PORT"] = "1" }, "config.PORT", "set by the platform"},
		"BERTH_APP":                  {func(a *v1alpha1.App) { a.Spec.Template.Config["BERTH_APP"] = "1" }, "config.BERTH_APP", "set by the platform"},
		"a host of someone else":     {host("shop.other.berth.localhost"), "components.ui.ports.http.host", "is not under " + suffix},
		"a host two labels deep":     {host("a.b." + suffix), "components.ui.ports.http.host", "without a further dot"},
		"a reserved host":            {host("api." + suffix), "components.ui.ports.http.host", "kept for the platform"},
		"a host like a generated":    {host("a--b." + suffix), "components.ui.ports.http.host", "kept for the platform"},
		"a host twice in the app": {func(a *v1alpha1.App) {
			second := exposed("b", 9)
			second.Host = "pay." + suffix
			host("pay." + suffix)(a)
			ui(a).Ports = append(ui(a).Ports, second)
		}, "components.ui.ports.b.host", "ui.http has the host"},
		"a host of another app": {host("blog." + suffix), "components.ui.ports.http.host", "app blog uses the host"},
		"over the plan":         {func(a *v1alpha1.App) { a.Spec.Formation[0].Count = 20 }, "formation", "asks for 21 OCUs, but the plan small allows 10 OCUs and the other apps use 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app := good()
			test.spoil(app)
			in := apps.Surroundings{
				Plan:   &v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: v1alpha1.PlanSpec{OCUs: 10}},
				Others: []v1alpha1.App{*newApp("blog", component("web", exposed("http", 80)))}, Suffix: suffix,
			}
			for _, fault := range apps.Faults(apps.Validate(app, in)) {
				if fault.Field == test.field && strings.Contains(fault.Error(), test.text) {
					if fault.Fix == "" {
						t.Errorf("%v has no fix", fault)
					}
					return
				}
			}
			t.Errorf("no fault of %s with %q in: %v", test.field, test.text, apps.Validate(app, in))
		})
	}
}

func TestValidateTellsEveryFault(t *testing.T) {
	app := good()
	app.Name = "X"
	app.Spec.Formation[0].OCUs = 0
	app.Spec.Template.Config["PORT"] = "1"
	var fields []string
	for _, fault := range apps.Faults(apps.Validate(app, apps.Surroundings{})) {
		fields = append(fields, fault.Field)
		if fault.Code != errs.Invalid {
			t.Errorf("%v has code %s", fault, fault.Code)
		}
	}
	if diff := cmp.Diff([]string{"app", "components.ui.ocus", "config.PORT"}, fields); diff != "" {
		t.Error(diff)
	}
}
