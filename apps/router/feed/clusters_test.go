package feed_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/berth-dev/berth/apps/router/table"
	"github.com/berth-dev/berth/apps/router/table/tabletest"
	"github.com/berth-dev/berth/internal/kubetest"
)

func TestTheTableFollowsTwoClusters(t *testing.T) {
	env, host := kubetest.Start(t), kubetest.Host(t)
	w := newWorldOn(t, env.Client, host.Client, "two", "twotwotw", "10.6.0.1:8080")
	tbl, f, stop := runIn(t, env.Config, host.Config, t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(stop)
	eventually(t, "the table is filled", f.Ready)
	if !serves(tbl, w.host, "10.6.0.1:8080")() {
		t.Fatal("it is not served when the feed is ready")
	}

	// What looks like a process on the management cluster is none of ours.
	w.cluster = env.Client
	stray := w.slice
	stray.ObjectMeta = metav1.ObjectMeta{
		Namespace: w.slice.Namespace, Name: "stray", Labels: w.slice.Labels, OwnerReferences: w.slice.OwnerReferences,
	}
	stray.Endpoints = tabletest.EndpointSlice(w.service, "10.6.6.6:8080").Endpoints
	w.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.slice.Namespace}})
	w.create(t, &stray)
	w.cluster = host.Client

	w.slice.Endpoints[0].Addresses = []string{"10.6.0.2"}
	w.update(t, &w.slice)
	eventually(t, "a new process is used", serves(tbl, w.host, "10.6.0.2:8080"))
	w.route.Spec.Edge.Maintenance = true
	w.update(t, &w.route)
	eventually(t, "maintenance is on", maintained(tbl, w.host))

	ours := tabletest.HostCluster(w.vc.Spec.HostCluster, "", "")
	if err := env.Client.Delete(t.Context(), &ours); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody knows whose it is", func() bool { _, ok := tbl.Lookup(w.host); return !ok })
	elsewhere := tabletest.HostCluster(w.vc.Spec.HostCluster, "eu", "192.0.2.1:443")
	w.create(t, &elsewhere)
	eventually(t, "what another edge serves is sent there", serves(tbl, w.host, "192.0.2.1:443"))
}

func maintained(tbl *table.Table, host string) func() bool {
	return func() bool { target, ok := tbl.Lookup(host); return ok && target.Maintenance }
}

// apart is a world on two clusters, each behind a gate.
type apart struct {
	*world
	gates              map[string]*gate
	management, beside *rest.Config
	dir                string
}

func newApart(t *testing.T, tenant, id, address string) *apart {
	t.Helper()
	env, host := kubetest.Start(t), kubetest.Host(t)
	a := &apart{world: newWorldOn(t, env.Client, host.Client, tenant, id, address), gates: map[string]*gate{}, dir: t.TempDir()}
	a.gates["management"], a.management = behind(t, env.Config)
	a.gates["host"], a.beside = behind(t, host.Config)
	for _, g := range a.gates {
		t.Cleanup(func() { _ = g.close() })
	}
	return a
}

func (a *apart) shut(t *testing.T, name string) {
	t.Helper()
	if err := a.gates[name].close(); err != nil {
		t.Fatal(err)
	}
}

// move changes what each of the clusters says.
func (a *apart) move(t *testing.T, address string) {
	t.Helper()
	a.slice.Endpoints[0].Addresses = []string{address}
	a.update(t, &a.slice)
	a.route.Spec.Edge.Maintenance = true
	a.update(t, &a.route)
}

// What each of the clusters says while the other is away, and when it is back.
func TestOneOfTwoClustersIsAway(t *testing.T) {
	for away, test := range map[string]struct {
		tenant, before, after string
		seen                  string
		maintained            bool
	}{
		"management": {"mgone", "10.7.0.1", "10.7.0.2", "10.7.0.2:8080", false},
		"host":       {"hgone", "10.8.0.1", "10.8.0.2", "10.8.0.1:8080", true},
	} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			a := newApart(t, test.tenant, test.tenant+"abc", test.before+":8080")
			tbl, f, stop := runIn(t, a.management, a.beside, a.dir, slog.New(slog.DiscardHandler))
			defer stop()
			eventually(t, "the table is filled", f.Ready)
			a.shut(t, away)
			a.move(t, test.after)
			eventually(t, "the one that is there counts", func() bool {
				return serves(tbl, a.host, test.seen)() && maintained(tbl, a.host)() == test.maintained
			})
			a.gates[away].open(t)
			eventually(t, "the other is caught up with", func() bool {
				return serves(tbl, a.host, test.after+":8080")() && maintained(tbl, a.host)()
			})
			if f.Stale() {
				t.Error("the table is said to be an earlier process's")
			}
		})
	}
}

func TestTheNextProcessMixesWhatItSeesWithWhatTheLastKnew(t *testing.T) {
	for away, test := range map[string]struct {
		tenant, before, after string
		seen                  string
		maintained            bool
	}{
		"management": {"mnext", "10.9.0.1", "10.9.0.2", "10.9.0.2:8080", false},
		"host":       {"hnext", "10.10.0.1", "10.10.0.2", "10.10.0.1:8080", true},
	} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			a := newApart(t, test.tenant, test.tenant+"abc", test.before+":8080")
			_, f, stop := runIn(t, a.management, a.beside, a.dir, slog.New(slog.DiscardHandler))
			eventually(t, "the table is filled", f.Ready)
			stop()
			a.shut(t, away)
			a.move(t, test.after)
			long := time.Now().Add(-feedAge)
			kept := filepath.Join(a.dir, "sources.json")
			if err := os.Chtimes(kept, long, long); err != nil {
				t.Fatal(err)
			}
			tbl, f, stop := runIn(t, a.management, a.beside, a.dir, slog.New(slog.DiscardHandler))
			eventually(t, "the table is filled", f.Ready)
			eventually(t, "what is seen counts", func() bool {
				return f.Stale() && serves(tbl, a.host, test.seen)() && maintained(tbl, a.host)() == test.maintained
			})
			stop()
			info, err := os.Stat(kept)
			if err != nil {
				t.Fatal(err)
			}
			if renewed := info.ModTime().After(long.Add(time.Second)); renewed != (away == "management") {
				t.Errorf("what is kept was renewed: %v", renewed)
			}
			tbl, f, stop = runIn(t, a.management, a.beside, a.dir, slog.New(slog.DiscardHandler))
			defer stop()
			eventually(t, "the table is filled once more", f.Ready)
			a.gates[away].open(t)
			eventually(t, "all is followed again", func() bool {
				return !f.Stale() && serves(tbl, a.host, test.after+":8080")() && maintained(tbl, a.host)()
			})
		})
	}
}

// feedAge is how old what was kept is in tests: not too old.
const feedAge = 5 * time.Minute
