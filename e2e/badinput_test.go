package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/tenancy"
)

// atOnce is how long a refusal may take: a person waits for it.
const atOnce = 10 * time.Second

// beingDeleted marks what is about to go in a fingerprint.
const beingDeleted = " being deleted"

func cleanupContext(t *testing.T) context.Context {
	t.Helper()
	return context.WithoutCancel(t.Context())
}

// refusal is something wrong to ask for, and what the error must say of it.
type refusal struct {
	name string
	// file is applied for the tenant careful; without one, args are the command line.
	file string
	args []string
	// field is the error's, exactly. A command line that makes no sense has none: there
	// detail holds the argument.
	field, detail string
	// fix is a part of the error's fix that no other mistake has, or few.
	fix string
}

// TestBadInput: what is wrong is refused at once, with an exit code, the field and the fix,
// and changes nothing.
func TestBadInput(t *testing.T) {
	berth.tenant(t, "careful", "small")
	berth.tenant(t, "neighbour", "small")
	berth.apply(t, "careful", helloApp)
	before := settled(t)
	for _, wrong := range slices.Concat(wrongFiles(t), wrongCommands(), wrongNames()) {
		t.Run(wrong.name, func(t *testing.T) { wrong.check(t, before) })
	}
}

// check asks for it, and fails unless it is refused as it should be.
func (r refusal) check(t *testing.T, before map[string]string) {
	t.Helper()
	began := time.Now()
	var out, errOut string
	var code int
	if r.file != "" {
		out, errOut, code = berth.tryApply(t, "careful", r.file, "--json")
	} else {
		out, errOut, code = berth.try(t, append(slices.Clone(r.args), "--json")...)
	}
	if took := time.Since(began); took > atOnce {
		t.Errorf("the refusal took %s", took)
	}
	if code == 0 {
		t.Errorf("taken: %s", out)
	}
	var said struct {
		Error apiclient.Problem `json:"error"`
	}
	if err := json.Unmarshal([]byte(errOut), &said); err != nil {
		t.Errorf("the error is not JSON (%v): %s", err, errOut)
	}
	if said.Error.Field != r.field {
		t.Errorf("the error names the field %q, not %q: %s", said.Error.Field, r.field, errOut)
	}
	if !strings.Contains(said.Error.Detail, r.detail) || said.Error.Detail == "" {
		t.Errorf("the error does not say %q: %s", r.detail, errOut)
	}
	if !strings.Contains(said.Error.Fix, r.fix) {
		t.Errorf("the error's fix is %q and lacks %q", said.Error.Fix, r.fix)
	}
	if diff := cmp.Diff(before, everything(t)); diff != "" {
		t.Errorf("something changed (- before, + after):\n%s", diff)
	}
}

// wrongFiles are app files that cannot be applied.
func wrongFiles(t *testing.T) []refusal {
	t.Helper()
	edit := func(old, text string) string {
		t.Helper()
		if !strings.Contains(helloApp, old) {
			t.Fatalf("the app file has no %q", old)
		}
		return strings.Replace(helloApp, old, text, 1)
	}
	const image = "    image: registry.berth.internal/test/app:1\n"
	domain := berth.up.Domain
	host := func(name string) string { return "expose: true, host: " + name + "." + domain }
	twice := "{port: 8080, " + host("a.careful") + "}\n      more: {port: 8081, " + host("a.careful") + "}"
	const hostField, ownHost = "components.web.ports.http.host", "choose <name>.careful."
	return []refusal{
		{name: "an invalid app name", file: edit("app: hello", "app: Hello_App"), field: "app", fix: "lower-case letters, digits"},
		{name: "an app name that climbs", file: edit("app: hello", "app: .."), field: "app", fix: "lower-case letters, digits"},
		{name: "a reserved app name", file: edit("app: hello", "app: www"), field: "app", fix: "choose another name"},
		{name: "an image that does not exist", file: edit("test/app:1", "test/nothing:1"), field: "components.web.image", fix: "push the image first"},
		{name: "a tag that does not exist", file: edit("test/app:1", "test/app:99"), field: "components.web.image", fix: "push the image first"},
		{name: "no image", file: edit(image, ""), field: "components.web.image", fix: "add image:"},
		{name: "0 OCUs", file: edit(image, image+"    ocus: 0\n"), field: "components.web.ocus", fix: "choose 1 to 100; to stop a component"},
		{name: "10,000 OCUs", file: edit(image, image+"    ocus: 10000\n"), field: "components.web.ocus", fix: "choose 1 to 100; for more, raise the count"},
		{name: "more than the plan", file: edit(image, image+"    ocus: 10\n    count: 3\n"), field: "formation", fix: "to 20 OCUs or less"},
		{name: "a host of nobody", file: edit("expose: true", host("shop.other")), field: hostField, fix: ownHost + domain},
		{name: "a host of another tenant", file: edit("expose: true", host("hello.neighbour")), field: hostField, fix: ownHost + domain},
		{
			name: "a host of the tenant's other app", file: strings.Replace(edit("expose: true", host("hello.careful")), "app: hello", "app: second", 1),
			field: hostField, detail: "app hello uses the host", fix: "choose another host",
		},
		{
			name: "one host twice", file: edit("{port: 8080, expose: true}", twice),
			field: "components.web.ports.more.host", fix: "give one of them another host",
		},
		{name: "an unknown field", file: edit("    health:", "    helth:"), field: "components.web.helth", fix: `did you mean "health"?`},
		{name: "a variable's name", file: edit("  GREETING: ahoy", "  1GREETING: ahoy"), field: "config.1GREETING", fix: "no digit first"},
		{name: "not YAML", file: "app: [hello", field: "berth.yaml", detail: "line 1", fix: "check the indentation"},
		{name: "an empty file", file: "\n", field: "berth.yaml", fix: "berth init"},
		{name: "two apps in one file", file: helloApp + "---\n" + helloApp, field: "berth.yaml", fix: "one app in one file"},
		{name: "a list for a file", file: "- app: hello\n", field: "berth.yaml", detail: "line 1", fix: "a mapping"},
	}
}

// wrongCommands are command lines that ask for what cannot be.
func wrongCommands() []refusal {
	hello := func(args ...string) []string { return append(args, "-t", "careful", "-a", "hello") }
	const nothing = "web=registry.berth.internal/test/nothing:1"
	return []refusal{
		{name: "a plan that is not there", args: []string{"tenants:create", "fine", "--plan", "huge"}, field: "plan", fix: "small, medium"},
		{name: "a tenant that is there", args: []string{"tenants:create", "careful"}, field: "name", fix: "Choose another name"},
		{name: "a command that is not there", args: []string{"tenant:create", "x"}, detail: "tenant:create", fix: "Did you mean: berth tenants:create"},
		{name: "an app file that is not there", args: []string{"apply", "-t", "careful", "-f", "/nonexistent.yaml"}, detail: "/nonexistent.yaml", fix: "berth init"},
		{name: "a scale to 0 OCUs", args: hello("ps:scale", "web=1:0"), field: "components.web.ocus", fix: "choose 1 to 100; to stop a component"},
		{name: "a scale to 10,000 OCUs", args: hello("ps:scale", "web=1:10000"), field: "components.web.ocus", fix: "choose 1 to 100; for more, raise the count"},
		{name: "a scale to 10,000 processes", args: hello("ps:scale", "web=10000"), field: "components.web.count", fix: "choose 0 to 100"},
		{name: "a scale over the plan", args: hello("ps:scale", "web=3:10"), field: "formation", fix: "to 20 OCUs or less"},
		{name: "a scale to 10,000 OCUs in all", args: hello("ps:scale", "web=100:100"), field: "formation", fix: "to 20 OCUs or less"},
		{name: "a scale that is no number", args: hello("ps:scale", "web=lots"), detail: "web=lots", fix: "berth ps:scale web=2"},
		{name: "a component that is not there", args: hello("ps:scale", "wbe=1"), field: "component", fix: "choose one of: web"},
		{name: "a deploy of an image that does not exist", args: hello("deploy", nothing), field: "components.web.image", fix: "push the image first"},
		{name: "a release that is not there", args: hello("rollback", "v99"), field: "version", fix: "berth releases --app hello"},
		{name: "an app that is not there", args: []string{"ps", "-t", "careful", "-a", "nope"}, field: "app", fix: "berth apps --tenant careful"},
	}
}

// wrongNames are names on the command line that no tenant and no app can have. Those that
// climb would turn a request into another one, such as that to delete the tenant.
func wrongNames() []refusal {
	const fix = "letters, digits"
	all := []refusal{
		{name: "an invalid tenant name", args: []string{"tenants:create", "Not_OK"}, field: "tenant", fix: fix},
		{name: "an invalid new app name", args: []string{"apps:create", "Not_OK", "-t", "careful"}, field: "app", fix: fix},
		{name: "a scale of an app above", args: []string{"ps:scale", "web=2", "-t", "careful", "-a", "x/../hello"}, field: "app", fix: fix},
		{name: "an app of a tenant above", args: []string{"apps:delete", "hello", "--confirm", "hello", "-t", "neighbour/../careful"}, field: "tenant", fix: fix},
	}
	for _, name := range []string{".", "..", "../neighbour", "../../neighbour", "careful/apps/hello"} {
		all = append(all,
			refusal{name: "tenants:create " + name, args: []string{"tenants:create", name}, field: "tenant", fix: fix},
			refusal{name: "tenants:delete " + name, args: []string{"tenants:delete", name, "--confirm", name}, field: "tenant", fix: fix},
			refusal{name: "apps:create " + name, args: []string{"apps:create", name, "-t", "careful"}, field: "app", fix: fix},
			refusal{name: "apps:delete " + name, args: []string{"apps:delete", name, "--confirm", name, "-t", "careful"}, field: "app", fix: fix},
		)
	}
	return all
}

// settled waits until nothing changes by itself any more, above all the pool, and gives
// the fingerprint of that.
func settled(t *testing.T) map[string]string {
	t.Helper()
	var last map[string]string
	var since time.Time
	eventually(t, 15*time.Minute, "a full pool and five quiet seconds", func() (bool, string) {
		host := hostCluster(t.Context(), t)
		if host.Status.Available < host.Spec.Pool.Size || host.Status.Starting > 0 {
			last = nil
			return false, fmt.Sprintf("pool: %+v", host.Status)
		}
		now := everything(t)
		going := slices.ContainsFunc(slices.Collect(maps.Values(now)), func(state string) bool { return strings.HasSuffix(state, beingDeleted) })
		if going || !maps.Equal(last, now) {
			last, since = now, time.Now()
		}
		return time.Since(since) > 5*time.Second, fmt.Sprint(now)
	})
	return last
}

// everything is a fingerprint of what people can change: each object by its name, with its
// UID, the version of its spec and whether it is being deleted. Secrets have no spec: there
// it is the version of the whole, without reading a value.
func everything(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	kinds := []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Secret")}
	for _, kind := range []string{"Tenant", "VirtualCluster", "App", "Release", "Route"} {
		kinds = append(kinds, berthv1.GroupVersion.WithKind(kind))
	}
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := berth.host.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			state := fmt.Sprintf("%s, generation %d", item.UID, item.Generation)
			if kind.Kind == "Secret" {
				if !strings.HasPrefix(item.Namespace, berthv1.ManagementNamespace("")) {
					continue // The platform's own, and those of what runs inside tenants' clusters.
				}
				if state = item.ResourceVersion; item.Name == tenancy.AccessSecret {
					state = string(item.UID) // The token in it is renewed all the time.
				}
			}
			if item.DeletionTimestamp != nil {
				state += beingDeleted
			}
			seen[kind.Kind+" "+item.Namespace+"/"+item.Name] = state
		}
	}
	return seen
}
