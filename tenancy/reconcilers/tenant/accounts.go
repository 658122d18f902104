package tenant

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/tenancy"
)

// Names of what Berth makes for its accounts in a tenant's cluster.
const (
	portalRole      = "berth-portal"
	tokensRole      = "berth-tokens"
	operatorBinding = "berth-member-operator"
	clusterAdmin    = "cluster-admin"
)

// accounts are Berth's objects in a tenant's cluster, in the order to apply them: the
// portal with its few rights, and the operator, whom the tenant's plan makes an admin.
func accounts() []client.Object {
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenancy.SystemNamespace}},
		account(tenancy.PortalAccount),
		account(tenancy.OperatorAccount),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: portalRole}, Rules: portalRules()},
		clusterBinding(portalRole, portalRole, tenancy.PortalAccount),
		&rbacv1.Role{ObjectMeta: inSystem(tokensRole), Rules: tokenRules()},
		&rbacv1.RoleBinding{
			ObjectMeta: inSystem(tokensRole),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: tokensRole},
			Subjects:   subjects(tenancy.PortalAccount),
		},
		clusterBinding(operatorBinding, clusterAdmin, tenancy.OperatorAccount),
	}
}

// portalRules are what ps, logs, run, an interactive console, copying, port forwarding and
// apps:diagnose need, in the namespaces of all of the tenant's apps.
func portalRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch", "create", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		// A stream over WebSocket is a get, one over SPDY a create.
		{APIGroups: []string{""}, Resources: []string{"pods/exec", "pods/attach", "pods/portforward"}, Verbs: []string{"get", "create"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"batch"}, Resources: []string{"cronjobs", "jobs"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"get", "list", "watch"}},
	}
}

// tokenRules let the portal hand a member a token for the member's own account. It can
// neither make accounts nor bind roles.
func tokenRules() []rbacv1.PolicyRule {
	members := []string{tenancy.OperatorAccount}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: members, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: members, Verbs: []string{"create"}},
	}
}

func account(name string) *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{ObjectMeta: inSystem(name), AutomountServiceAccountToken: &no}
}

func clusterBinding(name, role, account string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects(account),
	}
}

func inSystem(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: tenancy.SystemNamespace, Name: name}
}

func subjects(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: tenancy.SystemNamespace, Name: account}}
}
