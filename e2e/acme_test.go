package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestAcme does what `make up` does, on the scenarios' instance, and then types the
// commands it prints: the shop's page comes from inside the tenant's virtual cluster, its
// items from the database, both also from a domain of its own. The shop's API is released and scaled under load, an interactive
// shell is opened, and all of it is back after `make down` and `make up`.
func TestAcme(t *testing.T) {
	t.Cleanup(func() { deleteTenants(t, tenantNamed("acme")) })
	makeUp(t)
	hasItem(t, "Rocket skates")
	ownAnswers(t, "api.acme-shop.localhost", "/api/items", 200, "Rocket skates")
	// Prometheus has asked the API at least once when there is a number.
	eventually(t, time.Minute, "the metrics", func() (bool, string) {
		code, body := berth.get(t, berth.url("api--shop.acme", "/api/metrics"))
		return code == 200 && !strings.Contains(body, "null"), fmt.Sprint(code, " ", body)
	})
	// An item that the shop does not make by itself shows whether the volume is kept.
	berth.berth(t, "run", "-t", "acme", "-a", "shop", "-c", "db", "--", "sh", "-c",
		`PGPASSWORD=$POSTGRES_PASSWORD psql "$POSTGRES_URL" -c "INSERT INTO items VALUES (1001, 'Tornado seeds', 'Add water. Run.', 4200)"`)
	hasItem(t, "Tornado seeds")
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "acme"}, &tenant); err != nil {
		t.Fatal(err)
	}
	if tenant.Status.Usage.OCUs != 7 {
		t.Errorf("the shop uses %d OCUs, want ui 1 + api 4 + db 1 + metrics 1", tenant.Status.Usage.OCUs)
	}
	inOwnCluster(t, tenant.Status.VirtualCluster)
	t.Run("rollout of the API", rollAPI)
	t.Run("shell", shellIntoAcme)
	t.Run("down and up", func(t *testing.T) {
		berth.berth(t, "down", "--name", instanceName)
		makeUp(t)
		hasItem(t, "Tornado seeds")
		ownAnswers(t, "api.acme-shop.localhost", "/api/items", 200, "Tornado seeds")
	})
}

// hasItem waits until the shop has an item: its API connects to the database when that is
// ready, which may be after the release is live.
func hasItem(t *testing.T, name string) {
	t.Helper()
	eventually(t, time.Minute, "the shop has the item "+name, func() (bool, string) {
		code, body := berth.get(t, berth.url("api--shop.acme", "/api/items"))
		return code == 200 && strings.Contains(body, name), fmt.Sprint(code, " ", body)
	})
}

// makeUp does what `make up` does and types the command it prints.
func makeUp(t *testing.T) {
	t.Helper()
	deploy := exec.Command("go", "run", "./examples/acme/deploy", "--name", instanceName, "--pool", "1")
	deploy.Dir = filepath.Dir(filepath.Dir(berth.cli))
	deploy.Env = append(os.Environ(), "BERTH_HOME="+berth.home)
	deploy.Stderr = os.Stderr
	start := time.Now()
	out, err := deploy.Output()
	if err != nil {
		t.Fatalf("deploying the shop: %v\n%s", err, out)
	}
	t.Logf("the shop is deployed after %s", time.Since(start).Round(100*time.Millisecond))
	typed := 0
	for line := range strings.Lines(string(out)) {
		printed, ok := strings.CutPrefix(strings.TrimSpace(line), "curl ")
		if !ok {
			continue
		}
		typed++
		page, err := exec.Command("sh", "-c", "curl --fail --silent --show-error "+printed).CombinedOutput()
		if err != nil || !strings.Contains(string(page), "<title>Acme") {
			t.Errorf("curl %s: %v\n%s", printed, err, page)
		}
	}
	if typed != 2 {
		t.Fatalf("%d commands are printed, not one for the shop's host and one for its own domain:\n%s", typed, out)
	}
}

// rollAPI releases and scales the shop's API while 200 requests a second read its items. Of a
// single OCU, a tenth of a CPU, so many are all that a process can do: a new one would have
// to open its connections to the database at the same time, and answers late by itself.
func rollAPI(t *testing.T) {
	rollout{tenant: "acme", app: "shop", name: "api", ocus: 2, others: 3, plan: 20}.run(t, target{
		image: func(version string) string { return "registry.berth.internal/acme/api:" + version },
		version: func(t *testing.T) string {
			t.Helper()
			var answer struct{ Version string }
			if _, body := berth.get(t, berth.url("api--shop.acme", "/version")); json.Unmarshal([]byte(body), &answer) != nil {
				return body
			}
			return answer.Version
		},
		load: func(t *testing.T) *load {
			t.Helper()
			return startReading(t, berth.url("api--shop.acme", "/api/items"), 200)
		},
	})
}

// shellIntoAcme types into an interactive shell, in a terminal of 100 by 30 characters.
func shellIntoAcme(t *testing.T) {
	shell := exec.Command("script", "--quiet", "--return", "--command",
		"stty cols 100 rows 30; exec "+berth.cli+" shell -t acme -a shop -c db", os.DevNull)
	shell.Env = berth.command().Env
	shell.Stdin = strings.NewReader("stty size; echo $((6 * 7))-$BERTH_COMPONENT; exit 3\n")
	out, err := shell.CombinedOutput()
	for _, want := range []string{"30 100", "42-db"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the shell does not say %q:\n%s", want, out)
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("the shell ends with %v, want the exit code that was typed, 3", err)
	}
	eventually(t, time.Minute, "the shell's process is gone", func() (bool, string) {
		left := berth.berth(t, "ps", "-t", "acme", "-a", "shop")
		return !strings.Contains(left, "run."), left
	})
}

// inOwnCluster fails the scenario unless the shop's four processes run in the namespace of
// the tenant's virtual cluster, and none elsewhere.
func inOwnCluster(t *testing.T, cluster string) {
	t.Helper()
	var pods corev1.PodList
	if err := berth.host.List(t.Context(), &pods, client.MatchingLabels{berthv1.LabelApp: "shop"}); err != nil {
		t.Fatal(err)
	}
	var components []string
	for _, pod := range pods.Items {
		if pod.Namespace != berthv1.HostNamespace(cluster) {
			t.Errorf("%s runs in %s", pod.Name, pod.Namespace)
		}
		if pod.Labels[berthv1.LabelRun] == "" {
			components = append(components, pod.Labels[berthv1.LabelComponent])
		}
	}
	slices.Sort(components)
	if diff := cmp.Diff([]string{"api", "db", "metrics", "ui"}, components); diff != "" {
		t.Errorf("what runs in the tenant's cluster (-want +got):\n%s", diff)
	}
}
