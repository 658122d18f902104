package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy/hosts"
)

const hostToken = "eyJ-the-token-of-a-host"

// managementKubeconfig is for a cluster with what Berth's chart makes there, and with the
// tokens of host eu, which nobody else makes in a test.
func managementKubeconfig(t *testing.T) (env *kubetest.Env, path string) {
	t.Helper()
	env = kubetest.Start(t)
	in := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: in("", "berth-system")}, &corev1.Namespace{ObjectMeta: in("", v1alpha1.CertificateNamespace)},
		&corev1.Secret{ObjectMeta: in("berth-system", "berth-edge-ca"), Data: map[string][]byte{"tls.crt": []byte("a"), "tls.key": []byte("b")}},
	}
	for _, name := range []string{"berth-host-controller", "berth-host-router", "berth-host-tenant"} {
		objects = append(objects, &rbacv1.ClusterRole{ObjectMeta: in("", name)})
	}
	for _, name := range []string{"berth-host-eu", "berth-host-eu-router"} {
		meta := in("berth-system", name)
		meta.Annotations = map[string]string{corev1.ServiceAccountNameKey: name}
		objects = append(objects, &corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(hostToken)}})
	}
	for _, name := range []string{"berth", "berth-router"} {
		labels := map[string]string{"app": name}
		objects = append(objects, &appsv1.Deployment{ObjectMeta: in("berth-system", name), Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "controller", Image: "r.io/c:1", Args: []string{"--domain=apps.example.com"}}}},
			},
		}})
	}
	for _, object := range objects {
		if err := env.Client.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	raw, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"m": {Server: env.Config.Host, CertificateAuthorityData: env.Config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"m": {
			ClientCertificateData: env.Config.CertData, ClientKeyData: env.Config.KeyData,
		}},
		Contexts: map[string]*clientcmdapi.Context{"m": {Cluster: "m", AuthInfo: "m"}}, CurrentContext: "m",
	})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "management.yaml")
	if err := writePrivate(path, raw); err != nil {
		t.Fatal(err)
	}
	return env, path
}

func TestAHostJoinsAndLeaves(t *testing.T) {
	env, kubeconfig := managementKubeconfig(t)
	values := filepath.Join(t.TempDir(), "eu.yaml")
	berth := func(arguments ...string) (code int, out, errOut string) {
		var stdout, stderr bytes.Buffer
		code = run(context.Background(), append(arguments, "--kubeconfig", kubeconfig), strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	authority := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, []byte("its authority"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := []string{
		"hostclusters:join", "eu", "--region", "eu", "--server", env.Config.Host, "--api-server-cidr", "10.1.0.0/24", "--api-server-port", "443",
		"--management-cidr", "198.51.100.0/28", "--tls-server-name", "kubernetes", "--server-ca-file", authority,
		"--peer-cidr", "198.51.100.32/31", "--peer-cidr", "fd00::/64:8443", "--pool", "3", "--values", values,
	}
	code, out, errOut := berth(ask...)
	if code != 0 {
		t.Fatalf("it ended with %d: %s", code, errOut)
	}
	for _, want := range []string{"helm upgrade --install berth charts/berth --kube-context HOST", "--skip-crds --values " + values, "--edge-address"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out+errOut, hostToken) {
		t.Error("it prints the token")
	}
	info, err := os.Stat(values)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the values: %v, %v", info, err)
	}
	var got struct {
		Domain     string `json:"domain"`
		Management struct {
			ControllerName string            `json:"controllerName"`
			EgressCIDRs    []string          `json:"egressCIDRs"`
			Kubeconfigs    map[string]string `json:"kubeconfigs"`
		} `json:"management"`
		Router struct {
			PeerCIDRs []hosts.Peer `json:"peerCIDRs"`
		} `json:"router"`
	}
	raw, err := os.ReadFile(values)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got.Domain != "apps.example.com" || got.Management.ControllerName != "eu" || len(got.Management.EgressCIDRs) != 1 || got.Management.EgressCIDRs[0] != "198.51.100.0/28" {
		t.Errorf("the values are %s %s %v", got.Domain, got.Management.ControllerName, got.Management.EgressCIDRs)
	}
	if diff := cmp.Diff([]hosts.Peer{{CIDR: "198.51.100.32/31", Port: 443}, {CIDR: "fd00::/64", Port: 8443}}, got.Router.PeerCIDRs); diff != "" {
		t.Errorf("other edges (-want +got):\n%s", diff)
	}
	for _, program := range []string{"controller", "router"} {
		if !strings.Contains(got.Management.Kubeconfigs[program], hostToken) {
			t.Errorf("the %s has no way to the management cluster", program)
		}
	}
	host := &v1alpha1.HostCluster{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: "eu"}, host); err != nil || host.Spec.Pool.Size != 3 {
		t.Errorf("the HostCluster: %v, %+v", err, host.Spec)
	}

	if code, _, errOut = berth(ask...); code != exitFailed || !strings.Contains(errOut, "is there already") {
		t.Errorf("it writes over what is there: %d, %s", code, errOut)
	}
	code, out, errOut = berth(append(ask, "--force", "--json")...)
	var output joinOutput
	if err := json.Unmarshal([]byte(out), &output); err != nil || code != 0 || output.Name != "eu" || output.Values != values || len(output.Commands) != 3 {
		t.Errorf("with --force and --json: %d, %v, %s%s", code, err, out, errOut)
	}
	again := []string{"hostclusters:join", "eu", "--values", values, "--force", "--edge-address", "192.0.2.7:443"}
	if code, _, errOut = berth(again...); code != 0 {
		t.Errorf("with all that is known left out: %d, %s", code, errOut)
	}
	if now, err := os.ReadFile(values); err != nil || string(now) != string(raw) {
		t.Errorf("what was not said changed in its values (%v)", err)
	}
	if code, out, _ = berth(append(ask[:len(ask)-1:len(ask)-1], "-")...); code != 0 || !strings.Contains(out, hostToken) {
		t.Errorf("to a pipe: %d", code)
	}
	if code, out, errOut = berth("hostclusters:leave", "eu"); code != 0 || !strings.Contains(out, "The host eu has left") {
		t.Errorf("it does not leave: %d, %s%s", code, out, errOut)
	}
	if code, _, errOut = berth("hostclusters:leave", "eu"); code != exitFailed || !strings.Contains(errOut, "there is no host eu") {
		t.Errorf("it leaves again: %d, %s", code, errOut)
	}
}
