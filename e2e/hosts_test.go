package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
)

// silenceLimit is how long it may take until a host that went away is known to be: a minute
// without a sign of it, and a look every quarter of a minute.
const silenceLimit = 2 * time.Minute

// TestHosts: a second cluster, with an API server of its own, is a host of the first. Its
// tenants are used through the first like any other and nothing of theirs is there; through
// either edge no request of theirs is lost in a rollout. Its edge takes the first one's names too,
// the platform's among them. While the host is cordoned or away no tenant is placed on it, with a
// reason, and afterwards everything is as it was.
func TestHosts(t *testing.T) {
	const name = hostName
	up := instanceUp(t, name, "--join", instanceName, "--region", "eu", "--pool", "1")
	t.Cleanup(func() { berth.berth(t, "down", "--name", name, "--delete") })
	leave := []string{"hostclusters:leave", name, "--management-context", "berth-" + instanceName, "--timeout", "2m"}
	t.Cleanup(func() { berth.try(t, leave...) }) // it has left already, unless the scenario failed
	eu := &hostStand{name: name, client: instanceClient(t, up.Kubeconfig)}
	if out := berth.berth(t, "regions"); !strings.Contains(out, "eu") {
		t.Errorf("the region is not offered: %s", out)
	}

	berth.berth(t, "tenants:create", "overseas", "--plan", "small", "--region", "eu")
	cluster := clusterOf(t, "overseas")
	eu.runs(t, cluster)
	berth.apply(t, "overseas", helloApp)
	answers(t, "hello.overseas", "/version", 200, "1")
	t.Run("used like any other", func(t *testing.T) { usedFromAfar(t, berth, "overseas") })
	t.Run("a rollout through both edges", func(t *testing.T) {
		here := startLoad(t, berth.url("hello.overseas", "/"), 20)
		there := startLoad(t, fmt.Sprintf("https://hello.overseas.%s:%d/", up.Domain, up.HTTPSPort), 20)
		berth.berth(t, "deploy", "-t", "overseas", "-a", "hello", "web="+testImage("2"))
		answers(t, "hello.overseas", "/version", 200, "2")
		here.end(t)
		there.end(t)
	})
	t.Run("its edge takes every name", func(t *testing.T) { takesEveryName(t, up) })
	t.Run("cordoned", func(t *testing.T) { eu.cordoned(t) })
	t.Run("away and back", func(t *testing.T) { eu.awayAndBack(t) })

	berth.berth(t, "tenants:delete", "overseas", "--confirm", "overseas")
	eu.nothingOf(t, cluster)
	berth.berth(t, leave...)
	if out := berth.berth(t, "hostclusters"); strings.Contains(out, name) {
		t.Errorf("a host that left is still listed: %s", out)
	}
	everythingReady(t)
	nothingOrphaned(t)
}

// usedFromAfar does with a tenant's app what goes through the portal and what goes through
// the tenant's own API server.
func usedFromAfar(t *testing.T, s *stand, tenant string) {
	t.Helper()
	in := []string{"-t", tenant, "-a", "hello"}
	if out := s.berth(t, append([]string{"ps"}, in...)...); !strings.Contains(out, "web.") {
		t.Errorf("ps: %s", out)
	}
	if out := s.berth(t, append([]string{"logs"}, in...)...); !strings.Contains(out, "listening on") {
		t.Errorf("logs: %s", out)
	}
	if out := s.berth(t, append([]string{"run"}, append(in, "--", "/testapp", "resolve", "web")...)...); !strings.Contains(out, ".") {
		t.Errorf("a one-off process resolves the component web to: %s", out)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	s.berth(t, "kubeconfig", "-t", tenant, "--file", kubeconfig)
	out, err := s.kubectl(kubeconfig, "exec", "-n", "hello", "deploy/web", "--", "/testapp", "resolve", "web")
	if err != nil || !strings.Contains(out, ".") {
		t.Errorf("kubectl exec: %v: %s", err, out)
	}
}

// takesEveryName asks the host's edge for what runs on the management cluster: an app, and the
// platform itself, by commands whose login leads to that edge.
func takesEveryName(t *testing.T, up upResult) {
	t.Helper()
	berth.tenant(t, "inland", "small")
	berth.apply(t, "inland", helloApp)
	answers(t, "hello.inland", "/version", 200, "1")
	there := *berth
	there.up.HTTPSPort = up.HTTPSPort
	eventually(t, time.Minute, "the host's edge answers for an app of the management cluster", func() (bool, string) {
		ok, seen := there.answer(there.url("hello.inland", "/version"))
		return ok && seen == "1", seen
	})

	raw, err := os.ReadFile(berth.up.CLIConfig)
	if err != nil {
		t.Fatal(err)
	}
	var login map[string]any
	decode(t, string(raw), &login)
	login["url"] = there.url("api", "")
	if raw, err = json.Marshal(login); err != nil {
		t.Fatal(err)
	}
	there.up.CLIConfig = filepath.Join(t.TempDir(), "cli.json")
	if err := os.WriteFile(there.up.CLIConfig, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := there.berth(t, "whoami"); !strings.Contains(out, fmt.Sprintf(":%d", up.HTTPSPort)) {
		t.Fatalf("the commands do not ask the host's edge: %s", out)
	}
	usedFromAfar(t, &there, "inland")
}

// hostStand is a host of the management cluster, seen from its own API server.
type hostStand struct {
	name   string
	client client.Client
}

// runs wants a virtual cluster to be on this host and nothing of it on the management cluster.
func (h *hostStand) runs(t *testing.T, cluster string) {
	t.Helper()
	var vc berthv1.VirtualCluster
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: cluster}, &vc); err != nil {
		t.Fatal(err)
	}
	if vc.Spec.HostCluster != h.name {
		t.Errorf("the tenant's cluster is on %s", vc.Spec.HostCluster)
	}
	namespace := client.ObjectKey{Name: berthv1.HostNamespace(cluster)}
	if err := h.client.Get(t.Context(), namespace, &corev1.Namespace{}); err != nil {
		t.Errorf("on the host: %v", err)
	}
	if err := berth.host.Get(t.Context(), namespace, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("the management cluster has a namespace for it too (%v)", err)
	}
	var quotas corev1.ResourceQuotaList
	if err := h.client.List(t.Context(), &quotas, client.InNamespace(namespace.Name)); err != nil || len(quotas.Items) == 0 {
		t.Errorf("the plan's limits are not on the host: %v", err)
	}
}

// cordoned keeps a tenant off the host although there is room, until it is let in.
func (h *hostStand) cordoned(t *testing.T) {
	t.Helper()
	eventually(t, 3*time.Minute, "a cluster ready on the host", func() (bool, string) {
		why := h.skipped(t)
		return why.Reason == "", why.Reason + ": " + why.Message
	})
	berth.berth(t, "hostclusters:cordon", h.name)
	t.Cleanup(func() { berth.berth(t, "hostclusters:uncordon", h.name) })
	eventually(t, 15*time.Second, "the host is listed as cordoned", func() (bool, string) {
		why := h.skipped(t)
		return why.Reason == berthv1.ReasonCordoned, why.Reason + ": " + why.Message
	})
	berth.berth(t, "tenants:create", "patient", "--plan", "small", "--region", "eu", "--no-wait")
	t.Cleanup(func() { berth.berth(t, "tenants:delete", "patient", "--confirm", "patient") })
	eventually(t, time.Minute, "the tenant is told that the one cluster is being serviced", func() (bool, string) {
		bound := tenantCondition(t, "patient", berthv1.ConditionClusterBound)
		return bound.Status == metav1.ConditionFalse && strings.Contains(bound.Message, "1 is being serviced"), bound.Message
	})
	out := berth.berth(t, "tenants:info", "patient")
	if !strings.Contains(out, "is being serviced") || strings.Contains(out, h.name) {
		t.Errorf("a tenant is told why, and not which host: %s", out)
	}
	if cluster := clusterOf(t, "patient"); cluster != "" {
		t.Errorf("it has the cluster %s all the same", cluster)
	}
	berth.berth(t, "hostclusters:uncordon", h.name)
	eventually(t, 3*time.Minute, "the tenant is let in", func() (bool, string) {
		ready := tenantCondition(t, "patient", berthv1.ConditionReady)
		return ready.Status == metav1.ConditionTrue, ready.Message
	})
	h.runs(t, clusterOf(t, "patient"))
}

// awayAndBack stops the host and starts it again, while an app of the management cluster is under load.
func (h *hostStand) awayAndBack(t *testing.T) {
	t.Helper()
	berth.tenant(t, "ashore", "small")
	berth.apply(t, "ashore", helloApp)
	load := startLoad(t, berth.url("hello.ashore", "/"), 20)
	berth.berth(t, "down", "--name", h.name)
	stopped := time.Now()
	answers(t, "hello.overseas", "/", 503, "Its host is away")
	eventually(t, silenceLimit, "the host is known to be away", func() (bool, string) {
		why := h.skipped(t)
		return why.Reason == berthv1.ReasonUnreachable, why.Reason + ": " + why.Message
	})
	t.Logf("known to be away %s after it began to stop", time.Since(stopped).Round(time.Second))
	berth.berth(t, "tenants:create", "hopeful", "--plan", "small", "--region", "eu", "--no-wait")
	t.Cleanup(func() { berth.berth(t, "tenants:delete", "hopeful", "--confirm", "hopeful") })
	eventually(t, time.Minute, "the tenant is told that no cluster answers", func() (bool, string) {
		bound := tenantCondition(t, "hopeful", berthv1.ConditionClusterBound)
		return bound.Status == metav1.ConditionFalse && strings.Contains(bound.Message, "does not answer"), bound.Message
	})
	load.end(t)

	started := time.Now()
	instanceUp(t, h.name)
	eventually(t, 3*time.Minute, "the app on the host answers again", func() (bool, string) {
		code, body := berth.get(t, berth.url("hello.overseas", "/version"))
		return code == 200 && body == "2", body
	})
	t.Logf("its app answers again %s after `berth up` began", time.Since(started).Round(time.Second))
	eventually(t, 3*time.Minute, "the tenant that waited is served", func() (bool, string) {
		bound := tenantCondition(t, "hopeful", berthv1.ConditionReady)
		return bound.Status == metav1.ConditionTrue, bound.Message
	})
}

// skipped is why no tenant is placed on the host, as operators are shown it; empty if one is.
func (h *hostStand) skipped(t *testing.T) apiclient.Skipped {
	t.Helper()
	var all []apiclient.HostCluster
	decode(t, berth.berth(t, "hostclusters", "--json"), &all)
	for i := range all {
		if all[i].Name == h.name && all[i].Skipped != nil {
			return *all[i].Skipped
		}
	}
	return apiclient.Skipped{}
}

func tenantCondition(t *testing.T, tenant, kind string) metav1.Condition {
	t.Helper()
	var found berthv1.Tenant
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: tenant}, &found); err != nil {
		t.Fatal(err)
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

// nothingOf wants nothing of a virtual cluster to be left on the host.
func (h *hostStand) nothingOf(t *testing.T, cluster string) {
	t.Helper()
	eventually(t, time.Minute, "nothing left on the host", func() (bool, string) {
		err := h.client.Get(t.Context(), client.ObjectKey{Name: berthv1.HostNamespace(cluster)}, &corev1.Namespace{})
		if !apierrors.IsNotFound(err) {
			return false, "its namespace"
		}
		var secrets corev1.SecretList
		if err := h.client.List(t.Context(), &secrets, client.InNamespace(systemNamespace)); err != nil {
			return false, err.Error()
		}
		for _, secret := range secrets.Items {
			if strings.Contains(secret.Name, cluster) {
				return false, "Secret " + secret.Name
			}
		}
		var volumes corev1.PersistentVolumeList
		if err := h.client.List(t.Context(), &volumes); err != nil {
			return false, err.Error()
		}
		for _, volume := range volumes.Items {
			if claim := volume.Spec.ClaimRef; claim != nil && claim.Namespace == berthv1.HostNamespace(cluster) {
				return false, "volume " + volume.Name
			}
		}
		return true, ""
	})
}
