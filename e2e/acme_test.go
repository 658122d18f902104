package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// TestAcme does what `make up` does, on the scenarios' instance, and then types the
// command it prints: the shop's page comes from inside the tenant's virtual cluster, its
// items from the database.
func TestAcme(t *testing.T) {
	deploy := exec.Command("go", "run", "./examples/acme/deploy", "--name", instanceName, "--pool", "1")
	deploy.Dir = filepath.Dir(filepath.Dir(berth.cli))
	deploy.Env = append(os.Environ(), "BERTH_HOME="+berth.home)
	deploy.Stderr = os.Stderr
	out, err := deploy.Output()
	if err != nil {
		t.Fatalf("deploying the shop: %v\n%s", err, out)
	}
	t.Cleanup(func() { deleteTenants(t, tenantNamed("acme")) })
	_, after, ok := strings.Cut(string(out), "  curl ")
	if !ok {
		t.Fatalf("no command is printed:\n%s", out)
	}
	printed, _, _ := strings.Cut(after, "\n")
	page, err := exec.Command("sh", "-c", "curl --fail --silent --show-error "+printed).CombinedOutput()
	if err != nil || !strings.Contains(string(page), "<title>Acme") {
		t.Errorf("curl %s: %v\n%s", printed, err, page)
	}
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
}
