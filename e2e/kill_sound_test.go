package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	berthv1 "github.com/berth-dev/berth/api/v1alpha1"
)

// platformNamespaces are those whose pods are the platform's.
var platformNamespaces = []string{"kube-system", "berth-system"}

// isReady tells whether a cluster-wide object of ours says that it is ready.
func isReady(t *testing.T, name string, object client.Object) (bool, string) {
	t.Helper()
	if err := berth.host.Get(t.Context(), client.ObjectKey{Name: name}, object); err != nil {
		return false, err.Error()
	}
	return conditionTrue(conditionsOf(object))
}

func conditionsOf(object client.Object) []metav1.Condition {
	switch object := object.(type) {
	case *berthv1.Tenant:
		return object.Status.Conditions
	case *berthv1.VirtualCluster:
		return object.Status.Conditions
	case *berthv1.HostCluster:
		return object.Status.Conditions
	case *berthv1.App:
		return object.Status.Conditions
	default:
		return nil
	}
}

func conditionTrue(all []metav1.Condition) (bool, string) {
	found := meta.FindStatusCondition(all, berthv1.ConditionReady)
	if found == nil {
		return false, "it says nothing yet"
	}
	return found.Status == metav1.ConditionTrue, found.Reason + ": " + found.Message
}

// isGone tells whether an object is no more.
func isGone(t *testing.T, namespace, name string, object client.Object) (bool, string) {
	t.Helper()
	err := berth.host.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	return apierrors.IsNotFound(err), fmt.Sprintf("%T %s is there, finalizers %v (%v)", object, name, object.GetFinalizers(), err)
}

// liveRelease tells whether a release of the tenant's hello app is live, and no newer one was
// made.
func liveRelease(t *testing.T, tenant string, release int) (bool, string) {
	t.Helper()
	var all berthv1.ReleaseList
	if err := berth.host.List(t.Context(), &all, client.InNamespace(berthv1.ManagementNamespace(tenant))); err != nil {
		return false, err.Error()
	}
	phases := map[string]berthv1.ReleasePhase{}
	for _, r := range all.Items {
		phases[r.Name] = r.Status.Phase
	}
	live := phases[fmt.Sprintf("hello-v%d", release)] == berthv1.ReleaseLive
	return live && len(phases) == release, fmt.Sprintf("releases %v", phases)
}

// scaledTo tells whether so many processes of the tenant's hello app run, and it is ready.
func scaledTo(t *testing.T, tenant string, count int32) (bool, string) {
	t.Helper()
	app := &berthv1.App{}
	if err := berth.host.Get(t.Context(), client.ObjectKey{Namespace: berthv1.ManagementNamespace(tenant), Name: "hello"}, app); err != nil {
		return false, err.Error()
	}
	if len(app.Status.Components) != 1 || app.Status.Components[0].Desired != count {
		return false, fmt.Sprintf("components %+v", app.Status.Components)
	}
	return conditionTrue(app.Status.Conditions)
}

// everythingReady waits until the node, the platform's pods, and all tenants, their clusters
// and apps that are not being deleted are ready. The pool may still be filled.
func everythingReady(t *testing.T) {
	t.Helper()
	eventually(t, comesBack, "everything ready", func() (bool, string) {
		late, err := notReady(t)
		if err != nil {
			return false, err.Error()
		}
		return len(late) == 0, strings.Join(late, "; ")
	})
}

// poolWhole waits until as many clusters are free as the host should have.
func poolWhole(t *testing.T) {
	t.Helper()
	host := hostCluster(t.Context(), t)
	eventually(t, comesBack, "the pool filled", func() (bool, string) { return isReady(t, host.Name, &berthv1.HostCluster{}) })
}

func notReady(t *testing.T) ([]string, error) {
	t.Helper()
	var late []string
	var nodes corev1.NodeList
	if err := berth.host.List(t.Context(), &nodes); err != nil {
		return nil, err
	}
	for _, node := range nodes.Items {
		if !slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}) {
			late = append(late, "node "+node.Name)
		}
	}
	for _, namespace := range platformNamespaces {
		var pods corev1.PodList
		if err := berth.host.List(t.Context(), &pods, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		for i := range pods.Items {
			if pod := &pods.Items[i]; pod.Status.Phase != corev1.PodSucceeded && !ready(pod) {
				late = append(late, "pod "+pod.Name)
			}
		}
	}
	for _, list := range []client.ObjectList{&berthv1.TenantList{}, &berthv1.VirtualClusterList{}, &berthv1.AppList{}} {
		if err := berth.host.List(t.Context(), list); err != nil {
			return nil, err
		}
		for _, object := range itemsOf(t, list) {
			cluster, is := object.(*berthv1.VirtualCluster)
			if object.GetDeletionTimestamp() != nil || is && cluster.Spec.ClaimRef == nil {
				continue
			}
			if ok, why := conditionTrue(conditionsOf(object)); !ok {
				late = append(late, fmt.Sprintf("%T %s (%s)", object, object.GetName(), why))
			}
		}
	}
	return late, nil
}

func itemsOf(t *testing.T, list client.ObjectList) []client.Object {
	t.Helper()
	items, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	for _, item := range items {
		if object, ok := item.(client.Object); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

// nothingLost waits until the releases of every app are without a gap, the highest of them
// live and no other.
func nothingLost(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "every release there, the highest live", func() (bool, string) {
		lost, err := lostReleases(t)
		if err != nil {
			return false, err.Error()
		}
		return len(lost) == 0, strings.Join(lost, "; ")
	})
}

func lostReleases(t *testing.T) ([]string, error) {
	t.Helper()
	var releases berthv1.ReleaseList
	var apps berthv1.AppList
	if err := errors.Join(berth.host.List(t.Context(), &releases), berth.host.List(t.Context(), &apps)); err != nil {
		return nil, err
	}
	phases := map[string]map[int64]berthv1.ReleasePhase{}
	for _, r := range releases.Items {
		app := r.Namespace + "/" + r.Spec.App
		if phases[app] == nil {
			phases[app] = map[int64]berthv1.ReleasePhase{}
		}
		phases[app][r.Spec.Version] = r.Status.Phase
	}
	var lost []string
	for _, app := range apps.Items {
		found, latest := phases[app.Namespace+"/"+app.Name], app.Status.LatestRelease
		sound := int64(len(found)) == latest
		for version := int64(1); version <= latest; version++ {
			phase, there := found[version]
			sound = sound && there && (phase == berthv1.ReleaseLive) == (version == latest)
		}
		if !sound {
			lost = append(lost, fmt.Sprintf("app %s/%s speaks of v%d and has releases %v", app.Namespace, app.Name, latest, found))
		}
	}
	return lost, nil
}

// nothingOrphaned waits until everything on the host has an owner that is there: namespaces
// and volumes of tenants and clusters, routes, releases, Helm's records, claims on domains,
// certificates and their Secrets.
func nothingOrphaned(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Minute, "an owner for everything", func() (bool, string) {
		orphans, err := orphansOnHost(t)
		if err != nil {
			return false, err.Error()
		}
		return len(orphans) == 0, strings.Join(orphans, "; ")
	})
	noOrphansOnHost(t)
}

func orphansOnHost(t *testing.T) ([]string, error) {
	t.Helper()
	var (
		namespaces corev1.NamespaceList
		volumes    corev1.PersistentVolumeList
		tenants    berthv1.TenantList
		clusters   berthv1.VirtualClusterList
		apps       berthv1.AppList
		routes     berthv1.RouteList
		releases   berthv1.ReleaseList
		domains    berthv1.DomainList
		claims     berthv1.DomainClaimList
	)
	for _, list := range []client.ObjectList{&namespaces, &volumes, &tenants, &clusters, &apps, &routes, &releases, &domains, &claims} {
		if err := berth.host.List(t.Context(), list); err != nil {
			return nil, err
		}
	}
	spaces, existing := map[string]bool{}, map[string]bool{}
	uids := map[string]bool{}
	for _, tenant := range tenants.Items {
		spaces[berthv1.ManagementNamespace(tenant.Name)], uids[string(tenant.UID)] = true, true
	}
	for _, cluster := range clusters.Items {
		spaces[berthv1.HostNamespace(cluster.Name)] = true
	}
	var orphans []string
	orphan := func(is bool, format string, args ...any) {
		if is {
			orphans = append(orphans, fmt.Sprintf(format, args...))
		}
	}
	for _, namespace := range namespaces.Items {
		existing[namespace.Name] = true
		ours := strings.HasPrefix(namespace.Name, berthv1.HostNamespace("")) || strings.HasPrefix(namespace.Name, berthv1.ManagementNamespace(""))
		orphan(ours && !spaces[namespace.Name], "namespace %s", namespace.Name)
	}
	for _, volume := range volumes.Items {
		claim := volume.Spec.ClaimRef
		orphan(claim == nil || !existing[claim.Namespace], "volume %s", volume.Name)
	}
	for _, cluster := range clusters.Items {
		claim := cluster.Spec.ClaimRef
		orphan(claim != nil && !uids[string(claim.UID)], "cluster %s, bound to a tenant that is gone", cluster.Name)
	}
	known := map[string]bool{}
	for _, app := range apps.Items {
		known[app.Namespace+"/"+app.Name] = true
	}
	for _, route := range routes.Items {
		orphan(!known[route.Namespace+"/"+route.Spec.App], "route %s/%s", route.Namespace, route.Name)
	}
	for _, release := range releases.Items {
		orphan(!known[release.Namespace+"/"+release.Spec.App], "release %s/%s", release.Namespace, release.Name)
	}
	for _, domain := range domains.Items {
		uids[string(domain.UID)] = true
	}
	for _, claim := range claims.Items {
		for _, holder := range claim.Spec.Holders {
			orphan(!uids[string(holder.DomainUID)], "claim on %s", holder.Host)
		}
	}
	without, err := orphanedCertificates(t, tenants.Items, domains.Items)
	return append(orphans, without...), err
}

// orphanedCertificates are those of no host that is served: neither a Domain's nor the
// wildcard of a tenant or the platform. A Secret beside them without its Certificate is one.
func orphanedCertificates(t *testing.T, tenants []berthv1.Tenant, domains []berthv1.Domain) ([]string, error) {
	t.Helper()
	var certificates berthv1.CertificateList
	var secrets corev1.SecretList
	in := client.InNamespace(berthv1.CertificateNamespace)
	if err := errors.Join(berth.host.List(t.Context(), &secrets, in), berth.host.List(t.Context(), &certificates, in)); err != nil {
		return nil, err
	}
	type owned struct{ tenant, host string }
	served := map[owned]bool{}
	for _, host := range []string{"*." + berth.up.Domain, "*.k8s." + berth.up.Domain} {
		served[owned{"berth", host}] = true // the platform's
	}
	for _, tenant := range tenants {
		served[owned{tenant.Name, "*." + tenant.Name + "." + berth.up.Domain}] = true
	}
	for _, domain := range domains {
		served[owned{strings.TrimPrefix(domain.Namespace, berthv1.ManagementNamespace("")), domain.Spec.Host}] = true
	}
	var orphans []string
	existing := map[string]bool{}
	for _, certificate := range certificates.Items {
		existing[certificate.Name] = true
		if !served[owned{certificate.Spec.Tenant, certificate.Spec.Host}] {
			orphans = append(orphans, fmt.Sprintf("certificate of %s for tenant %s", certificate.Spec.Host, certificate.Spec.Tenant))
		}
	}
	for _, secret := range secrets.Items {
		if !existing[secret.Name] {
			orphans = append(orphans, "Secret of the certificate "+secret.Name)
		}
	}
	return orphans, nil
}
