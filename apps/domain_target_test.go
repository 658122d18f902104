package apps

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
)

func TestADomainLeadsToAPortThatIsExposed(t *testing.T) {
	template := &v1alpha1.AppTemplate{Components: []v1alpha1.Component{
		{Name: "api", Ports: []v1alpha1.Port{{Name: "metrics", Port: 9}, {Name: "http", Port: 8080, Expose: true}, {Name: "admin", Port: 8081, Expose: true}}},
		{Name: "web", Ports: []v1alpha1.Port{{Name: "http", Port: 8080, Expose: true}}},
		{Name: "worker"},
	}}
	for name, test := range map[string]struct {
		template *v1alpha1.AppTemplate
		spec     v1alpha1.DomainSpec
		route    string
		field    string
		says     string
	}{
		"the front":                {template, v1alpha1.DomainSpec{}, "shop-web-http", "", ""},
		"a component's first port": {template, v1alpha1.DomainSpec{Component: "api"}, "shop-api-http", "", ""},
		"a port by name":           {template, v1alpha1.DomainSpec{Component: "api", Port: "admin"}, "shop-api-admin", "", ""},
		"a port not exposed":       {template, v1alpha1.DomainSpec{Component: "api", Port: "metrics"}, "", "port", "choose one of: http, admin"},
		"a component without any":  {template, v1alpha1.DomainSpec{Component: "worker"}, "", "component", "exposes no port"},
		"no such component":        {template, v1alpha1.DomainSpec{Component: "db"}, "", "component", "choose one of: api, web, worker"},
		"an app without a front":   {&v1alpha1.AppTemplate{Components: template.Components[2:]}, v1alpha1.DomainSpec{}, "", "app", "exposes no HTTP port"},
		"nothing deployed":         {nil, v1alpha1.DomainSpec{}, "", "app", "nothing has been deployed"},
	} {
		t.Run(name, func(t *testing.T) {
			host, err := FindTarget("shop", test.template, "acme.berth.localhost", &test.spec)
			if host.Route != test.route {
				t.Errorf("route %q (%v), want %q", host.Route, err, test.route)
			}
			if test.route == "" && (err == nil || !strings.Contains(err.Error(), test.says) || errs.As(err).Field != test.field) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

func TestADomainObjectThatBreaksARuleIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		object string
		spec   v1alpha1.DomainSpec
		field  string
	}{
		"as it should be":            {"host.a.example.com", v1alpha1.DomainSpec{Host: "a.example.com"}, ""},
		"a redirect":                 {"wildcard.example.com", v1alpha1.DomainSpec{Host: "*.example.com", RedirectTo: "example.com"}, ""},
		"another name":               {"mine", v1alpha1.DomainSpec{Host: "a.example.com"}, "name"},
		"a public suffix":            {"wildcard.co.uk", v1alpha1.DomainSpec{Host: "*.co.uk"}, "host"},
		"not in the form of DNS":     {"host.a.example.com", v1alpha1.DomainSpec{Host: "A.example.com"}, "host"},
		"the platform's":             {"host.a.berth.localhost", v1alpha1.DomainSpec{Host: "a.berth.localhost"}, "host"},
		"a redirect to itself":       {"host.a.example.com", v1alpha1.DomainSpec{Host: "a.example.com", RedirectTo: "a.example.com"}, "redirectTo"},
		"a redirect in a circle":     {"wildcard.example.com", v1alpha1.DomainSpec{Host: "*.example.com", RedirectTo: "www.example.com"}, "redirectTo"},
		"a redirect to a wildcard":   {"host.a.example.com", v1alpha1.DomainSpec{Host: "a.example.com", RedirectTo: "*.example.org"}, "redirectTo"},
		"a redirect to no host":      {"host.a.example.com", v1alpha1.DomainSpec{Host: "a.example.com", RedirectTo: "com"}, "redirectTo"},
		"a redirect to the platform": {"host.a.example.com", v1alpha1.DomainSpec{Host: "a.example.com", RedirectTo: "shop.acme.berth.localhost"}, ""},
	} {
		domain := &v1alpha1.Domain{ObjectMeta: metav1.ObjectMeta{Name: test.object}, Spec: test.spec}
		err := CheckDomain(domain, "berth.localhost")
		if test.field == "" && err != nil || test.field != "" && (err == nil || errs.As(err).Field != test.field) {
			t.Errorf("%s: %v, want a fault of %q", name, err, test.field)
		}
	}
}
