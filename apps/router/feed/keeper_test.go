package feed_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps/router/feed"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
	"github.com/berth-dev/berth/internal/kubetest"
)

// own gives the world's tenant a domain with a certificate.
func (w *world) own(t *testing.T, host string) {
	t.Helper()
	tenant := w.vc.Spec.ClaimRef.Name
	domain := tabletest.OwnDomain(tenant, host, w.route.Name)
	status := domain.Status
	domain.UID = ""
	w.create(t, &domain)
	domain.Status = status
	if err := w.client.Status().Update(t.Context(), &domain); err != nil {
		t.Fatal(err)
	}
	claim := tabletest.Claim(domain)
	w.create(t, &claim)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.CertificateNamespace}}
	if err := w.client.Create(t.Context(), namespace); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	secret := tabletest.Pair(host, tabletest.Epoch.AddDate(10, 0, 0), host)
	secret.UID, secret.ResourceVersion = "", ""
	w.create(t, &secret)
	certificate := tabletest.Challenge(host, "token", "token.print")
	challenge := certificate.Status
	w.create(t, &certificate)
	certificate.Status = challenge
	if err := w.client.Status().Update(t.Context(), &certificate); err != nil {
		t.Fatal(err)
	}
}

func TestTheNextProcessServesWhatTheLastKnewWhileTheAPIServerIsAway(t *testing.T) {
	env := kubetest.Start(t)
	w := newWorld(t, env.Client, "keep", "keepkeep", "10.3.0.1:8080")
	g, config := behind(t, env.Config)
	dir := t.TempDir()

	const host = "www.keep.example"
	first, f, stop := runIn(t, config, nil, dir, slog.New(slog.DiscardHandler))
	eventually(t, "the table is filled", f.Ready)
	w.own(t, host)
	eventually(t, "the domain is served", serves(first, host, "10.3.0.1:8080"))
	eventually(t, "its certificate is used", func() bool { return first.Certificate(host, tabletest.Epoch) != nil })
	eventually(t, "its challenge is answered", func() bool { _, ok := first.Challenge(host, "token"); return ok })
	stop()
	if err := g.close(); err != nil {
		t.Fatal(err)
	}

	kept := filepath.Join(dir, "sources.json")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("what is kept: %v, %v", info, err)
	}
	second, f, stop := runIn(t, config, nil, dir, slog.New(slog.DiscardHandler))
	defer stop()
	eventually(t, "the table is filled without API server", f.Ready)
	if !f.Stale() || !serves(second, host, "10.3.0.1:8080")() || !serves(second, w.host, "10.3.0.1:8080")() ||
		second.Certificate(host, tabletest.Epoch) == nil {
		t.Errorf("stale %v; what was kept is not served", f.Stale())
	}
	w.slice.Endpoints[0].Addresses = []string{"10.3.0.2"}
	w.update(t, &w.slice)
	g.open(t)
	t.Cleanup(func() { _ = g.close() })
	eventually(t, "the cluster is followed again", serves(second, w.host, "10.3.0.2:8080"))
	eventually(t, "the table is not stale any more", func() bool { return !f.Stale() })
}

// messages gives the first message of a log.
type messages chan string

func (m messages) Write(p []byte) (int, error) {
	select {
	case m <- string(p):
	default:
	}
	return len(p), nil
}

func TestWhatWasKeptTooLongAgoIsNotServed(t *testing.T) {
	env := kubetest.Start(t)
	w := newWorld(t, env.Client, "old", "oldoldol", "10.4.0.1:8080")
	dir := t.TempDir()
	_, f, stop := runIn(t, env.Config, nil, dir, slog.New(slog.DiscardHandler))
	eventually(t, "the table is filled", f.Ready)
	stop()
	long := time.Now().Add(-feed.StaleLimit - time.Minute)
	if err := os.Chtimes(filepath.Join(dir, "sources.json"), long, long); err != nil {
		t.Fatal(err)
	}
	g, config := behind(t, env.Config)
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	logged := make(messages, 1)
	tbl, f, stop := runIn(t, config, nil, dir, slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelWarn})))
	defer stop()
	if got := <-logged; !strings.Contains(got, "too old") {
		t.Errorf("the log says %s", got)
	}
	if _, ok := tbl.Lookup(w.host); ok || f.Ready() {
		t.Error("it is served all the same")
	}
}

func TestTheEdgeServesWithoutTheRightToReadDomains(t *testing.T) {
	env := kubetest.Start(t)
	w := newWorld(t, env.Client, "less", "lesslesl", "10.5.0.1:8080")
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "less"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"berth.dev"}, Resources: []string{"routes", "virtualclusters", "hostclusters"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
		},
	}
	w.create(t, role)
	w.create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "less"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "less"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "less"}},
	})
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "less"}
	tbl := run(t, config)
	if !serves(tbl, w.host, "10.5.0.1:8080")() {
		t.Error("a route is not served")
	}
	role.Rules = append(role.Rules, rbacv1.PolicyRule{
		APIGroups: []string{"berth.dev"}, Resources: []string{"domains", "domainclaims", "certificates"}, Verbs: []string{"list", "watch"},
	})
	w.update(t, role)
	const host = "www.less.example"
	w.own(t, host)
	eventually(t, "domains are served once they may be read", serves(tbl, host, "10.5.0.1:8080"))
}
