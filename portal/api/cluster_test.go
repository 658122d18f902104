package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/apiclient"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
)

// access makes the one API server of the tests also the tenant's, with the accounts and
// the Secret that the tenant's reconciler leaves.
func (w *world) access() {
	w.t.Helper()
	env := kubetest.Start(w.t)
	for _, name := range []string{tenancy.PortalAccount, tenancy.OperatorAccount} {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: tenancy.SystemNamespace, Name: name}}
		if err := w.kube.Create(w.t.Context(), sa); client.IgnoreAlreadyExists(err) != nil {
			w.t.Fatal(err)
		}
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "test-portal"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: tenancy.SystemNamespace, Name: tenancy.PortalAccount}},
	}
	if err := w.kube.Create(w.t.Context(), binding); client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
	clientset, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := clientset.CoreV1().ServiceAccounts(tenancy.SystemNamespace).CreateToken(w.t.Context(), tenancy.PortalAccount,
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.ManagementNamespace(w.tenant), Name: tenancy.AccessSecret},
		Data: map[string][]byte{
			tenancy.AccessKeyEndpoint: []byte(apiServer(env)), tenancy.AccessKeyCA: env.Config.CAData,
			tenancy.AccessKeyToken: []byte(token.Status.Token),
		},
	})
}

// apiServer is host:port of the one API server of the tests.
func apiServer(env *kubetest.Env) string { return strings.TrimPrefix(env.Config.Host, "https://") }

func TestTheKubeconfigLeadsThroughTheEdge(t *testing.T) {
	w := newWorld(t)
	got := must[apiclient.Kubeconfig](w, http.MethodGet, "/tenants/"+w.tenant+"/kubeconfig", nil)
	want := apiclient.Kubeconfig{Tenant: w.tenant, Server: "https://abcd1234.k8s.berth.localhost:8443", CA: "the edge's CA"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAMembersTokenIsHisOwnAndShort(t *testing.T) {
	w := newWorld(t)
	w.access()
	_, raw := w.do(http.MethodPost, "/tenants/"+w.tenant+"/kubeconfig/token", nil)
	var cred clientauthentication.ExecCredential
	if err := json.Unmarshal(raw, &cred); err != nil || cred.Kind != "ExecCredential" || cred.Status == nil {
		t.Fatalf("not a credential for kubectl: %s", raw)
	}
	env := kubetest.Start(t)
	clientset, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := clientset.AuthenticationV1().TokenReviews().Create(t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: cred.Status.Token}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:berth-system:member-operator"; review.Status.User.Username != want {
		t.Errorf("got a token of %q, want %q", review.Status.User.Username, want)
	}
	if cred.Status.ExpirationTimestamp == nil {
		t.Error("the token does not expire")
	}
}

func TestProcessesAreNamedByComponent(t *testing.T) {
	w := newWorld(t)
	w.access()
	image, _ := w.push("shop/web:1", "")
	app := "ps-" + w.tenant
	must[any](w, http.MethodPut, w.path(app)+"/template", put(image))
	if p := w.refused(http.MethodPost, w.path(app)+"/run", `{"command":["ls"]}`); p.Status != http.StatusConflict || p.Field != "app" {
		t.Errorf("a run before the first release: got %+v", p)
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: app}})
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: app, Name: "default"}})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app, Name: "web-5d9c7b-x2k4q",
			Labels: map[string]string{v1alpha1.LabelApp: app, v1alpha1.LabelComponent: "web", v1alpha1.LabelRelease: "v3"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "x"}}},
	}
	w.create(pod)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "web", Ready: true, RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	w.status(pod)
	got := must[apiclient.List[apiclient.Process]](w, http.MethodGet, w.path(app)+"/processes", nil)
	want := []apiclient.Process{{Name: "web.x2k4q", Component: "web", Release: 3, State: "up", Ready: true, Restarts: 2}}
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Error(diff)
	}
	if p := w.refused(http.MethodGet, w.path(app)+"/logs?component=wbe", nil); !strings.Contains(p.Fix, "web") {
		t.Errorf("logs of a missing component: got %+v", p)
	}
}
