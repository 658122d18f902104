package v1alpha1

// Condition types. Every condition is positive: True is the state to be in. Ready is
// derived from the others of its kind.
const (
	ConditionReady = "Ready"

	// HostCluster.
	ConditionPoolFilled = "PoolFilled"
	ConditionReachable  = "Reachable"

	// VirtualCluster.
	ConditionInstalled         = "Installed"
	ConditionControlPlaneReady = "ControlPlaneReady"

	// Tenant.
	ConditionNameReserved  = "NameReserved"
	ConditionClusterBound  = "ClusterBound"
	ConditionLimitsApplied = "LimitsApplied"
	ConditionAccessReady   = "AccessReady"

	// App.
	ConditionReleaseCreated = "ReleaseCreated"
	ConditionRouted         = "Routed"
	ConditionWithinPlan     = "WithinPlan"

	// Release.
	ConditionApplied = "Applied"
	ConditionHealthy = "Healthy"

	// Route.
	ConditionAccepted = "Accepted"

	// Domain.
	ConditionOwned     = "Owned"
	ConditionCertified = "Certified"
	ConditionServed    = "Served"

	// Certificate.
	ConditionIssued = "Issued"
)

// Reasons that more than one kind uses.
const (
	// ReasonSucceeded: the condition holds.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: work goes on; nothing is wrong so far.
	ReasonProgressing = "Progressing"
	// ReasonWaiting: an earlier step must finish first.
	ReasonWaiting = "Waiting"
	// ReasonDeleting: the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonStalled: a person must act; the message says how.
	ReasonStalled = "Stalled"
)

// Reasons of a Tenant.
const (
	// ReasonNameTaken: the name belonged to another tenant once and is never reused.
	ReasonNameTaken = "NameTaken"
	// ReasonPlanNotFound: spec.plan names no Plan.
	ReasonPlanNotFound = "PlanNotFound"
	// ReasonQueued: no virtual cluster is ready yet; one is being made.
	ReasonQueued = "Queued"
	// ReasonNoCapacity: no host cluster has room in the region asked for.
	ReasonNoCapacity = "NoCapacity"
)

// Reasons of an App.
const (
	// ReasonOverPlan: the components ask for more OCUs than the plan allows.
	ReasonOverPlan = "OverPlan"
	// ReasonNotDeployed: nothing has been deployed yet.
	ReasonNotDeployed = "NotDeployed"
	// ReasonHostTaken: another app of the tenant already uses the host name.
	ReasonHostTaken = "HostTaken"
)

// Reasons of a Release's failure.
const (
	// ReasonImageNotFound: the registry has no such image, or refuses it.
	ReasonImageNotFound = "ImageNotFound"
	// ReasonProcessExits: the process ends again and again.
	ReasonProcessExits = "ProcessExits"
	// ReasonOutOfMemory: the process used more memory than its OCUs give.
	ReasonOutOfMemory = "OutOfMemory"
	// ReasonNotHealthy: the process runs but its health check does not pass.
	ReasonNotHealthy = "NotHealthy"
	// ReasonNoRoom: the cluster or the plan has no room for the new processes.
	ReasonNoRoom = "NoRoom"
	// ReasonCannotStart: the container could not be created.
	ReasonCannotStart = "CannotStart"
	// ReasonTimedOut: the release was not healthy in time.
	ReasonTimedOut = "TimedOut"
)

// Reasons of a Domain.
const (
	// ReasonNotProven: neither proof of ownership was found.
	ReasonNotProven = "NotProven"
	// ReasonProofLost: the proof was there once and is not now; the host is served for a
	// week after.
	ReasonProofLost = "ProofLost"
	// ReasonHostHeld: another tenant holds the host, or one that overlaps with it.
	ReasonHostHeld = "HostHeld"
	// ReasonTargetNotFound: the app, component or port that the domain names is not there.
	ReasonTargetNotFound = "TargetNotFound"
)

// Reasons of a Certificate.
const (
	// ReasonAuthorityRefused: the certificate authority said no; the message says why.
	ReasonAuthorityRefused = "AuthorityRefused"
	// ReasonAuthorityAway: the certificate authority does not answer.
	ReasonAuthorityAway = "AuthorityAway"
	// ReasonRenewalFailing: the certificate holds, but its renewal fails.
	ReasonRenewalFailing = "RenewalFailing"
	// ReasonExpired: the certificate is no longer valid; the edge's own serves instead.
	ReasonExpired = "Expired"
	// ReasonUploadInvalid: the uploaded pair cannot be used; the message says why.
	ReasonUploadInvalid = "UploadInvalid"
)

// Reasons of a HostCluster.
const (
	// ReasonCordoned: the operator keeps new tenants away.
	ReasonCordoned = "Cordoned"
	// ReasonUnreachable: the host's API server does not answer.
	ReasonUnreachable = "Unreachable"
	// ReasonFull: no room for another virtual cluster.
	ReasonFull = "Full"
	// ReasonOtherRegion: the tenant asks for another region than the host's.
	ReasonOtherRegion = "OtherRegion"
	// ReasonRefilling: no virtual cluster is ready to be claimed; one is being made.
	ReasonRefilling = "Refilling"
)
