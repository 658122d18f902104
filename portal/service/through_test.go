package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// elsewhere is the name that a tenant's API server on another host cluster has.
const elsewhere = "abcd1234.k8s.berth.localhost"

// issuer signs the certificates of a fake edge.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	i.cert, i.key = i.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	return i
}

func (i *issuer) make(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	parent, parentKey := i.cert, i.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		i.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return made, key
}

func (i *issuer) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

// ownEdge is the portal's own edge, which passes on to a tenant's API server what is asked
// for by its name and with its token. It remembers what came.
type ownEdge struct {
	mu    sync.Mutex
	came  []string
	host  string
	inner http.Handler
}

func startEdge(t *testing.T, by *issuer, inner http.Handler) *ownEdge {
	t.Helper()
	e := &ownEdge{inner: inner}
	leaf, key := by.make(&x509.Certificate{DNSNames: []string{"*.k8s.berth.localhost"}})
	server := httptest.NewUnstartedServer(e)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	e.host = server.Listener.Addr().String()
	return e
}

// ServeHTTP implements http.Handler.
func (e *ownEdge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != elsewhere || r.TLS.ServerName != elsewhere || r.Header.Get("Authorization") != "Bearer of-the-tenant" {
		http.Error(w, "no such host", http.StatusMisdirectedRequest)
		return
	}
	e.mu.Lock()
	e.came = append(e.came, strings.TrimSpace(r.Method+" "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]+" "+r.Header.Get("Upgrade")))
	e.mu.Unlock()
	e.inner.ServeHTTP(w, r)
}

// tenantAPI is the little of a tenant's API that the portal uses.
func tenantAPI(t *testing.T) http.Handler {
	t.Helper()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1-aaaaa", Labels: map[string]string{v1alpha1.LabelApp: "shop", v1alpha1.LabelComponent: "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "web", ContainerID: "c1", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods", answer(corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{pod}}))
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods/web-1-aaaaa/log", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "2026-01-02T03:04:05Z hello\n")
	})
	mux.HandleFunc("POST /api/v1/namespaces/berth-system/serviceaccounts/member-operator/token", answer(authenticationv1.TokenRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"}, Status: authenticationv1.TokenRequestStatus{Token: "short"},
	}))
	mux.Handle("/api/v1/namespaces/shop/pods/web-1-aaaaa/portforward", ports(t))
	return mux
}

// tenantElsewhere is a portal whose tenant runs on another host cluster.
func tenantElsewhere(t *testing.T, address string, through string, roots ...*issuer) *Service {
	t.Helper()
	return tenantWith(t, "abcd1234", map[string]string{tenancy.AccessKeyEndpoint: elsewhere, tenancy.AccessKeyThrough: through}, address, roots...)
}

// tenantWith is a portal whose tenant has a cluster and a way to it.
func tenantWith(t *testing.T, id string, way map[string]string, address string, roots ...*issuer) *Service {
	t.Helper()
	access := map[string][]byte{tenancy.AccessKeyToken: []byte("of-the-tenant")}
	for key, value := range way {
		access[key] = []byte(value)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	namespace := v1alpha1.ManagementNamespace("acme")
	kube := fake.NewClientBuilder().WithScheme(scheme).WithObjects([]client.Object{
		&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Status: v1alpha1.TenantStatus{Namespace: namespace, VirtualCluster: id}},
		&v1alpha1.App{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec:       v1alpha1.AppSpec{Template: &v1alpha1.AppTemplate{Components: []v1alpha1.Component{{Name: "web"}}}},
		},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: tenancy.AccessSecret}, Data: access},
	}...).Build()
	return New(Options{
		Client: kube, Domain: "berth.localhost", Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)), EdgeAddress: address,
		EdgeRoots: func() ([]byte, error) {
			var all []byte
			for _, root := range roots {
				all = append(all, root.pem()...)
			}
			return all, nil
		},
	})
}

func TestATenantElsewhereIsReachedThroughThePortalsOwnEdge(t *testing.T) {
	own, public := newIssuer(t), newIssuer(t)
	process := ProcessRef{Process: "web.aaaaa"}
	for name, c := range map[string]struct {
		use  func(*Service) (string, error)
		says string
		came []string
	}{
		"processes": {func(s *Service) (string, error) {
			found, err := s.Processes(t.Context(), "acme", "shop")
			if len(found) != 1 {
				return "", err
			}
			return found[0].Name, err
		}, "web.aaaaa", []string{"GET pods"}},
		"logs": {func(s *Service) (said string, err error) {
			err = s.Logs(t.Context(), "acme", "shop", LogOptions{Tail: 5}, func(line LogLine) error {
				said += line.Text
				return nil
			})
			return said, err
		}, "hello", []string{"GET pods", "GET log"}},
		"a token for kubectl": {func(s *Service) (string, error) {
			got, err := s.MemberToken(t.Context(), "acme", tenancy.OperatorAccount)
			if err != nil {
				return "", err
			}
			return got.Status.Token, nil
		}, "short", []string{"POST token"}},
		// The edge of this test takes no websocket, so both ways are tried.
		"a port": {func(s *Service) (string, error) {
			sink := &heard{}
			err := s.Forward(t.Context(), "acme", "shop", process, 8080, Pipe{In: strings.NewReader("hello"), Sink: sink})
			return sink.String(), err
		}, "HELLO", []string{"GET pods", "GET portforward websocket", "POST portforward SPDY/3.1"}},
		"a copy": {func(s *Service) (string, error) {
			err := s.Upload(t.Context(), "acme", "shop", process, "/tmp", Pipe{In: strings.NewReader(""), Sink: &heard{}})
			if errs.CodeOf(err) == errs.Unavailable {
				err = nil // this API server has no exec
			}
			return "", err
		}, "", []string{"GET pods", "GET exec websocket", "POST exec SPDY/3.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for who, signer := range map[string]*issuer{"its own authority": own, "a public one": public} {
				edge := startEdge(t, signer, tenantAPI(t))
				said, err := c.use(tenantElsewhere(t, edge.host, tenancy.AccessThroughEdge, own, public))
				if err != nil || said != c.says {
					t.Errorf("signed by %s: got %q, %v", who, said, err)
				}
				edge.mu.Lock()
				if diff := cmp.Diff(c.came, slices.Compact(edge.came)); diff != "" {
					t.Errorf("signed by %s, the edge was asked: %s", who, diff)
				}
				edge.mu.Unlock()
			}
		})
	}
}

func TestAnEdgeThatNobodyVouchesForIsNotGivenTheToken(t *testing.T) {
	edge := startEdge(t, newIssuer(t), tenantAPI(t))
	_, err := tenantElsewhere(t, edge.host, tenancy.AccessThroughEdge, newIssuer(t)).Processes(t.Context(), "acme", "shop")
	if errs.CodeOf(err) != errs.Unavailable || len(edge.came) > 0 {
		t.Errorf("got %v, and it was asked %v", err, edge.came)
	}
}

func TestAccessOfAnUnknownKindIsRefused(t *testing.T) {
	_, err := tenantElsewhere(t, "127.0.0.1:1", "pigeon").Processes(t.Context(), "acme", "shop")
	if errs.CodeOf(err) != errs.Internal {
		t.Errorf("got %v", err)
	}
}

func TestTheAccessDoesNotChooseWhereThePortalConnects(t *testing.T) {
	const id, inside, edge = "abcd1234", "abcd1234.vc-abcd1234.svc:443", tenancy.AccessThroughEdge
	for name, c := range map[string]struct{ id, endpoint, through, host string }{
		"its cluster beside the portal":      {id, inside, "", "https://" + inside},
		"its cluster through the edge":       {id, elsewhere, edge, "https://edge.svc:443"},
		"an address of choice":               {id, "evil.example:443", "", ""},
		"an address with a scheme":           {id, "https://" + inside, "", ""},
		"without TLS":                        {id, "http://" + inside, "", ""},
		"with a path":                        {id, inside + "/x", "", ""},
		"none":                               {id, "", "", ""},
		"another tenant's cluster":           {id, "zyxw9876.vc-zyxw9876.svc:443", "", ""},
		"another's through the edge":         {id, "zyxw9876.k8s.berth.localhost", edge, ""},
		"another host of the edge's":         {id, "api.berth.localhost", edge, ""},
		"the public name, not by the edge":   {id, elsewhere, "", ""},
		"the inner name through the edge":    {id, inside, edge, ""},
		"a tenant without a cluster":         {"", tenancy.Endpoint(""), "", ""},
		"an id that is an address":           {"evil.example/?", tenancy.Endpoint("evil.example/?"), "", ""},
		"such an id through the edge":        {"evil.example", "evil.example.k8s.berth.localhost", edge, ""},
		"an id that begins with the other's": {id + ".x", tenancy.Endpoint(id + ".x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := tenantWith(t, c.id, map[string]string{
				tenancy.AccessKeyEndpoint: c.endpoint, tenancy.AccessKeyThrough: c.through, tenancy.AccessKeyCA: "its CA",
			}, "edge.svc:443", newIssuer(t))
			conf, err := s.restConfig(t.Context(), "acme")
			if c.host == "" {
				if errs.CodeOf(err) != errs.Unavailable || conf != nil {
					t.Errorf("got %v, %v", conf, err)
				}
				return
			}
			if err != nil || conf.Host != c.host {
				t.Fatalf("got %v, %v, want %s", conf, err, c.host)
			}
			if own := string(conf.CAData) == "its CA"; own != (c.through == "") {
				t.Errorf("it is verified by the access's CA: %v", own)
			}
		})
	}
}

// What the edge itself answers is not the API server's word.
func TestAnEdgeWithoutAWayThereIsToldAsSilence(t *testing.T) {
	own := newIssuer(t)
	for _, status := range []int{http.StatusNotFound, http.StatusMisdirectedRequest, http.StatusBadGateway, http.StatusServiceUnavailable} {
		edge := startEdge(t, own, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the edge has no way to it", status)
		}))
		_, err := tenantElsewhere(t, edge.host, tenancy.AccessThroughEdge, own).Processes(t.Context(), "acme", "shop")
		if got := errs.As(err); got == nil || got.Code != errs.Unavailable || !strings.HasPrefix(got.Message, "where the apps run does not answer") {
			t.Errorf("%d: got %v", status, err)
		}
	}
}
