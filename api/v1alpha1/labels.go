package v1alpha1

// Labels, annotations and finalizers that Berth puts on objects.
const (
	// Finalizer keeps an object until what it owns is gone.
	Finalizer = "berth.dev/cleanup"
	// FinalizerReleases keeps an App until no release of it is being applied any more.
	FinalizerReleases = "berth.dev/releases"

	// LabelTenant names the tenant an object belongs to.
	LabelTenant = "berth.dev/tenant"
	// LabelVirtualCluster holds the id of the virtual cluster an object belongs to.
	LabelVirtualCluster = "berth.dev/virtual-cluster"
	// LabelApp, LabelComponent and LabelRelease stand on what runs in a tenant's cluster.
	LabelApp       = "berth.dev/app"
	LabelComponent = "berth.dev/component"
	LabelRelease   = "berth.dev/release"
	// LabelRun stands on a one-off process.
	LabelRun = "berth.dev/run"
	// LabelCertificate stands on Secrets with a certificate: its name where a tenant uploaded
	// it, else how Berth came by it.
	LabelCertificate = "berth.dev/certificate"
	// LabelManagedBy and ManagedByBerth mark what Berth made.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedByBerth = "berth"
)

// AppFinalizers are what an App is held by: one for each reconciler that works for it.
func AppFinalizers() []string { return []string{Finalizer, FinalizerReleases} }

// ManagementNamespace is where a tenant's App, Release and Route objects live.
func ManagementNamespace(tenant string) string { return "tenant-" + tenant }

// CertificateNamespace is where Certificates and the Secrets of their keys live, and nothing
// else: the edge may read every Secret there.
const CertificateNamespace = "berth-certificates"

// HostNamespace is where a virtual cluster runs on its host cluster.
func HostNamespace(virtualCluster string) string { return "vc-" + virtualCluster }
