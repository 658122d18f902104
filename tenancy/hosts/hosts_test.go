package hosts_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/internal/kubetest"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/hosts"
)

func TestAHostThatJoinsIsDescribedAndGetsAWayIn(t *testing.T) {
	env := management(t)
	options := asked(env, "first")
	options.EdgeAddress, options.Zones = "edge.eu.example.com:443", []string{"eu-a"}
	options.Host.StorageClassName = "gp3"
	joined, err := hosts.Join(t.Context(), env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	spec := hostCluster(t, env, "first").Spec
	want := v1alpha1.HostClusterSpec{
		Region: "eu", Zones: []string{"eu-a"}, ControllerName: "first", EdgeAddress: "edge.eu.example.com:443", CPUOvercommit: 1,
		StorageClassName: "gp3", Pool: v1alpha1.PoolSpec{Size: 1, MaxClusters: 100, MaxStarting: 2},
		Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.1.0.0/24"}, APIServerPort: 443},
	}
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("the HostCluster (-want +got):\n%s", diff)
	}
	if string(joined.EdgeCACertificate) != "the certificate" || string(joined.EdgeCAKey) != "the key" {
		t.Error("the host does not get the edges' authority")
	}

	controller, router := as(t, env, joined.ControllerKubeconfig), as(t, env, joined.RouterKubeconfig)
	ctx := t.Context()
	if err := controller.List(ctx, &v1alpha1.HostClusterList{}); err != nil {
		t.Errorf("the controller's kubeconfig: %v", err)
	}
	own := lease("berth-controller-first")
	if err := controller.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil || own.Spec.HolderIdentity != nil {
		t.Errorf("its lease, which nobody holds yet: %+v, %v", own.Spec, err)
	}
	own.Spec.HolderIdentity = ptr.To("it")
	if err := controller.Update(ctx, own); err != nil {
		t.Errorf("its lease: %v", err)
	}
	if err := controller.Create(ctx, lease("berth-controller")); !apierrors.IsForbidden(err) {
		t.Errorf("a lease that is not there: %v", err)
	}
	others := lease("berth-controller-other")
	if err := env.Client.Create(ctx, others); err != nil {
		t.Fatal(err)
	}
	if err := controller.Update(ctx, others); !apierrors.IsForbidden(err) {
		t.Errorf("another controller's lease: %v", err)
	}
	if err := router.List(ctx, &corev1.SecretList{}, client.InNamespace(v1alpha1.CertificateNamespace)); err != nil {
		t.Errorf("the edge reads no keys of certificates: %v", err)
	}
	for who, c := range map[string]client.Client{"controller": controller, "edge": router} {
		for _, namespace := range []string{"", "berth-system", "default"} {
			if err := c.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
				t.Errorf("the %s reads Secrets of namespace %q: %v", who, namespace, err)
			}
		}
	}
}

func TestTheValuesAreThoseOfTheManagementCluster(t *testing.T) {
	env := management(t)
	options := asked(env, "valued")
	options.Server = "https://203.0.113.10:6443"
	joined, err := hosts.Join(t.Context(), env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"domain": "apps.example.com", "edgePort": 443,
		"images": map[string]any{"controller": "r.io/berth-controller:1", "router": "r.io/berth-router:1", "vcluster": "r.io/v:1", "kubernetes": "r.io/k:1", "coredns": "r.io/c:1"},
		"edgeCA": map[string]any{"certificate": "the certificate", "key": "the key"},
		"hostCluster": map[string]any{
			"create": false, "network": map[string]any{"apiServerCIDRs": []any{"10.1.0.0/24"}, "apiServerPort": 443},
		},
		"management": map[string]any{
			"controllerName": "valued", "kubeconfigSecret": "berth-management", "egressCIDRs": []any{"203.0.113.10/32"}, "port": 6443,
		},
	}
	if diff := cmp.Diff(want, joined.Values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	options.Server = "https://management.example.com"
	if joined, err = hosts.Join(t.Context(), env.Config, options); err != nil {
		t.Fatal(err)
	}
	got, _ := joined.Values()["management"].(map[string]any)
	if _, guessed := got["egressCIDRs"]; guessed || got["port"] != 443 {
		t.Errorf("of a server with a name: %v", got)
	}
}

func TestAHostThatJoinsAgainKeepsItsTokensAndWhatTheOperatorWrote(t *testing.T) {
	env := management(t)
	options := asked(env, "again")
	options.Host.CPUOvercommit = 4
	before, err := hosts.Join(t.Context(), env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	host := hostCluster(t, env, "again")
	host.Spec.Pool.Size, host.Spec.Cordoned, host.Spec.StorageClassName = 7, true, "fast"
	host.Spec.Network.EgressCIDRs = []string{"0.0.0.0/0"}
	if err := env.Client.Update(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	held := &coordinationv1.Lease{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: "berth-system", Name: "berth-controller-again"}, held); err != nil {
		t.Fatal(err)
	}
	held.Spec.HolderIdentity = ptr.To("its controller")
	if err := env.Client.Update(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{}
	key := client.ObjectKey{Namespace: "berth-system", Name: tenancy.HostAccount("again")}
	if err := env.Client.Get(t.Context(), key, account); err != nil {
		t.Fatal(err)
	}
	options.EdgeAddress, options.Host.CPUOvercommit = "198.51.100.7:443", 0
	after, err := hosts.Join(t.Context(), env.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	if string(before.ControllerKubeconfig) != string(after.ControllerKubeconfig) || string(before.RouterKubeconfig) != string(after.RouterKubeconfig) {
		t.Error("the host's credentials changed")
	}
	spec := hostCluster(t, env, "again").Spec
	if spec.Pool.Size != 7 || !spec.Cordoned || spec.StorageClassName != "fast" || len(spec.Network.EgressCIDRs) != 1 || spec.CPUOvercommit != 4 {
		t.Errorf("what was not asked for changed: %+v", spec)
	}
	if spec.EdgeAddress != "198.51.100.7:443" {
		t.Errorf("what was asked for did not: %+v", spec)
	}
	none := int32(0)
	options.PoolSize = &none
	if _, err := hosts.Join(t.Context(), env.Config, options); err != nil {
		t.Fatal(err)
	}
	if pool := hostCluster(t, env, "again").Spec.Pool; pool.Size != 0 || pool.MaxClusters != 100 {
		t.Errorf("a pool of none was asked for: %+v", pool)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(held), held); err != nil || ptr.Deref(held.Spec.HolderIdentity, "") != "its controller" {
		t.Errorf("its lease was taken from it: %+v, %v", held.Spec, err)
	}
	version := account.ResourceVersion
	if err := env.Client.Get(t.Context(), key, account); err != nil || account.ResourceVersion != version {
		t.Errorf("the account was written again: %v", err)
	}
}

func TestAHostOfAnotherControllerIsNotTaken(t *testing.T) {
	env := management(t)
	for name, controller := range map[string]string{"ours": "", "theirs": "another"} {
		host := &v1alpha1.HostCluster{}
		host.Name = name
		host.Spec = v1alpha1.HostClusterSpec{Region: "eu", ControllerName: controller, Network: v1alpha1.HostNetwork{APIServerCIDRs: []string{"10.0.0.1/32"}}}
		if err := env.Client.Create(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		_, err := hosts.Join(t.Context(), env.Config, asked(env, name))
		if errs.CodeOf(err) != errs.Conflict {
			t.Errorf("%s joins: %v", name, err)
		}
		if err := hosts.Leave(t.Context(), env.Config, name); errs.CodeOf(err) != errs.Conflict {
			t.Errorf("%s leaves: %v", name, err)
		}
		err = env.Client.Get(t.Context(), client.ObjectKey{Namespace: "berth-system", Name: tenancy.HostAccount(name)}, &corev1.ServiceAccount{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s has an account: %v", name, err)
		}
	}
}

func TestWithoutATokenNothingIsSaidOfTheHost(t *testing.T) {
	env := management(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := hosts.Join(ctx, env.Config, asked(env, withoutToken))
	if errs.CodeOf(err) != errs.Unavailable || !strings.Contains(err.Error(), tenancy.HostAccount(withoutToken)) && !strings.Contains(err.Error(), tenancy.HostRouterAccount(withoutToken)) {
		t.Errorf("got %v", err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: withoutToken}, &v1alpha1.HostCluster{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is a HostCluster: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := hosts.Join(stopped, env.Config, asked(env, withoutToken)); !errors.Is(err, context.Canceled) {
		t.Errorf("a person who stops it is told %v", err)
	}
}

func TestAClusterWithoutBerthIsNoManagementCluster(t *testing.T) {
	env := management(t)
	role := &rbacv1.ClusterRole{}
	role.Name = "berth-host-router"
	if err := env.Client.Delete(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	_, err := hosts.Join(t.Context(), env.Config, asked(env, "early"))
	if errs.CodeOf(err) != errs.NotFound || !strings.Contains(err.Error(), "berth-host-router") {
		t.Errorf("got %v", err)
	}
}

func TestOptionsThatCannotBeAreNamed(t *testing.T) {
	env := management(t)
	for name, test := range map[string]struct {
		change func(*hosts.Options)
		field  string
	}{
		"no name":                        {func(o *hosts.Options) { o.Name = "" }, "NAME"},
		"a name with capitals":           {func(o *hosts.Options) { o.Name = "EU" }, "NAME"},
		"a name longer than 40":          {func(o *hosts.Options) { o.Name = strings.Repeat("a", 41) }, "NAME"},
		"the name of another's edge":     {func(o *hosts.Options) { o.Name = "eu-router" }, "NAME"},
		"no region":                      {func(o *hosts.Options) { o.Region = "" }, "--region"},
		"an edge without a port":         {func(o *hosts.Options) { o.EdgeAddress = "edge.example.com" }, "--edge-address"},
		"an edge on port 0":              {func(o *hosts.Options) { o.EdgeAddress = "edge.example.com:0" }, "--edge-address"},
		"an edge that is nowhere":        {func(o *hosts.Options) { o.EdgeAddress = ":443" }, "--edge-address"},
		"a server over plain HTTP":       {func(o *hosts.Options) { o.Server = "http://10.0.0.1" }, "--server"},
		"a server with a password":       {func(o *hosts.Options) { o.Server = "https://me:secret@10.0.0.1" }, "--server"},
		"no server":                      {func(o *hosts.Options) { o.Server = "" }, "--server"},
		"no API server of its own":       {func(o *hosts.Options) { o.Host.Network.APIServerCIDRs = nil }, "--api-server-cidr"},
		"an API server that is no block": {func(o *hosts.Options) { o.Host.Network.APIServerCIDRs = []string{"10.0.0.1"} }, "--api-server-cidr"},
		"edges that are no block":        {func(o *hosts.Options) { o.Peers = []hosts.Peer{{CIDR: "edge.example.com", Port: 443}} }, "--peer-cidr"},
		"edges without a port":           {func(o *hosts.Options) { o.Peers = []hosts.Peer{{CIDR: "10.0.0.0/8"}} }, "--peer-cidr"},
		"a way out that is no block":     {func(o *hosts.Options) { o.Host.Network.EgressCIDRs = []string{"all"} }, "--egress-cidr"},
	} {
		t.Run(name, func(t *testing.T) {
			options := asked(env, "bad")
			test.change(&options)
			_, err := hosts.Join(t.Context(), env.Config, options)
			if err == nil || !strings.Contains(err.Error(), test.field+": ") {
				t.Fatalf("the error does not name %s: %v", test.field, err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it tells a password: %v", err)
			}
		})
	}
}

func lease(name string) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{}
	lease.Namespace, lease.Name = "berth-system", name
	return lease
}

func hostCluster(t *testing.T, env *kubetest.Env, name string) *v1alpha1.HostCluster {
	t.Helper()
	host := &v1alpha1.HostCluster{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: name}, host); err != nil {
		t.Fatal(err)
	}
	return host
}

// as is a client with a kubeconfig that Join made.
func as(t *testing.T, env *kubetest.Env, kubeconfig []byte) client.Client {
	t.Helper()
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill does what Kubernetes does for a Secret of an account's token.
func fill(ctx context.Context, c client.Client) error {
	var secrets corev1.SecretList
	if err := c.List(ctx, &secrets, client.InNamespace("berth-system")); err != nil {
		return err
	}
	for _, secret := range secrets.Items {
		name := secret.Annotations[corev1.ServiceAccountNameKey]
		if name == "" || len(secret.Data[corev1.ServiceAccountTokenKey]) > 0 || strings.Contains(name, withoutToken) {
			continue
		}
		account := &corev1.ServiceAccount{}
		account.Namespace, account.Name = secret.Namespace, name
		request := &authenticationv1.TokenRequest{}
		if err := c.SubResource("token").Create(ctx, account, request); client.IgnoreNotFound(err) != nil {
			return err
		}
		secret.Data = map[string][]byte{corev1.ServiceAccountTokenKey: []byte(request.Status.Token)}
		if err := c.Update(ctx, &secret); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}
