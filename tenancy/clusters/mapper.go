package clusters

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// clusterScoped are the built-in kinds without a namespace that Berth writes or reads
// in a tenant's cluster.
var clusterScoped = map[schema.GroupKind]bool{
	{Kind: "Namespace"}:        true,
	{Kind: "Node"}:             true,
	{Kind: "PersistentVolume"}: true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  true,
}

// groups are the API groups that Berth uses there.
var groups = []schema.GroupVersion{
	{Version: "v1"},
	{Group: "apps", Version: "v1"},
	{Group: "autoscaling", Version: "v2"},
	{Group: "batch", Version: "v1"},
	{Group: "discovery.k8s.io", Version: "v1"},
	{Group: "networking.k8s.io", Version: "v1"},
	{Group: "policy", Version: "v1"},
	{Group: "rbac.authorization.k8s.io", Version: "v1"},
	{Group: "storage.k8s.io", Version: "v1"},
}

// mapper knows the resources of the built-in kinds without asking a server: asking
// would cost each first request to a tenant's cluster several more.
var mapper = func() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(groups)
	for _, group := range groups {
		for kind := range scheme.KnownTypes(group) {
			if strings.HasSuffix(kind, "List") || strings.HasSuffix(kind, "Options") {
				continue
			}
			scope := meta.RESTScopeNamespace
			if clusterScoped[schema.GroupKind{Group: group.Group, Kind: kind}] {
				scope = meta.RESTScopeRoot
			}
			m.Add(group.WithKind(kind), scope)
		}
	}
	return m
}()
