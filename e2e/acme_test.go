package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestAcme does what `make up` does, on the scenarios' instance, and then types the
// command it prints: the shop's page comes from inside the tenant's virtual cluster, its
// items from the database. An interactive shell is opened beside it, and all of
// it is back after `make down` and `make up`.
func TestAcme(t *testing.T) {
	t.Cleanup(func() { deleteTenants(t, tenantNamed("acme")) })
	makeUp(t)
	if code, body := berth.get(t, berth.url("api--shop.acme", "/api/items")); code != 200 || !strings.Contains(body, "Rocket skates") {
		t.Errorf("the items: %d %s", code, body)
	}
	if code, body := berth.get(t, berth.url("api--shop.acme", "/api/metrics")); code != 200 {
		t.Errorf("the metrics: %d %s", code, body)
	}
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "acme"}, &tenant); err != nil {
		t.Fatal(err)
	}
	if tenant.Status.Usage.OCUs != 7 {
		t.Errorf("the shop uses %d OCUs, want ui 1 + api 4 + db 1 + metrics 1", tenant.Status.Usage.OCUs)
	}
	t.Run("shell", shellIntoAcme)
	t.Run("down and up", func(t *testing.T) {
		berth.berth(t, "down", "--name", instanceName)
		makeUp(t)
		eventually(t, time.Minute, "the shop's items are there again", func() (bool, string) {
			code, body := berth.get(t, berth.url("api--shop.acme", "/api/items"))
			return code == 200 && strings.Contains(body, "Rocket skates"), fmt.Sprint(code, " ", body)
		})
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
	_, after, ok := strings.Cut(string(out), "  curl ")
	if !ok {
		t.Fatalf("no command is printed:\n%s", out)
	}
	printed, _, _ := strings.Cut(after, "\n")
	page, err := exec.Command("sh", "-c", "curl --fail --silent --show-error "+printed).CombinedOutput()
	if err != nil || !strings.Contains(string(page), "<title>Acme") {
		t.Errorf("curl %s: %v\n%s", printed, err, page)
	}
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
	if left := berth.berth(t, "ps", "-t", "acme", "-a", "shop"); strings.Contains(left, "run.") {
		t.Errorf("the shell's process is left:\n%s", left)
	}
}
