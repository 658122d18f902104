package hosts

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/tenancy"
)

// Roles of the chart. That for the namespaces of tenants is bound by the management
// cluster's controller.
const (
	controllerRole = "berth-host-controller"
	routerRole     = "berth-host-router"
	// keysRole lets an edge read the keys of certificates, in their namespace.
	keysRole = "berth-router"

	// LabelHost, on what Join makes, names the host.
	LabelHost = "berth.dev/host"

	// fieldOwner owns the fields that this package sets.
	fieldOwner = client.FieldOwner("berth-hosts")
)

// grants are the accounts of a host and their rights, in the order to apply them. A Secret
// with an account's name holds its token. The lease has no holder yet: the right to create
// one cannot be bound to a name, so that its controller finds it made.
func grants(host string) []client.Object {
	controller, router := tenancy.HostAccount(host), tenancy.HostRouterAccount(host)
	return []client.Object{
		account(host, controller), account(host, router),
		token(host, controller), token(host, router),
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: named(host, "", controller), RoleRef: role("ClusterRole", controllerRole), Subjects: subjects(controller),
		},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: named(host, "", router), RoleRef: role("ClusterRole", routerRole), Subjects: subjects(router),
		},
		&coordinationv1.Lease{ObjectMeta: named(host, tenancy.SystemNamespace, tenancy.LeaseName(host))},
		&rbacv1.Role{ObjectMeta: named(host, tenancy.SystemNamespace, controller), Rules: systemRules(host)},
		&rbacv1.RoleBinding{
			ObjectMeta: named(host, tenancy.SystemNamespace, controller), RoleRef: role("Role", controller), Subjects: subjects(controller),
		},
		&rbacv1.Role{ObjectMeta: named(host, metav1.NamespaceDefault, controller), Rules: eventRules()},
		&rbacv1.RoleBinding{
			ObjectMeta: named(host, metav1.NamespaceDefault, controller), RoleRef: role("Role", controller), Subjects: subjects(controller),
		},
		&rbacv1.RoleBinding{
			ObjectMeta: named(host, v1alpha1.CertificateNamespace, router), RoleRef: role("Role", keysRole), Subjects: subjects(router),
		},
	}
}

// systemRules are the rights of a host's controller in the platform's namespace: its own
// lease, and to tell who holds it.
func systemRules(host string) []rbacv1.PolicyRule {
	return append(eventRules(), rbacv1.PolicyRule{
		APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, ResourceNames: []string{tenancy.LeaseName(host)},
		Verbs: []string{"get", "update", "patch"},
	})
}

// eventRules let it tell what happened. Events of objects that are in no namespace are in
// the one named default.
func eventRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"", eventsv1.GroupName}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}}}
}

func account(host, name string) *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{ObjectMeta: named(host, tenancy.SystemNamespace, name), AutomountServiceAccountToken: &no}
}

// token is a Secret that Kubernetes fills with a token of an account that lasts until the
// Secret is deleted.
func token(host, name string) *corev1.Secret {
	meta := named(host, tenancy.SystemNamespace, name)
	meta.Annotations = map[string]string{corev1.ServiceAccountNameKey: name}
	return &corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeServiceAccountToken}
}

func named(host, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth, LabelHost: host},
	}
}

func role(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func subjects(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: tenancy.SystemNamespace, Name: account}}
}
