package v1alpha1_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
)

func tenant(name string) *v1alpha1.Tenant {
	return &v1alpha1.Tenant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.TenantSpec{Plan: "starter"},
	}
}

func virtualCluster(name string) *v1alpha1.VirtualCluster {
	return &v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.VirtualClusterSpec{HostCluster: "local"},
	}
}

func hostCluster(change func(*v1alpha1.HostClusterSpec)) *v1alpha1.HostCluster {
	host := &v1alpha1.HostCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "local"},
		Spec: v1alpha1.HostClusterSpec{
			Region:        "here",
			CPUOvercommit: 10,
			Pool:          v1alpha1.PoolSpec{Size: 1},
			Network:       v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.96.0.1/32"}},
		},
	}
	change(&host.Spec)
	return host
}

func plan(change func(*v1alpha1.PlanSpec)) *v1alpha1.Plan {
	p := &v1alpha1.Plan{
		ObjectMeta: metav1.ObjectMeta{Name: "starter"},
		Spec:       v1alpha1.PlanSpec{OCUs: 10, Storage: resource.MustParse("10Gi")},
	}
	change(&p.Spec)
	return p
}

// app is a valid app of two components, of which db has a volume.
func app(name string, change func(*v1alpha1.AppSpec)) *v1alpha1.App {
	a := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1alpha1.AppSpec{
			Template: &v1alpha1.AppTemplate{Components: []v1alpha1.Component{
				{
					Name: "web", Image: "registry.berth.internal/web:1",
					Ports:  []v1alpha1.Port{{Name: "http", Port: 8080, Expose: true}, {Name: "admin", Port: 8081}},
					Health: &v1alpha1.Health{Path: "/healthz"},
				},
				{
					Name: "db", Image: "registry.berth.internal/db:1",
					Volumes: []v1alpha1.Volume{{Name: "data", Path: "/data", Size: resource.MustParse("1Gi")}},
				},
			}},
			Formation: []v1alpha1.ComponentFormation{{Name: "web", Count: 2, OCUs: 4}, {Name: "db", Count: 1, OCUs: 1}},
		},
	}
	if change != nil {
		change(&a.Spec)
	}
	return a
}

func release(name string) *v1alpha1.Release {
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1alpha1.ReleaseSpec{
			App: "shop", Version: 1, TemplateHash: "abc", Template: *app("shop", nil).Spec.Template,
		},
	}
}

func route(change func(*v1alpha1.RouteSpec)) *v1alpha1.Route {
	r := &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop-web-http"},
		Spec: v1alpha1.RouteSpec{
			Host: "shop.acme.berth.localhost",
			Backend: v1alpha1.RouteBackend{
				VirtualCluster: "k3f9x2ab", Namespace: "shop", Service: "web", Port: 8080,
			},
		},
	}
	change(&r.Spec)
	return r
}

func TestValidObjectsAreAccepted(t *testing.T) {
	env := kubetest.Start(t)
	tests := map[string]client.Object{
		"a tenant of one letter":             tenant("a"),
		"a tenant of 30 characters":          tenant(strings.Repeat("a", 30)),
		"a tenant with digits and hyphens":   tenant("acme-2-shop"),
		"an id":                              virtualCluster("k3f9x2ab"),
		"a host cluster":                     hostCluster(func(*v1alpha1.HostClusterSpec) {}),
		"a pool of none":                     hostCluster(func(s *v1alpha1.HostClusterSpec) { s.Pool.Size = 0 }),
		"a plan":                             plan(func(*v1alpha1.PlanSpec) {}),
		"an app":                             app("shop", nil),
		"an app before its first deploy":     app("shop", func(s *v1alpha1.AppSpec) { *s = v1alpha1.AppSpec{} }),
		"a stopped component":                app("shop", func(s *v1alpha1.AppSpec) { s.Formation[0].Count = 0 }),
		"as many and as large as can be":     app("shop", func(s *v1alpha1.AppSpec) { s.Formation[0].Count, s.Formation[0].OCUs = 100, 100 }),
		"the same port in two components":    app("shop", func(s *v1alpha1.AppSpec) { s.Template.Components[1].Ports = s.Template.Components[0].Ports }),
		"a release":                          release("shop-v1"),
		"a route":                            route(func(*v1alpha1.RouteSpec) {}),
		"a formation without a template yet": app("shop", func(s *v1alpha1.AppSpec) { s.Template = nil }),
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			if err := env.Client.Create(t.Context(), object, client.DryRunAll); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestInvalidObjectsAreRefusedNamingTheField(t *testing.T) {
	env := kubetest.Start(t)
	web := func(change func(*v1alpha1.Component)) *v1alpha1.App {
		return app("shop", func(s *v1alpha1.AppSpec) { change(&s.Template.Components[0]) })
	}
	db := func(change func(*v1alpha1.Component)) *v1alpha1.App {
		return app("shop", func(s *v1alpha1.AppSpec) { change(&s.Template.Components[1]) })
	}
	formation := func(change func(*v1alpha1.ComponentFormation)) *v1alpha1.App {
		return app("shop", func(s *v1alpha1.AppSpec) { change(&s.Formation[0]) })
	}
	const (
		nameRule = "metadata.name must be 1 to 30 lower-case letters, digits and single hyphens"
		reserved = "metadata.name is reserved"
		idRule   = "metadata.name must be an id of eight"
	)
	tests := map[string]struct {
		object client.Object
		want   string
	}{
		"tenant with a reserved name":           {tenant("www"), reserved},
		"tenant named like a builder":           {tenant("acme-builder"), reserved},
		"tenant with two hyphens":               {tenant("a--b"), nameRule},
		"tenant with capitals":                  {tenant("Upper"), "metadata.name"},
		"tenant of 31 characters":               {tenant(strings.Repeat("a", 31)), nameRule},
		"tenant that starts with a digit":       {tenant("1acme"), nameRule},
		"tenant with a dot":                     {tenant("acme.shop"), nameRule},
		"tenant without a plan":                 {&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, "spec.plan"},
		"virtual cluster with a short id":       {virtualCluster("k3f9x2a"), idRule},
		"virtual cluster with a long id":        {virtualCluster("k3f9x2abc"), idRule},
		"virtual cluster with a digit first":    {virtualCluster("3kf9x2ab"), idRule},
		"virtual cluster without a host":        {&v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "k3f9x2ab"}}, "spec.hostCluster"},
		"host cluster without a region":         {hostCluster(func(s *v1alpha1.HostClusterSpec) { s.Region = "" }), "spec.region"},
		"host cluster of unknown API addresses": {hostCluster(func(s *v1alpha1.HostClusterSpec) { s.Network.APIServerCIDRs = []string{} }), "spec.network.apiServerCIDRs"},
		"controller with the name of an edge":   {hostCluster(func(s *v1alpha1.HostClusterSpec) { s.ControllerName = "eu-router" }), "spec.controllerName"},
		"pool of 101":                           {hostCluster(func(s *v1alpha1.HostClusterSpec) { s.Pool.Size = 101 }), "spec.pool.size"},
		"overcommit of 101":                     {hostCluster(func(s *v1alpha1.HostClusterSpec) { s.CPUOvercommit = 101 }), "spec.cpuOvercommit"},
		"plan of no OCUs":                       {plan(func(s *v1alpha1.PlanSpec) { s.OCUs = 0 }), "spec.ocus"},
		"plan of two pods":                      {plan(func(s *v1alpha1.PlanSpec) { s.MaxPods = 2 }), "spec.maxPods"},
		"app with a reserved name":              {app("api", nil), reserved},
		"app named like a system namespace":     {app("kube-system", nil), reserved},
		"app with two hyphens":                  {app("a--b", nil), nameRule},
		"app of 31 characters":                  {app(strings.Repeat("a", 31), nil), nameRule},
		"app of no components":                  {app("shop", func(s *v1alpha1.AppSpec) { s.Template.Components = []v1alpha1.Component{} }), "spec.template.components"},
		"app that deploys for 5 seconds":        {app("shop", func(s *v1alpha1.AppSpec) { s.DeployTimeoutSeconds = 5 }), "spec.deployTimeoutSeconds"},
		"two components of one name":            {db(func(c *v1alpha1.Component) { c.Name = "web" }), "components: names must differ"},
		"component with capitals":               {web(func(c *v1alpha1.Component) { c.Name = "Web" }), "spec.template.components[0].name"},
		"component of 31 characters":            {web(func(c *v1alpha1.Component) { c.Name = strings.Repeat("a", 31) }), "spec.template.components[0].name"},
		"component without an image":            {web(func(c *v1alpha1.Component) { c.Image = "" }), "spec.template.components[0].image"},
		"component that runs as root":           {web(func(c *v1alpha1.Component) { c.User = new(int64) }), "spec.template.components[0].user"},
		"two ports of one name":                 {web(func(c *v1alpha1.Component) { c.Ports[1].Name = "http" }), "ports: names must differ"},
		"two ports of one number":               {web(func(c *v1alpha1.Component) { c.Ports[1].Port = 8080 }), "ports: numbers must differ"},
		"port 0":                                {web(func(c *v1alpha1.Component) { c.Ports[0].Port = 0 }), "spec.template.components[0].ports[0].port"},
		"port 65536":                            {web(func(c *v1alpha1.Component) { c.Ports[0].Port = 65536 }), "spec.template.components[0].ports[0].port"},
		"port of an unknown protocol":           {web(func(c *v1alpha1.Component) { c.Ports[0].Protocol = "UDP" }), "spec.template.components[0].ports[0].protocol"},
		"port name of 16 characters":            {web(func(c *v1alpha1.Component) { c.Ports[0].Name = strings.Repeat("a", 16) }), "spec.template.components[0].ports[0].name"},
		"health path without a slash":           {web(func(c *v1alpha1.Component) { c.Health.Path = "healthz" }), "spec.template.components[0].health.path"},
		"volume mounted over everything":        {db(func(c *v1alpha1.Component) { c.Volumes[0].Path = "/" }), "spec.template.components[1].volumes[0].path"},
		"volume with a bad name":                {db(func(c *v1alpha1.Component) { c.Volumes[0].Name = "my data" }), "spec.template.components[1].volumes[0].name"},
		"two processes on one volume":           {app("shop", func(s *v1alpha1.AppSpec) { s.Formation[1].Count = 2 }), "formation: a component with a volume runs at most one process"},
		"two formations of one component":       {formation(func(f *v1alpha1.ComponentFormation) { f.Name = "db" }), "formation: names must differ"},
		"count of -1":                           {formation(func(f *v1alpha1.ComponentFormation) { f.Count = -1 }), "spec.formation[0].count"},
		"count of 101":                          {formation(func(f *v1alpha1.ComponentFormation) { f.Count = 101 }), "spec.formation[0].count"},
		"0 OCUs":                                {formation(func(f *v1alpha1.ComponentFormation) { f.OCUs = 0 }), "spec.formation[0].ocus"},
		"10,000 OCUs":                           {formation(func(f *v1alpha1.ComponentFormation) { f.OCUs = 10000 }), "spec.formation[0].ocus"},
		"release 0":                             {func() client.Object { r := release("shop-v0"); r.Spec.Version = 0; return r }(), "spec.version"},
		"route of one label":                    {route(func(s *v1alpha1.RouteSpec) { s.Host = "shop" }), "spec.host"},
		"route with a trailing dot":             {route(func(s *v1alpha1.RouteSpec) { s.Host = "shop.acme.localhost." }), "spec.host"},
		"route with capitals":                   {route(func(s *v1alpha1.RouteSpec) { s.Host = "Shop.acme.localhost" }), "spec.host"},
		"route to no service":                   {route(func(s *v1alpha1.RouteSpec) { s.Backend.Service = "" }), "spec.backend.service"},
		"route to port 0":                       {route(func(s *v1alpha1.RouteSpec) { s.Backend.Port = 0 }), "spec.backend.port"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := env.Client.Create(t.Context(), test.object, client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	env := kubetest.Start(t)
	acme := &v1alpha1.ClaimRef{Name: "acme", UID: "1"}
	claimed := func(name string) *v1alpha1.VirtualCluster {
		vc := virtualCluster(name)
		vc.Spec.ClaimRef = acme
		return vc
	}
	free, bound, moved := virtualCluster("free0000"), claimed("bound000"), virtualCluster("moved000")
	frozen := release("frozen-v1")
	tests := map[string]struct {
		object client.Object
		change func()
		// want is empty where the change is allowed.
		want string
	}{
		"a release never changes":       {frozen, func() { frozen.Spec.Summary = "other" }, "spec: Invalid value: a release never changes"},
		"a free cluster can be claimed": {free, func() { free.Spec.ClaimRef = acme }, ""},
		"a bound cluster cannot go to another tenant": {
			bound, func() { bound.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "other", UID: "2"} }, "spec.claimRef is set once",
		},
		"a cluster cannot move to another host": {moved, func() { moved.Spec.HostCluster = "elsewhere" }, "spec.hostCluster cannot change"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := env.Client.Create(t.Context(), test.object); err != nil {
				t.Fatal(err)
			}
			test.change()
			err := env.Client.Update(t.Context(), test.object)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

func TestAReleasedClusterIsNeverFreeAgain(t *testing.T) {
	env := kubetest.Start(t)
	vc := virtualCluster("freed000")
	vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "acme", UID: "1"}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	vc.Spec.ClaimRef = nil
	if err := env.Client.Update(t.Context(), vc); err == nil || !strings.Contains(err.Error(), "spec.claimRef is set once") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestClaimingIsCompareAndSwap(t *testing.T) {
	env := kubetest.Start(t)
	first := virtualCluster("swap0000")
	if err := env.Client.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := first.DeepCopy()
	first.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "acme", UID: "1"}
	if err := env.Client.Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: "other", UID: "2"}
	if err := env.Client.Update(t.Context(), second); err == nil {
		t.Error("two tenants claimed the same cluster")
	}
}

func TestDefaults(t *testing.T) {
	env := kubetest.Start(t)
	a := app("defaults", nil)
	if err := env.Client.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	web := a.Spec.Template.Components[0]
	if a.Spec.DeployTimeoutSeconds != 300 || web.Ports[0].Protocol != v1alpha1.ProtocolHTTP || web.Health.TimeoutSeconds != 2 {
		t.Errorf("got %d s, %q and %d s", a.Spec.DeployTimeoutSeconds, web.Ports[0].Protocol, web.Health.TimeoutSeconds)
	}
}
