package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

const fleetApp = `app: fleet
labels: {team: sea}
components:
  web:
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
    sidecars:
      shadow: {image: "registry.berth.internal/test/app:2", command: [/testapp, serve, "9100"], percent: 20}
  worker:
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
  tick:
    image: registry.berth.internal/test/app:1
    command: [/testapp, say, "the clock says hello"]
    cron: {schedule: "* * * * *", timeoutSeconds: 30}
config:
  GREETING: ahoy
`

// TestFleet runs what an app may be besides processes that serve: a sidecar within its
// component's OCUs and a component that runs by the clock. It restarts one component alone, finds
// apps by label, reads the history of settings and the access log, and reaches a port from
// this machine.
func TestFleet(t *testing.T) {
	berth.tenant(t, "fleet", "small")
	berth.apply(t, "fleet", strings.Replace(fleetApp, "worker:\n    image: "+testImage("1"), "worker:\n    image: "+pushWithTar(t), 1))
	answers(t, "fleet.fleet", "/version", 200, "1")
	in := []string{"-t", "fleet", "-a", "fleet"}
	run := func(args ...string) string { t.Helper(); return berth.berth(t, append(args, in...)...) }

	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "fleet"}, &tenant); err != nil {
		t.Fatal(err)
	}
	if tenant.Status.Usage.OCUs != 3 {
		t.Errorf("the app uses %d OCUs, want web 1 with its sidecar, worker 1, tick 1", tenant.Status.Usage.OCUs)
	}
	if body := forwarded(t, "9100", in...); body != "2" {
		t.Errorf("the sidecar answers %q through a forwarded port, want its own version, 2", body)
	}
	if found := berth.berth(t, "apps", "-t", "fleet", "--label", "team=sea"); !strings.Contains(found, "fleet") {
		t.Errorf("the app is not found by its label: %s", found)
	}
	if found := berth.berth(t, "apps", "-t", "fleet", "--label", "team=land", "--json"); strings.Contains(found, `"fleet"`) {
		t.Errorf("the app is found by another's label: %s", found)
	}

	t.Run("copies", func(t *testing.T) { copies(t, in...) })
	worker, web := processOf(t, "worker", in...), processOf(t, "web", in...)
	run("ps:restart", "worker")
	eventually(t, time.Minute, "another process of the worker", func() (bool, string) {
		now := processOf(t, "worker", in...)
		return now != "" && now != worker, now
	})
	if now := processOf(t, "web", in...); now != web {
		t.Errorf("a restart of the worker replaced %s by %s", web, now)
	}

	run("config:set", "GREETING=moin", "MOOD=calm")
	if said := run("config:diff"); !strings.Contains(said, "GREETING") || !strings.Contains(said, "MOOD") || strings.Contains(said, "moin") {
		t.Errorf("config:diff does not name what changed, or tells values unasked: %s", said)
	}
	if said := run("config:history", "--values"); !strings.Contains(said, "moin") {
		t.Errorf("config:history --values tells no values: %s", said)
	}

	berth.get(t, berth.url("fleet.fleet", "/of-a-visitor?token=hidden"))
	eventually(t, 20*time.Second, "the access log has the visit", func() (bool, string) {
		said := run("logs", "--access")
		if strings.Contains(said, "hidden") {
			t.Fatal("the access log tells the query, where secrets ride")
		}
		return strings.Contains(said, "/of-a-visitor"), said
	})
	eventually(t, 2*time.Minute+10*time.Second, "the clock's component has run", func() (bool, string) {
		said := run("logs", "-c", "tick")
		return strings.Contains(said, "the clock says hello"), said
	})
}

// TestDiagnose breaks an app in the usual ways and asks what is wrong with it.
func TestDiagnose(t *testing.T) {
	berth.tenant(t, "sick", "small")
	berth.apply(t, "sick", helloApp+"deployTimeoutSeconds: 30\n")
	answers(t, "hello.sick", "/version", 200, "1")
	in := []string{"-t", "sick", "-a", "hello"}
	if out, said, code := berth.try(t, append([]string{"apps:diagnose"}, in...)...); code != 0 {
		t.Errorf("a healthy app is said to be ill: %s%s", out, said)
	}
	for _, ill := range []struct {
		what string
		harm func()
		want []string
	}{
		{"a process that ends", func() { _, _ = berth.http.Get(berth.url("hello.sick", "/exit?code=9")) }, []string{"9", "ending as asked"}},
		{"a process that eats", func() {
			answers(t, "hello.sick", "/version", 200, "1") // started again after it ended
			_, _ = berth.http.Get(berth.url("hello.sick", "/eat?mib=1500"))
		}, []string{"memory", "1 GiB"}},
		{"a release that is not healthy", func() { berth.try(t, append([]string{"deploy", "web=" + testImage("unhealthy")}, in...)...) }, []string{
			"/healthz", "500", "What v2 changed of v1, the last good release:", "\n  ~ components.web.image: ",
		}},
		{"a variable that is missing", func() {
			berth.tryApply(t, "sick", strings.Replace(helloApp, "[/testapp, serve]", `[/testapp, exit, "1"]`, 1)+"deployTimeoutSeconds: 30\n")
		}, []string{"SHOP_KEY", "config:set", "What v3 changed of v1, the last good release:", `~ components.web.command: ["/testapp" "serve"] → ["/testapp" "exit" "1"]`}},
	} {
		t.Run(ill.what, func(t *testing.T) {
			ill.harm()
			eventually(t, time.Minute, "apps:diagnose says what is wrong", func() (bool, string) {
				out, _, code := berth.try(t, append([]string{"apps:diagnose"}, in...)...)
				for _, want := range ill.want {
					if !strings.Contains(out, want) {
						return false, fmt.Sprintf("no %q, exit code %d, in: %s", want, code, out)
					}
				}
				return code != 0, out
			})
		})
	}
}

// processOf is the name of the one process of a component that is up.
func processOf(t *testing.T, component string, in ...string) string {
	t.Helper()
	var all []struct {
		Name, Component string
		Ready           bool
	}
	decode(t, berth.berth(t, append([]string{"ps", "--json"}, in...)...), &all)
	name := ""
	for _, p := range all {
		if p.Component == component && p.Ready {
			if name != "" {
				return ""
			}
			name = p.Name
		}
	}
	return name
}

// forwarded asks a port of the app's web component for its version, from this machine.
func forwarded(t *testing.T, port string, in ...string) string {
	t.Helper()
	const local = "19100"
	forward := berth.command(append([]string{"port-forward", local + ":" + port, "-c", "web"}, in...)...)
	forward.Stderr = os.Stderr
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer endForward(t, forward)
	body := ""
	eventually(t, 20*time.Second, "the forwarded port answers", func() (bool, string) {
		response, err := http.Get("http://127.0.0.1:" + local + "/version")
		if err != nil {
			return false, err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		body = string(text)
		return err == nil && response.StatusCode == http.StatusOK, response.Status
	})
	return body
}

// endForward ends the command as Ctrl-C does.
func endForward(t *testing.T, forward *exec.Cmd) {
	t.Helper()
	if err := forward.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = forward.Wait() // its exit code says that it was interrupted
}
