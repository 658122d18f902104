package apps_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const suffix = "acme.berth.localhost"

func component(name string, ports ...v1alpha1.Port) v1alpha1.Component {
	return v1alpha1.Component{Name: name, Image: "registry.berth.internal/acme/" + name + ":1", Ports: ports}
}

func exposed(name string, number int32) v1alpha1.Port {
	return v1alpha1.Port{Name: name, Port: number, Protocol: v1alpha1.ProtocolHTTP, Expose: true}
}

func newApp(name string, components ...v1alpha1.Component) *v1alpha1.App {
	return &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.AppSpec{Template: &v1alpha1.AppTemplate{Components: components}},
	}
}

func sized(app *v1alpha1.App, formation ...v1alpha1.ComponentFormation) *v1alpha1.App {
	app.Spec.Formation = formation
	return app
}

func grantedOf(app *v1alpha1.App, name string, count, ocus int32) *v1alpha1.App {
	app.Status.Components = append(app.Status.Components, v1alpha1.ComponentStatus{Name: name, Desired: count, OCUs: ocus})
	return app
}

func TestFormationFillsDefaultsInTheTemplatesOrder(t *testing.T) {
	app := sized(newApp("shop", component("ui"), component("db")),
		v1alpha1.ComponentFormation{Name: "gone", Count: 9, OCUs: 9},
		v1alpha1.ComponentFormation{Name: "db", Count: 1, OCUs: 4})
	want := []v1alpha1.ComponentFormation{{Name: "ui", Count: 1, OCUs: 1}, {Name: "db", Count: 1, OCUs: 4}}
	if diff := cmp.Diff(want, apps.Formation(app.Spec.Template, app.Spec.Formation)); diff != "" {
		t.Error(diff)
	}
	if got := apps.TotalOCUs(app); got != 5 {
		t.Errorf("the total is %d, want 5", got)
	}
}

func TestGrantedPrefersTheStatusAndFallsBackOnTheSpec(t *testing.T) {
	app := sized(newApp("shop", component("ui")),
		v1alpha1.ComponentFormation{Name: "ui", Count: 50, OCUs: 1}, v1alpha1.ComponentFormation{Name: "db", Count: 1, OCUs: 8})
	grantedOf(app, "ui", 2, 1)
	older := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{component("ui"), component("db"), component("new")}}
	want := []v1alpha1.ComponentFormation{
		{Name: "ui", Count: 2, OCUs: 1}, {Name: "db", Count: 1, OCUs: 8}, {Name: "new", Count: 1, OCUs: 1},
	}
	if diff := cmp.Diff(want, apps.Granted(app, older)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckPlan(t *testing.T) {
	plan := &v1alpha1.Plan{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: v1alpha1.PlanSpec{OCUs: 10}}
	ui := func(count int32) *v1alpha1.App {
		return sized(newApp("shop", component("ui")), v1alpha1.ComponentFormation{Name: "ui", Count: count, OCUs: 1})
	}
	tests := map[string]struct {
		app   *v1alpha1.App
		inUse int32
		want  string
	}{
		"exactly the plan fits":             {ui(10), 0, ""},
		"what others leave fits":            {ui(7), 3, ""},
		"a smaller plan stops nothing":      {grantedOf(ui(12), "ui", 12, 1), 9, ""},
		"giving back needs no room":         {grantedOf(ui(11), "ui", 12, 1), 9, ""},
		"growing over a smaller plan fails": {grantedOf(ui(13), "ui", 12, 1), 0, "formation: app shop asks for 13 OCUs, but the plan small allows 10 OCUs: scale shop to 10 OCUs or less, or choose a larger plan"},
		"one too many fails with the numbers": {ui(8), 3, "formation: app shop asks for 8 OCUs, but the plan small allows 10 OCUs and the other apps use 3 of them: " +
			"scale shop to 7 OCUs or less, or choose a larger plan"},
		"nothing left says so": {ui(1), 10, "formation: app shop asks for 1 OCU, but the plan small allows 10 OCUs and the other apps use 10 of them: " +
			"choose a larger plan or scale other apps down"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := apps.CheckPlan(plan, test.app, test.inUse)
			got := ""
			if err != nil {
				got = err.Error()
				if errs.CodeOf(err) != errs.OverPlan {
					t.Errorf("the code is %s", errs.CodeOf(err))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScale(t *testing.T) {
	app := sized(newApp("shop", component("ui"), component("db")), v1alpha1.ComponentFormation{Name: "ui", Count: 1, OCUs: 2})
	if err := apps.Scale(app, "ui", new(int32(4)), nil); err != nil {
		t.Fatal(err)
	}
	if err := apps.Scale(app, "db", nil, new(int32(3))); err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.ComponentFormation{{Name: "ui", Count: 4, OCUs: 2}, {Name: "db", Count: 1, OCUs: 3}}
	if diff := cmp.Diff(want, app.Spec.Formation); diff != "" {
		t.Error(diff)
	}
	err := apps.Scale(app, "uj", new(int32(1)), nil)
	if errs.CodeOf(err) != errs.Invalid || errs.As(err).Field != "component" || errs.As(err).Fix != "choose one of: ui, db" {
		t.Errorf("an unknown component gave %v", err)
	}
}

func TestAComponentIsRestartedByItselfOrWithTheApp(t *testing.T) {
	early := metav1.NewTime(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC))
	late := metav1.NewTime(early.Add(time.Hour))
	tests := map[string]struct{ app, own, want *metav1.Time }{
		"never":                         {nil, nil, nil},
		"with the app":                  {&early, nil, &early},
		"by itself":                     {nil, &early, &early},
		"the later wish counts":         {&early, &late, &late},
		"the app's, if that came later": {&late, &early, &late},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			entry := v1alpha1.ComponentFormation{Name: "ui", Count: 1, OCUs: 1, RestartedAt: test.own}
			app := sized(newApp("shop", component("ui"), component("db")), entry)
			app.Spec.RestartedAt = test.app
			if got := apps.RestartedAt(app, entry); !got.Equal(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if got := apps.LastRestart(app); !got.Equal(test.want) {
				t.Errorf("the last of all: got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNewSizesRestartNothing(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC))
	app := sized(newApp("shop", component("ui")), v1alpha1.ComponentFormation{Name: "ui", Count: 1, OCUs: 1, RestartedAt: &at})
	grantedOf(app, "ui", 1, 1)
	app.Spec.Formation = apps.Remember([]v1alpha1.ComponentFormation{{Name: "ui", Count: 3, OCUs: 1}}, app.Spec.Formation)
	want := []v1alpha1.ComponentFormation{{Name: "ui", Count: 1, OCUs: 1, RestartedAt: &at}}
	if diff := cmp.Diff(want, apps.Granted(app, app.Spec.Template)); diff != "" {
		t.Error(diff)
	}
}

func TestHashTemplate(t *testing.T) {
	a := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{component("ui")}, Config: map[string]string{"A": "1", "B": "2"}}
	same := a.DeepCopy()
	same.Components[0].Command = []string{}
	if apps.HashTemplate(a) != apps.HashTemplate(same) {
		t.Error("unset and empty differ")
	}
	for name, change := range map[string]func(*v1alpha1.AppTemplate){
		"image":  func(t *v1alpha1.AppTemplate) { t.Components[0].Image += "x" },
		"config": func(t *v1alpha1.AppTemplate) { t.Config["A"] = "2" },
		"secret": func(t *v1alpha1.AppTemplate) { t.ConfigSecret = "shop-2" },
		"order": func(t *v1alpha1.AppTemplate) {
			t.Components = append([]v1alpha1.Component{component("db")}, t.Components...)
		},
	} {
		other := a.DeepCopy()
		change(other)
		if apps.HashTemplate(a) == apps.HashTemplate(other) {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func TestCheckDigestsRefusesTags(t *testing.T) {
	template := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{component("ui")}}
	if err := apps.CheckDigests(template); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("a tag gave %v", err)
	}
	template.Components[0].Image = "registry.berth.internal/acme/ui@sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	if err := apps.CheckDigests(template); err != nil {
		t.Error(err)
	}
	template.Components[0].Sidecars = []v1alpha1.Sidecar{{Name: "log", Image: "log:1"}}
	if err := apps.CheckDigests(template); err == nil || errs.As(err).Field != "components.ui.sidecars.log.image" {
		t.Errorf("a sidecar's tag gave %v", err)
	}
}

func TestHosts(t *testing.T) {
	tcp := v1alpha1.Port{Name: "pg", Port: 5432, Protocol: v1alpha1.ProtocolTCP, Expose: true}
	internal := v1alpha1.Port{Name: "admin", Port: 9000, Protocol: v1alpha1.ProtocolHTTP}
	custom := exposed("http", 1)
	custom.Host = "Www2." + suffix
	tests := map[string]struct {
		components []v1alpha1.Component
		want       []string
	}{
		"the first with an exposed HTTP port is the front": {
			[]v1alpha1.Component{component("db", tcp), component("ui", internal, exposed("http", 1)), component("api", exposed("http", 2))},
			[]string{"shop-db-pg db--shop." + suffix, "shop-ui-http shop." + suffix + " front", "shop-api-http api--shop." + suffix},
		},
		"web is the front wherever it stands": {
			[]v1alpha1.Component{component("ui", exposed("http", 1)), component("web", exposed("http", 2))},
			[]string{"shop-ui-http ui--shop." + suffix, "shop-web-http shop." + suffix + " front"},
		},
		"web without an exposed port is not the front": {
			[]v1alpha1.Component{component("web", internal), component("ui", exposed("http", 1))},
			[]string{"shop-ui-http shop." + suffix + " front"},
		},
		"further ports carry their name": {
			[]v1alpha1.Component{component("ui", exposed("http", 1), exposed("live", 2)), component("api", exposed("a", 3), exposed("b", 4))},
			[]string{
				"shop-ui-http shop." + suffix + " front", "shop-ui-live live--ui--shop." + suffix,
				"shop-api-a api--shop." + suffix, "shop-api-b b--api--shop." + suffix,
			},
		},
		"a chosen host replaces the generated one, in lower case": {
			[]v1alpha1.Component{component("ui", custom)}, []string{"shop-ui-http www2." + suffix + " front"},
		},
		"nothing exposed has no host": {[]v1alpha1.Component{component("db", internal)}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, host := range apps.Hosts("shop", newApp("shop", test.components...).Spec.Template, suffix) {
				line := host.Route + " " + host.Name
				if host.Front {
					line += " front"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostTakenByTheOlderApp(t *testing.T) {
	at := func(app *v1alpha1.App, hour int) *v1alpha1.App {
		app.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC))
		return app
	}
	port := exposed("http", 1)
	port.Host = "pay." + suffix
	first, second := at(newApp("zeta", component("ui", port)), 1), at(newApp("alpha", component("ui", port)), 2)
	all := []v1alpha1.App{*second, *first}
	if _, taken := apps.HostTaken(first, port.Host, suffix, all); taken {
		t.Error("the older app lost its host")
	}
	if owner, taken := apps.HostTaken(second, port.Host, suffix, all); !taken || owner != "zeta" {
		t.Errorf("the younger app got the host (%s, %t)", owner, taken)
	}
}

func release(version int64, phase v1alpha1.ReleasePhase, template *v1alpha1.AppTemplate) v1alpha1.Release {
	return v1alpha1.Release{
		Spec:   v1alpha1.ReleaseSpec{App: "shop", Version: version, Template: *template},
		Status: v1alpha1.ReleaseStatus{Phase: phase},
	}
}

func TestTargetIsTheNewestThatHasNotFailed(t *testing.T) {
	template := &v1alpha1.AppTemplate{}
	releases := []v1alpha1.Release{
		release(1, v1alpha1.ReleaseLive, template), release(3, v1alpha1.ReleaseFailed, template), release(2, v1alpha1.ReleaseSuperseded, template),
	}
	apps.NewestFirst(releases)
	if got := apps.Target(releases); got == nil || got.Spec.Version != 2 {
		t.Errorf("the target is %+v", got)
	}
	if got := apps.Target(releases[:1]); got != nil {
		t.Errorf("a failed release is the target: %+v", got)
	}
}

func TestRevisionsChangeOnlyWithTheComponent(t *testing.T) {
	both := newApp("shop", component("ui"), component("db")).Spec.Template
	newUI := both.DeepCopy()
	newUI.Components[0].Image = "other"
	configured := newUI.DeepCopy()
	configured.Config = map[string]string{"A": "1"}
	v1, v2 := release(1, v1alpha1.ReleaseSuperseded, both), release(2, v1alpha1.ReleaseLive, newUI)
	tests := map[string]struct {
		releases []v1alpha1.Release
		want     map[string]int64
	}{
		"the first release is the revision of all": {[]v1alpha1.Release{v1}, map[string]int64{"ui": 1, "db": 1}},
		"an unchanged component keeps its own":     {[]v1alpha1.Release{v2, v1}, map[string]int64{"ui": 2, "db": 1}},
		"config changes every component": {
			[]v1alpha1.Release{release(3, "", configured), v2, v1}, map[string]int64{"ui": 3, "db": 3},
		},
		"a failed release does not count": {
			[]v1alpha1.Release{release(4, "", newUI), release(3, v1alpha1.ReleaseFailed, configured), v2, v1}, map[string]int64{"ui": 2, "db": 1},
		},
		"going back is a change": {
			[]v1alpha1.Release{release(3, "", both), v2, v1}, map[string]int64{"ui": 3, "db": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, apps.Revisions(&test.releases[0], test.releases)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
