package certificate_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libdns/libdns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/apps/certificates"
	"github.com/berth-dev/berth/apps/reconcilers/certificate"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/internal/logging"
)

// worlds counts them, so that a test that runs twice meets nothing of its first run.
var worlds atomic.Int64

// domain whose zone wildcards are proven in.
const domain = "berth.example"

func TestMain(m *testing.M) {
	logging.Install(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// world is a real API server, a real authority and an edge that answers it.
type world struct {
	t         *testing.T
	client    client.WithWatch
	clock     *testclock.FakePassiveClock
	authority *kubetest.Authority
	// mute edges do not answer the authority.
	mute atomic.Bool
	// unique is part of every name of the test.
	unique string

	orders apps.Authority
	r      *certificate.Reconciler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := newQuietWorld(t)
	w.openAuthority()
	return w
}

// openAuthority starts the authority and the edge.
func (w *world) openAuthority() {
	w.t.Helper()
	t := w.t
	edge := httptest.NewServer(http.HandlerFunc(w.edge))
	t.Cleanup(edge.Close)
	address, ok := edge.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(edge.Listener.Addr())
	}
	w.authority = kubetest.StartAuthority(t, address.Port)
	w.orders = w.authorityFor(w.client)
	w.start(w.orders)
}

// authorityFor is what a controller with a client makes of its configuration.
func (w *world) authorityFor(c client.Client) apps.Authority {
	w.t.Helper()
	authority, err := certificates.New(certificates.Config{
		Directory: w.authority.Directory, Email: "operator@shop.example", Roots: w.authority.Roots,
		Accounts: &certificates.Accounts{Client: c, Namespace: v1alpha1.CertificateNamespace},
		DNS:      &certificates.DNS{Zone: zone{w.authority}, Domain: domain},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return authority
}

// newQuietWorld has no authority. Tests run side by side: what they wait for is mostly the
// authority.
func newQuietWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return newSerialWorld(t)
}

func newSerialWorld(t *testing.T) *world {
	t.Helper()
	env := kubetest.Start(t)
	config := rest.CopyConfig(env.Config)
	config.QPS = -1
	c, err := client.NewWithWatch(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(t.Name(), worlds.Add(1))))
	w := &world{
		t: t, client: c, clock: testclock.NewFakePassiveClock(time.Now().Truncate(time.Second).Add(time.Minute)), unique: "t" + hex.EncodeToString(sum[:4]),
	}
	for _, name := range []string{v1alpha1.CertificateNamespace, v1alpha1.ManagementNamespace(w.unique)} {
		err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	w.start(nil)
	return w
}

// start makes a reconciler, as a controller does that was just started.
func (w *world) start(authority apps.Authority) {
	w.r = certificate.New(certificate.Options{
		Client: w.client, Reader: w.client, Authority: authority, Clock: w.clock, Domain: domain,
	})
}

// edge answers challenges as the edge does: from the Certificate of exactly that host.
func (w *world) edge(out http.ResponseWriter, r *http.Request) {
	token, found := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	host, _, _ := strings.Cut(r.Host, ":")
	c := &v1alpha1.Certificate{}
	err := w.client.Get(r.Context(), key(host), c)
	if err != nil || !found || w.mute.Load() || c.Status.Challenge == nil || c.Status.Challenge.Token != token {
		http.NotFound(out, r)
		return
	}
	_, _ = out.Write([]byte(c.Status.Challenge.KeyAuthorization))
}

// zone is the DNS that the authority asks.
type zone struct{ authority *kubetest.Authority }

func (z zone) SetRecords(ctx context.Context, at string, records []libdns.Record) ([]libdns.Record, error) {
	for _, record := range records {
		if err := z.authority.SetTXT(ctx, libdns.AbsoluteName(record.RR().Name, at), record.RR().Data); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (z zone) DeleteRecords(ctx context.Context, at string, records []libdns.Record) ([]libdns.Record, error) {
	for _, record := range records {
		if err := z.authority.SetTXT(ctx, libdns.AbsoluteName(record.RR().Name, at), ""); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func key(host string) client.ObjectKey {
	return client.ObjectKey{Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host)}
}

// host is one of the test's own.
func (w *world) host() string { return w.unique + ".shop.example" }

// want makes a Certificate; upload names the tenant's Secret, if any.
func (w *world) want(host, upload string) {
	w.t.Helper()
	c := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CertificateNamespace, Name: v1alpha1.DomainName(host)},
		Spec:       v1alpha1.CertificateSpec{Host: host, Tenant: w.unique},
	}
	if upload != "" {
		c.Spec.Uploaded = &v1alpha1.SecretRef{Namespace: v1alpha1.ManagementNamespace(w.unique), Name: upload}
	}
	if err := w.client.Create(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// reconcile looks at a certificate once.
func (w *world) reconcile(host string) ctrl.Result {
	w.t.Helper()
	result, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key(host)})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) certificate(host string) *v1alpha1.Certificate {
	w.t.Helper()
	c := &v1alpha1.Certificate{}
	if err := w.client.Get(w.t.Context(), key(host), c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// wantIssued fails the test unless the condition Issued is like this and Ready agrees.
func (w *world) wantIssued(host string, status metav1.ConditionStatus, reason string, says ...string) *v1alpha1.Certificate {
	w.t.Helper()
	c := w.certificate(host)
	got := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionIssued)
	if got == nil || got.Status != status || got.Reason != reason {
		w.t.Fatalf("Issued is %+v, want %s %s", got, status, reason)
	}
	for _, text := range says {
		if !strings.Contains(got.Message, text) {
			w.t.Errorf("Issued says %q, want %q in it", got.Message, text)
		}
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != status {
		w.t.Errorf("Ready is %+v while Issued is %s", ready, status)
	}
	if c.Status.Challenge != nil {
		w.t.Error("a challenge is left over")
	}
	return c
}

// served gives the pair that the edge reads, and fails the test if it is not good now.
func (w *world) served(host string) apps.Pair {
	w.t.Helper()
	secret := &corev1.Secret{}
	if err := w.client.Get(w.t.Context(), key(host), secret); err != nil {
		w.t.Fatal(err)
	}
	pair := apps.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
	if _, err := apps.CheckPair(pair.Certificate, pair.Key, host, w.clock.Now()); err != nil {
		w.t.Errorf("what is served: %v", err)
	}
	if owner := metav1.GetControllerOf(secret); owner == nil || owner.UID != w.certificate(host).UID {
		w.t.Errorf("the Secret belongs to %+v", owner)
	}
	if secret.Type != corev1.SecretTypeTLS || secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedByBerth {
		w.t.Errorf("the Secret is of type %s with labels %v", secret.Type, secret.Labels)
	}
	return pair
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }
