package hosts_test

import (
	"context"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
	"github.com/berth-dev/berth/tenancy/hosts"
)

func TestAHostWithTenantsDoesNotLeave(t *testing.T) {
	env := management(t)
	if _, err := hosts.Join(t.Context(), env.Config, asked(env, "busy")); err != nil {
		t.Fatal(err)
	}
	for id, tenant := range map[string]string{"aaaaaaaa": "beta", "bbbbbbbb": "acme", "cccccccc": ""} {
		vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: id}, Spec: v1alpha1.VirtualClusterSpec{HostCluster: "busy"}}
		if tenant != "" {
			vc.Spec.ClaimRef = &v1alpha1.ClaimRef{Name: tenant, UID: types.UID(tenant)}
		}
		if err := env.Client.Create(t.Context(), vc); err != nil {
			t.Fatal(err)
		}
	}
	err := hosts.Leave(t.Context(), env.Config, "busy")
	if errs.CodeOf(err) != errs.Conflict || !strings.Contains(err.Error(), "2 tenants") || !strings.Contains(err.Error(), "tenants:delete acme") {
		t.Errorf("got %v", err)
	}
	if host := hostCluster(t, env, "busy"); host.DeletionTimestamp != nil {
		t.Error("the host is being deleted all the same")
	}
}

func TestAHostThatLeftHasNothingLeft(t *testing.T) {
	env := management(t)
	ctx := t.Context()
	if _, err := hosts.Join(ctx, env.Config, asked(env, "leaver")); err != nil {
		t.Fatal(err)
	}
	host := hostCluster(t, env, "leaver")
	host.Finalizers = []string{v1alpha1.Finalizer}
	if err := env.Client.Update(ctx, host); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := hosts.Leave(short, env.Config, "leaver"); errs.CodeOf(err) != errs.Unavailable {
		t.Fatalf("its controller holds it, and yet: %v", err)
	}
	account := client.ObjectKey{Namespace: "berth-system", Name: tenancy.HostAccount("leaver")}
	if err := env.Client.Get(ctx, account, &corev1.ServiceAccount{}); err != nil {
		t.Fatalf("its controller cannot let it go without its account: %v", err)
	}
	if _, err := hosts.Join(ctx, env.Config, asked(env, "leaver")); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("it joins while it leaves: %v", err)
	}

	host = hostCluster(t, env, "leaver")
	host.Finalizers = nil
	if err := env.Client.Update(ctx, host); err != nil {
		t.Fatal(err)
	}
	if err := hosts.Leave(ctx, env.Config, "leaver"); err != nil {
		t.Fatal(err)
	}
	for _, list := range []client.ObjectList{
		&corev1.ServiceAccountList{}, &corev1.SecretList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&coordinationv1.LeaseList{},
	} {
		if err := env.Client.List(ctx, list, client.MatchingLabels{hosts.LabelHost: "leaver"}); err != nil {
			t.Fatal(err)
		}
		if n := meta.LenList(list); n > 0 {
			t.Errorf("%d of %T are left", n, list)
		}
	}
	if err := hosts.Leave(ctx, env.Config, "leaver"); errs.CodeOf(err) != errs.NotFound {
		t.Errorf("it leaves again: %v", err)
	}
}
