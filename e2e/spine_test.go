package e2e

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// helloApp is an app of one exposed component.
const helloApp = `app: hello
components:
  web:
    image: registry.berth.internal/test/app:1
    command: [/testapp, serve]
    ports:
      http: {port: 8080, expose: true}
    health: {path: /healthz}
config:
  GREETING: ahoy
`

// TestSpine is the short way through everything: a tenant claims a virtual cluster, an
// app is deployed on it and answers at the edge, is released again, rolled back, scaled and
// looked into, and leaves nothing when the tenant is deleted.
func TestSpine(t *testing.T) {
	berth.berth(t, "tenants:create", "spine", "--plan", "small")
	var tenant berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: "spine"}, &tenant); err != nil {
		t.Fatal(err)
	}
	cluster := tenant.Status.VirtualCluster

	out := berth.apply(t, "spine", helloApp)
	if !strings.Contains(out, "hello.spine.") {
		t.Errorf("apply does not say the URL: %s", out)
	}
	answers(t, "hello.spine", "/", 200, "hello from web 1")
	if _, body := berth.get(t, berth.url("hello.spine", "/env?name=GREETING")); body != "ahoy" {
		t.Errorf("GREETING is %q inside", body)
	}
	if again := berth.apply(t, "spine", helloApp); !strings.Contains(again, "nothing to do") {
		t.Errorf("a second apply is not idempotent: %s", again)
	}

	in := []string{"-t", "spine", "-a", "hello"}
	followed := follow(t, in...)
	followed.wait(t, "listening on")
	berth.berth(t, append([]string{"deploy", "web=" + testImage("2")}, in...)...)
	answers(t, "hello.spine", "/version", 200, "2")
	berth.get(t, berth.url("hello.spine", "/of-a-new-process"))
	followed.wait(t, "GET /of-a-new-process")
	berth.berth(t, append([]string{"rollback", "v1"}, in...)...)
	answers(t, "hello.spine", "/version", 200, "1")
	berth.berth(t, append([]string{"ps:scale", "web=2"}, in...)...)
	eventually(t, time.Minute, "two processes", func() (bool, string) {
		out := berth.berth(t, append([]string{"ps"}, in...)...)
		return strings.Count(out, "web.") == 2, out
	})
	if logs := berth.berth(t, append([]string{"logs"}, in...)...); !strings.Contains(logs, "listening on") {
		t.Errorf("logs: %s", logs)
	}
	if ran := berth.berth(t, append([]string{"run"}, append(in, "--", "/testapp", "resolve", "web")...)...); !strings.Contains(ran, ".") {
		t.Errorf("a one-off process resolves the component web to: %s", ran)
	}

	berth.berth(t, "tenants:delete", "spine", "--confirm", "spine")
	for name, gone := range map[string]client.Object{
		"spine": &berthv1.Tenant{}, cluster: &berthv1.VirtualCluster{},
		berthv1.HostNamespace(cluster): &corev1.Namespace{}, berthv1.ManagementNamespace("spine"): &corev1.Namespace{},
	} {
		if err := berth.host.Get(t.Context(), client.ObjectKey{Name: name}, gone); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s is still there (%v)", gone, name, err)
		}
	}
	answers(t, "hello.spine", "/", 404, "")
}

// answers waits until an address answers as wanted: the edge learns of a change a moment
// after the command that made it has returned.
func answers(t *testing.T, host, path string, code int, body string) {
	t.Helper()
	eventually(t, 15*time.Second, fmt.Sprintf("%s%s answers %d %s", host, path, code, body), func() (bool, string) {
		gotCode, gotBody := berth.get(t, berth.url(host, path))
		return gotCode == code && strings.Contains(gotBody, body), fmt.Sprint(gotCode, " ", gotBody)
	})
}

// following is a `berth logs --follow` that runs.
type following struct{ lines chan string }

// follow starts to follow an app's logs until the scenario ends, of Ctrl-C.
func follow(t *testing.T, in ...string) *following {
	t.Helper()
	command := berth.command(append([]string{"logs", "--follow"}, in...)...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	f := &following{lines: make(chan string, 1000)}
	go func() {
		defer close(f.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			f.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt) // it may have ended with the app
		_ = command.Wait()
	})
	return f
}

// wait reads until a line has a text.
func (f *following) wait(t *testing.T, text string) {
	t.Helper()
	var last string
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				t.Fatalf("the logs ended before %q; the last line: %s", text, last)
			}
			if last = line; strings.Contains(line, text) {
				return
			}
		case <-late:
			t.Fatalf("no line with %q in the logs that follow; the last line: %s", text, last)
		}
	}
}
