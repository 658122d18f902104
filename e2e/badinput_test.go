package e2e

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

func cleanupContext(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}

// TestBadInput: what is wrong is refused at once, with an exit code, the field and the fix,
// and changes nothing.
func TestBadInput(t *testing.T) {
	berth.tenant(t, "careful", "small")
	berth.apply(t, "careful", helloApp)
	before := everything(t)
	edit := func(old, new string) string {
		if !strings.Contains(helloApp, old) {
			t.Fatalf("the app file has no %q", old)
		}
		return strings.Replace(helloApp, old, new, 1)
	}
	const image = "    image: registry.berth.internal/test/app:1\n"
	for _, c := range []struct {
		name, file string
		says       []string
	}{
		{"an invalid app name", edit("app: hello", "app: Hello_App"), []string{"app", "lower-case"}},
		{"a reserved app name", edit("app: hello", "app: www"), []string{"reserved"}},
		{"an image that does not exist", edit("test/app:1", "test/nothing:1"), []string{"image", "nothing"}},
		{"a tag that does not exist", edit("test/app:1", "test/app:99"), []string{"image", "99"}},
		{"no image", edit(image, ""), []string{"image"}},
		{"0 OCUs", edit(image, image+"    ocus: 0\n"), []string{"ocus", "1"}},
		{"10,000 OCUs", edit(image, image+"    ocus: 10000\n"), []string{"ocus", "100"}},
		{"more than the plan", edit(image, image+"    ocus: 10\n    count: 3\n"), []string{"30", "20"}},
		{"a host of another tenant", edit("expose: true", "expose: true, host: shop.other.berth.localhost"), []string{"host", "careful.berth.localhost"}},
		{"one host twice", edit("{port: 8080, expose: true}", "{port: 8080, expose: true, host: a.careful.berth.localhost}\n      more: {port: 8081, expose: true, host: a.careful.berth.localhost}"), []string{"host"}},
		{"an unknown field", edit("    health:", "    helth:"), []string{"helth", "health"}},
		{"not YAML", "app: [hello", []string{"line"}},
		{"a variable's name", edit("  GREETING: ahoy", "  1GREETING: ahoy"), []string{"1GREETING"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errOut, code := berth.tryApply(t, "careful", c.file)
			if code == 0 {
				t.Errorf("taken: %s", out)
			}
			for _, word := range c.says {
				if !strings.Contains(errOut, word) {
					t.Errorf("the error lacks %q: %s", word, errOut)
				}
			}
			if after := everything(t); after != before {
				t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"an invalid tenant name", []string{"tenants:create", "Not_OK"}, []string{"name", "lower-case"}},
		{"a plan that is not there", []string{"tenants:create", "fine", "--plan", "huge"}, []string{"plan", "huge"}},
		{"a tenant that is there", []string{"tenants:create", "careful"}, []string{"careful"}},
		{"a command that is not there", []string{"tenant:create", "x"}, []string{"tenants:create"}},
		{"a scale that is no number", []string{"ps:scale", "web=lots", "-t", "careful", "-a", "hello"}, []string{"web=lots"}},
		{"a component that is not there", []string{"ps:scale", "wbe=1", "-t", "careful", "-a", "hello"}, []string{"wbe"}},
		{"a release that is not there", []string{"rollback", "v99", "-t", "careful", "-a", "hello"}, []string{"v99"}},
		{"an app that is not there", []string{"ps", "-t", "careful", "-a", "nope"}, []string{"nope"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errOut, code := berth.try(t, c.args...)
			if code == 0 {
				t.Errorf("taken: %s", out)
			}
			for _, word := range c.says {
				if !strings.Contains(errOut, word) {
					t.Errorf("the error lacks %q: %s", word, errOut)
				}
			}
			if after := everything(t); after != before {
				t.Errorf("something changed:\nbefore %s\nafter  %s", before, after)
			}
		})
	}
}

// everything is a fingerprint of all apps, releases, routes and tenants.
func everything(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, list := range []client.ObjectList{&berthv1.TenantList{}, &berthv1.AppList{}, &berthv1.ReleaseList{}, &berthv1.RouteList{}} {
		if err := berth.host.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		switch list := list.(type) {
		case *berthv1.TenantList:
			for _, item := range list.Items {
				out.WriteString(item.Name + " ")
			}
		case *berthv1.AppList:
			for _, item := range list.Items {
				out.WriteString(item.Namespace + "/" + item.Name + "@" + string(rune('0'+item.Generation)) + " ")
			}
		case *berthv1.ReleaseList:
			for _, item := range list.Items {
				out.WriteString(item.Namespace + "/" + item.Name + " ")
			}
		case *berthv1.RouteList:
			for _, item := range list.Items {
				out.WriteString(item.Spec.Host + " ")
			}
		}
	}
	return out.String()
}
