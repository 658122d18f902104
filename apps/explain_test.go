package apps_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// process is a pod made a while ago whose container is in a state.
func process(age time.Duration, status corev1.ContainerStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "ui-1", CreationTimestamp: metav1.NewTime(now.Add(-age))},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status}},
	}
}

func waiting(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func crashed(restarts, code int32, reason, message string) corev1.ContainerStatus {
	status := waiting("CrashLoopBackOff", "")
	status.RestartCount = restarts
	status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
	return status
}

func rollout(pods ...corev1.Pod) *apps.Rollout {
	ui := component("ui", exposed("http", 8080))
	return &apps.Rollout{Component: ui, Formation: v1alpha1.ComponentFormation{Name: "ui", Count: 1, OCUs: 1}, Pods: pods}
}

func TestEarlyFailure(t *testing.T) {
	const long = 2 * time.Minute
	tests := map[string]struct {
		pod    corev1.Pod
		reason string
		text   string
	}{
		"an image that is not found, tried twice": {
			process(long, waiting("ImagePullBackOff", `failed to resolve reference "x": not found`)), v1alpha1.ReasonImageNotFound, "the registry has no such image",
		},
		"an image that may not be read": {
			process(long, waiting("ErrImagePull", "401 Unauthorized")), v1alpha1.ReasonImageNotFound, "refuses it",
		},
		"an image tried once is tried again": {process(3*time.Second, waiting("ErrImagePull", "not found")), "", ""},
		"a name that is no image fails at once": {
			process(time.Second, waiting("InvalidImageName", "")), v1alpha1.ReasonImageNotFound, "could not be fetched",
		},
		"a process that ended three times": {
			process(long, crashed(2, 1, "Error", "")), v1alpha1.ReasonProcessExits, "ended 3 times, the last time with exit code 1",
		},
		"a process that ended twice may recover":  {process(long, crashed(1, 1, "Error", "")), "", ""},
		"exit code 127 means a misspelt command":  {process(long, crashed(2, 127, "Error", "")), v1alpha1.ReasonProcessExits, "spelling of the command"},
		"exit code 126 means it is no executable": {process(long, crashed(2, 126, "Error", "")), v1alpha1.ReasonProcessExits, "chmod +x"},
		"exit code 137 means it was killed":       {process(long, crashed(2, 137, "Error", "")), v1alpha1.ReasonProcessExits, "it was killed"},
		"a signal is named":                       {process(long, crashed(2, 139, "Error", "")), v1alpha1.ReasonProcessExits, "signal 11"},
		"exit code 0 is no server":                {process(long, crashed(2, 0, "Completed", "")), v1alpha1.ReasonProcessExits, "must keep running"},
		"too little memory fails at once":         {process(long, crashed(0, 137, "OOMKilled", "")), v1alpha1.ReasonOutOfMemory, "ocus: 2 or more"},
		"a program that is not there": {
			process(long, crashed(1, 128, "StartError", `exec: "serve": executable file not found in $PATH`)), v1alpha1.ReasonCannotStart, "not in the image: serve",
		},
		"an image that wants root": {
			process(long, waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")), v1alpha1.ReasonCannotStart, "wants to run as root",
		},
		"a secret that stays away": {
			process(long, waiting("CreateContainerConfigError", `secret "shop-v3-config-x-shop-x-k2vqw8ma" not found`)), v1alpha1.ReasonCannotStart, "The settings and secrets of its release are not there",
		},
		"a key of a secret that is not there": {
			process(long, waiting("CreateContainerConfigError", "couldn't find key TOKEN in Secret vc-k2vqw8ma/shop-v3-config-x-shop-x-k2vqw8ma")),
			v1alpha1.ReasonCannotStart, "The settings and secrets of its release are not there",
		},
		"what nobody foresaw": {
			process(long, waiting("CreateContainerError", `failed to reserve ui-1-x-shop-x-k2vqw8ma of vc-k2vqw8ma at /run/containerd/io.x: device is busy`)),
			v1alpha1.ReasonCannotStart, "could not be started: failed to reserve … of … at … device is busy.",
		},
		"a secret that is on its way is waited for": {
			process(50*time.Second, waiting("CreateContainerConfigError", `secret "shop-v3-config-x-shop-x-k2vqw8ma" not found`)), "", "",
		},
		"a process that starts is no failure": {process(long, waiting("ContainerCreating", "")), "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			checkExplanation(t, rollout(test.pod).EarlyFailure(now), test.reason, test.text)
		})
	}
}

func TestTheOutputOfTheRightRunIsAskedFor(t *testing.T) {
	running := crashed(3, 1, "Error", "")
	running.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	if got := rollout(process(time.Minute, running)).EarlyFailure(now); got == nil || got.Pod != "ui-1" || !got.Previous {
		t.Errorf("a process that runs again: %+v", got)
	}
	if got := rollout(process(time.Minute, crashed(2, 1, "Error", ""))).EarlyFailure(now); got == nil || got.Pod != "ui-1" || got.Previous {
		t.Errorf("a process that lies down: %+v", got)
	}
}

// withSidecar is a rollout whose sidecar is in a state while the component waits for it.
func withSidecar(age time.Duration, status corev1.ContainerStatus) *apps.Rollout {
	status.Name = "log"
	pod := process(age, waiting("PodInitializing", ""))
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "vcluster-rewrite-hosts"}, status}
	r := rollout(pod)
	r.Formation.OCUs = 2
	r.Component.Sidecars = []v1alpha1.Sidecar{{Name: "log", Image: "registry.berth.internal/acme/log:1", Percent: 25}}
	return r
}

func TestAFailingSidecarIsNamed(t *testing.T) {
	const who = "Sidecar log of component ui: "
	tests := map[string]struct {
		status        corev1.ContainerStatus
		reason        string
		message, hint string
		container     string
	}{
		"an image that is not there": {
			waiting("ImagePullBackOff", "not found"), v1alpha1.ReasonImageNotFound,
			"The image registry.berth.internal/acme/log:1 could not be fetched", "was pushed", "",
		},
		"one that ends": {crashed(2, 1, "Error", ""), v1alpha1.ReasonProcessExits, "The process started and ended 3 times", "end of its output", "log"},
		"one that finishes": {
			crashed(2, 0, "Completed", ""), v1alpha1.ReasonProcessExits, "finished without an error", "A sidecar must keep running", "log",
		},
		"one that needs more memory": {
			crashed(0, 137, "OOMKilled", ""), v1alpha1.ReasonOutOfMemory, "more memory than the 512 MiB, 25 percent of the memory, that 2 OCUs give it", "larger percent", "log",
		},
		"one that cannot start": {
			waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"), v1alpha1.ReasonCannotStart, "wants to run as root", "USER", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := withSidecar(time.Minute, test.status).EarlyFailure(now)
			if found == nil {
				t.Fatal("no failure was seen")
			}
			if found.Reason != test.reason || !strings.HasPrefix(found.Message, who) || !strings.Contains(found.Message, test.message) || !strings.Contains(found.Hint, test.hint) {
				t.Errorf("got %s: %s %s", found.Reason, found.Message, found.Hint)
			}
			if found.Component != "ui" || found.Container != test.container {
				t.Errorf("the output is looked for in %q of %q", found.Container, found.Component)
			}
		})
	}
	if found := withSidecar(time.Minute, corev1.ContainerStatus{Started: new(true)}).EarlyFailure(now); found != nil {
		t.Errorf("a sidecar that runs gave %+v", found)
	}
}

func TestBesideSidecarsAProcessHasTheRestOfTheMemory(t *testing.T) {
	r := rollout(process(time.Minute, crashed(0, 137, "OOMKilled", "")))
	r.Component.Sidecars = []v1alpha1.Sidecar{{Name: "log", Image: "log:1"}}
	if found := r.EarlyFailure(now); found == nil || !strings.Contains(found.Message, "the 921 MiB, 90 percent of the memory, that 1 OCU give") || found.Container != "ui" {
		t.Errorf("got %+v", found)
	}
}

func TestAComponentThatRunsByTheClockIsCompleteOnceApplied(t *testing.T) {
	r := &apps.Rollout{Component: nightly()}
	if !r.Complete() {
		t.Error("it is waited for")
	}
}

func TestTimedOut(t *testing.T) {
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	pending := process(time.Minute, corev1.ContainerStatus{})
	pending.Spec.NodeName = ""
	unschedulable := *pending.DeepCopy()
	unschedulable.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available: insufficient memory"}}
	quota := rollout()
	quota.Deployment = &appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: `pods "ui-1" is forbidden: exceeded quota: berth`},
	}}}
	onHost := rollout(pending)
	onHost.Events = []corev1.Event{{
		InvolvedObject: corev1.ObjectReference{Name: "ui-1"}, Type: corev1.EventTypeWarning,
		Message: `Error syncing to host cluster: pods "ui-1-x-shop" is forbidden: exceeded quota: berth`,
	}}
	checked := rollout(process(time.Minute, running))
	checked.Component.Health = &v1alpha1.Health{Path: "/up"}
	refused := rollout(process(time.Minute, running))
	refused.Component.Health = checked.Component.Health
	refused.Events = []corev1.Event{{
		InvolvedObject: corev1.ObjectReference{Name: "ui-1"}, Type: corev1.EventTypeWarning, Reason: "Unhealthy",
		Message: "Startup probe failed: HTTP probe failed with statuscode: 500",
	}}
	silent := rollout(process(time.Minute, running))
	silent.Component.Ports = nil
	tests := map[string]struct {
		rollout *apps.Rollout
		reason  string
		text    string
	}{
		"nothing listens":                      {rollout(process(time.Minute, running)), v1alpha1.ReasonNotHealthy, "nothing accepts connections on port 8080"},
		"the path does not answer":             {checked, v1alpha1.ReasonNotHealthy, "GET /up on port 8080"},
		"the path answers with an error":       {refused, v1alpha1.ReasonNotHealthy, "GET /up on port 8080 is not answered with a status from 200 to 399: the answer had the status 500."},
		"a process without a port":             {silent, v1alpha1.ReasonNotHealthy, "not seen to stay up"},
		"the quota in the tenant's cluster":    {quota, v1alpha1.ReasonNoRoom, "The plan has no room"},
		"the quota on the host":                {onHost, v1alpha1.ReasonNoRoom, "The plan has no room"},
		"no machine has room":                  {rollout(unschedulable), v1alpha1.ReasonNoRoom, "no room for the new processes at the moment"},
		"no patience is left for an image":     {rollout(process(time.Second, waiting("ErrImagePull", "not found"))), v1alpha1.ReasonImageNotFound, "no such image"},
		"no process and nothing that says why": {rollout(), v1alpha1.ReasonTimedOut, "did not all become healthy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.rollout.TimedOut(5 * time.Minute)
			checkExplanation(t, got, test.reason, test.text)
			if !strings.HasSuffix(got.Message, "The release was given 5 minutes.") {
				t.Errorf("the message does not name the time: %s", got.Message)
			}
		})
	}
}

func checkExplanation(t *testing.T, got *apps.Explanation, reason, text string) {
	t.Helper()
	switch {
	case got == nil && reason == "":
	case got == nil:
		t.Errorf("no failure, want %s", reason)
	case reason == "":
		t.Errorf("failed: %+v", got)
	case got.Reason != reason || !strings.Contains(got.Message+" "+got.Hint, text):
		t.Errorf("got %s: %s %s", got.Reason, got.Message, got.Hint)
	case strings.Contains(got.Message, "k2vqw8ma"):
		t.Errorf("the message has a name from inside: %s", got.Message)
	case got.Hint == "" || got.Component != "ui":
		t.Errorf("hint or component is missing: %+v", got)
	}
}

func TestComplete(t *testing.T) {
	status := func(generation int64, replicas, updated, available int32) *apps.Rollout {
		r := rollout()
		r.Formation.Count = 2
		r.Deployment = &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Generation: 3},
			Status:     appsv1.DeploymentStatus{ObservedGeneration: generation, Replicas: replicas, UpdatedReplicas: updated, AvailableReplicas: available},
		}
		return r
	}
	tests := map[string]struct {
		rollout *apps.Rollout
		want    bool
	}{
		"all are new and available":  {status(3, 2, 2, 2), true},
		"the change is not seen yet": {status(2, 2, 2, 2), false},
		"an older process is left":   {status(3, 3, 2, 3), false},
		"one is not available":       {status(3, 2, 2, 1), false},
		"there is no deployment":     {rollout(), false},
	}
	for name, test := range tests {
		if got := test.rollout.Complete(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The same release deployed again is no new one: only a restart tries it again.
func TestWhatMayPassIsTriedAgainByARestart(t *testing.T) {
	for name, refusal := range map[string]string{"nothing known": "", "no room in the plan": "exceeded quota: plan", "no volume": "volume not bound"} {
		rollout := &apps.Rollout{}
		if refusal != "" {
			rollout.Deployment = &appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: refusal},
			}}}
		}
		if hint := rollout.TimedOut(time.Minute).Hint; !strings.Contains(hint, "berth ps:restart") {
			t.Errorf("%s: got %q", name, hint)
		}
	}
}
