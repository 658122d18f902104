package v1alpha1

// Condition types. Every condition is positive: True is the state to be in. Ready is
// derived from the others of its kind.
const (
	ConditionReady = "Ready"

	// HostCluster.
	ConditionPoolFilled = "PoolFilled"

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
