package apps

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

var diagnosedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(diagnosedAt.Add(-d)) }

// sick is an app of one component whose second release is live, and what its process says.
func sick(change func(*Case, *corev1.Pod)) Case {
	web := v1alpha1.Component{
		Name: "web", Image: "registry/web@sha256:b",
		Ports: []v1alpha1.Port{{Name: "http", Port: 8080, Expose: true}}, Health: &v1alpha1.Health{Path: "/ready"},
	}
	app := &v1alpha1.App{Spec: v1alpha1.AppSpec{
		Template:  &v1alpha1.AppTemplate{Components: []v1alpha1.Component{web}},
		Formation: []v1alpha1.ComponentFormation{{Name: "web", Count: 1, OCUs: 2}},
	}}
	app.Name = "shop"
	release := func(version int64, phase v1alpha1.ReleasePhase) v1alpha1.Release {
		finished := before(time.Hour)
		return v1alpha1.Release{
			Spec:   v1alpha1.ReleaseSpec{Version: version},
			Status: v1alpha1.ReleaseStatus{Phase: phase, FinishedAt: &finished},
		}
	}
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-6b7f-x7k2p", CreationTimestamp: before(time.Hour)},
		Spec:       corev1.PodSpec{NodeName: "somewhere"},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "web", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: before(time.Hour)}},
		}}},
	}
	c := Case{
		App: app, Now: diagnosedAt,
		Releases: []v1alpha1.Release{release(2, v1alpha1.ReleaseLive), release(1, v1alpha1.ReleaseSuperseded)},
	}
	c.Workloads = []Workload{{Rollout: Rollout{Component: web, Formation: app.Spec.Formation[0]}, Output: map[string][]string{}}}
	if change != nil {
		change(&c, &pod)
	}
	if c.Workloads != nil && c.Workloads[0].Pods == nil {
		c.Workloads[0].Pods = []corev1.Pod{pod}
	}
	return c
}

func crashed(reason string, code int32) func(*Case, *corev1.Pod) {
	return func(_ *Case, pod *corev1.Pod) {
		pod.Status.ContainerStatuses[0] = corev1.ContainerStatus{
			Name: "web", RestartCount: 3,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: reason, ExitCode: code, FinishedAt: before(time.Minute),
			}},
		}
	}
}

func unhealthy(message string) func(*Case, *corev1.Pod) {
	return func(c *Case, pod *corev1.Pod) {
		pod.Status.ContainerStatuses[0].Ready = false
		if message != "" {
			c.Workloads[0].Events = []corev1.Event{{
				InvolvedObject: corev1.ObjectReference{Name: pod.Name}, Reason: "Unhealthy", Message: message,
			}}
		}
	}
}

func TestWhatIsWrongIsSaidWithTheNextCommand(t *testing.T) {
	for name, c := range map[string]struct {
		sick          Case
		reason, words string
		next, state   string
	}{
		"a process that ends":   {sick(crashed("Error", 3)), v1alpha1.ReasonProcessExits, "exit code 3. It was started again 3 times", "berth logs --app shop --component web", "broken"},
		"one that needs memory": {sick(crashed("OOMKilled", 137)), v1alpha1.ReasonOutOfMemory, "the 2 GiB that 2 OCUs give it", "berth ps:scale --app shop web=1:4", "broken"},
		"a check that gets an error": {
			sick(unhealthy("Readiness probe failed: HTTP probe failed with statuscode: 503")),
			v1alpha1.ReasonNotHealthy, "GET /ready on port 8080: the answer had the status 503", "berth logs --app shop --component web", "broken",
		},
		"a check that nobody hears": {
			sick(unhealthy(`Startup probe failed: Get "http://10.1.2.3:8080/ready": dial tcp 10.1.2.3:8080: connect: connection refused`)),
			v1alpha1.ReasonNotHealthy, "nothing listens on that port", "berth logs --app shop --component web", "broken",
		},
		"a check of which nothing is known": {sick(unhealthy("")), v1alpha1.ReasonNotHealthy, "GET /ready on port 8080 is not answered", "berth logs --app shop --component web", "broken"},
		"a check that fails hours after a restart": {
			sick(func(c *Case, pod *corev1.Pod) { ranAgain("Error", 1, 3*time.Hour)(c, pod); unhealthy("")(c, pod) }),
			v1alpha1.ReasonNotHealthy, "GET /ready on port 8080 is not answered", "berth logs --app shop --component web", "broken",
		},
		"an image that is gone": {
			sick(func(_ *Case, pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0] = corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "manifest unknown"},
				}}
			}),
			v1alpha1.ReasonImageNotFound, "the registry has no such image", "berth deploy --app shop web=IMAGE", "broken",
		},
		"no room": {
			sick(func(_ *Case, pod *corev1.Pod) { pod.Spec.NodeName, pod.Status.ContainerStatuses = "", nil }),
			v1alpha1.ReasonNoRoom, "There is no room", "berth ps:scale --app shop", "broken",
		},
		"a process that was restarted lately": {
			sick(func(_ *Case, pod *corev1.Pod) {
				pod.Status.ContainerStatuses[0].RestartCount = 1
				pod.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: before(3 * time.Minute)}
			}),
			ReasonRestarts, "It runs, but was started again once; 3 minutes ago: The process ended with exit code 1.", "berth logs --app shop --component web", "unsteady",
		},
		"one that needed more memory and runs again": {
			sick(ranAgain("OOMKilled", 137, 40*time.Second)),
			v1alpha1.ReasonOutOfMemory, "It runs, but was started again once; 40 seconds ago: The process used more memory than the 2 GiB", "berth ps:scale --app shop web=1:4", "unsteady",
		},
		"a sidecar that fails": {
			sick(withSidecar),
			v1alpha1.ReasonProcessExits, "Its sidecar log: The process ended with exit code 127: the command was not found.", "berth logs --app shop --component web", "unsteady",
		},
		"a component that visitors need, stopped": {
			sick(func(c *Case, _ *corev1.Pod) { c.Workloads[0].Formation.Count = 0 }),
			ReasonStopped, "its count is 0", "berth ps:scale --app shop web=1", "stopped",
		},
		"a run of the clock that took too long": {
			sick(func(c *Case, _ *corev1.Pod) {
				c.Workloads[0].Component.Cron, c.Workloads[0].Component.Ports = &v1alpha1.Cron{Schedule: "@daily"}, nil
				c.Workloads[0].Jobs = []batchv1.Job{{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{
					Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded, LastTransitionTime: before(5 * time.Hour),
				}}}}}
			}),
			ReasonRunFailed, "Its last run failed 5 hours ago. It took longer than it may", "berth logs --app shop --component web", "waits",
		},
		"a release that failed": {
			sick(func(c *Case, _ *corev1.Pod) {
				failed := v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: 3}, Status: v1alpha1.ReleaseStatus{
					Phase:   v1alpha1.ReleaseFailed,
					Failure: &v1alpha1.ReleaseFailure{Component: "web", Reason: v1alpha1.ReasonTimedOut, Message: "The processes did not all become healthy."},
				}}
				c.Releases = slices.Insert(c.Releases, 0, failed)
			}),
			v1alpha1.ReasonTimedOut, "v3: The processes did not all become healthy.", "berth ps:restart --app shop", "up",
		},
		"more than the plan allows": {
			sick(func(c *Case, _ *corev1.Pod) {
				c.App.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.ConditionWithinPlan, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonOverPlan, Message: "the plan allows 20 OCUs",
				}}
			}),
			v1alpha1.ReasonOverPlan, "the plan allows 20 OCUs", "berth ps:scale --app shop", "up",
		},
		"the place where it runs is away": {sick(func(c *Case, _ *corev1.Pod) { c.Away, c.Workloads = true, nil }), ReasonAway, "does not answer", "berth apps:diagnose --app shop", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(c.sick)
			if got.Healthy || len(got.Findings) != 1 {
				t.Fatalf("got %+v, want one finding", got)
			}
			found := got.Findings[0]
			if found.Reason != c.reason || !strings.Contains(found.Message, c.words) {
				t.Errorf("got %s %q, want %s with %q", found.Reason, found.Message, c.reason, c.words)
			}
			if found.Hint == "" && found.Reason != v1alpha1.ReasonOverPlan && found.Reason != v1alpha1.ReasonTimedOut {
				t.Error("there is no hint")
			}
			if len(got.Next) == 0 || got.Next[0] != c.next {
				t.Errorf("got next %q, want %q first", got.Next, c.next)
			}
			if c.state != "" && got.Components[0].State != c.state {
				t.Errorf("got state %s, want %s", got.Components[0].State, c.state)
			}
			if strings.Contains(found.Message, "10.1.2.3") {
				t.Errorf("the message tells an address inside: %s", found.Message)
			}
		})
	}
}

func TestAnAppThatWorksHasNoFindings(t *testing.T) {
	for name, change := range map[string]func(*Case, *corev1.Pod){
		"as it is":                          nil,
		"a restart of long ago":             func(_ *Case, pod *corev1.Pod) { longAgo(&pod.Status.ContainerStatuses[0]) },
		"a process that has just been made": func(_ *Case, pod *corev1.Pod) { pod.Spec.NodeName, pod.CreationTimestamp = "", before(time.Second) },
		"a process that has just started": func(_ *Case, pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].Ready = false
			pod.Status.ContainerStatuses[0].State.Running.StartedAt = before(time.Second)
		},
		"a process that its machine put out, beside the one in its place": func(c *Case, pod *corev1.Pod) {
			out := pod.DeepCopy()
			out.Name, out.Status.Phase = "web-6b7f-gone1", corev1.PodFailed
			endedWith(&out.Status.ContainerStatuses[0], 137)
			c.Workloads[0].Pods = []corev1.Pod{*out, *pod}
		},
		"a process that is on its way out": func(_ *Case, pod *corev1.Pod) {
			crashed("Error", 1)(nil, pod)
			pod.DeletionTimestamp = new(before(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Diagnose(sick(change)); !got.Healthy || len(got.Findings) > 0 || got.Summary != "v2 of shop is live and works." {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// ranAgain is a process that ended a while ago, was started again and is ready.
func ranAgain(reason string, code int32, ago time.Duration) func(*Case, *corev1.Pod) {
	return func(_ *Case, pod *corev1.Pod) {
		status := &pod.Status.ContainerStatuses[0]
		status.RestartCount = 1
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: before(ago)}
	}
}

func TestWhatIsOverWeighsLessThanWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		ago     time.Duration
		healthy bool
		state   string
	}{
		"the end of a process that runs again":   {40 * time.Second, false, "unsteady"},
		"it is told, but no fault, for a day":    {time.Hour, true, "up"},
		"it counts for the minutes that it says": {lately, false, "unsteady"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(sick(ranAgain("Error", 9, c.ago)))
			if len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Message, "exit code 9") {
				t.Fatalf("got %+v, want the end", got.Findings)
			}
			if got.Healthy != c.healthy || got.Components[0].State != c.state {
				t.Errorf("got healthy %v, %s; want %v, %s", got.Healthy, got.Components[0].State, c.healthy, c.state)
			}
		})
	}
	both := Diagnose(sick(func(c *Case, pod *corev1.Pod) {
		bad := pod.DeepCopy()
		bad.Name = "web-6b7f-bad"
		ranAgain("Error", 9, time.Minute)(c, pod)
		unhealthy("")(c, bad)
		c.Workloads[0].Pods = []corev1.Pod{*pod, *bad}
	}))
	if len(both.Findings) != 2 || both.Findings[0].Reason != v1alpha1.ReasonNotHealthy || both.Findings[1].Reason != ReasonRestarts {
		t.Errorf("got %+v, want what is wrong now first", both.Findings)
	}
}

func longAgo(status *corev1.ContainerStatus) {
	status.RestartCount = 1
	status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: before(48 * time.Hour)}
}

func TestTheOutputOfTheContainerInTroubleIsWanted(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Case, *corev1.Pod)
		container string
		previous  bool
	}{
		"one that is well":                     {nil, "", false},
		"one that recovered long ago":          {func(_ *Case, pod *corev1.Pod) { longAgo(&pod.Status.ContainerStatuses[0]) }, "", false},
		"one that waits to be started again":   {crashed("Error", 1), "web", true},
		"one that does not become ready":       {unhealthy(""), "web", false},
		"a run of the clock that ended badly":  {func(_ *Case, pod *corev1.Pod) { endedWith(&pod.Status.ContainerStatuses[0], 1) }, "web", false},
		"a run of the clock that ended well":   {func(_ *Case, pod *corev1.Pod) { endedWith(&pod.Status.ContainerStatuses[0], 0) }, "", false},
		"a sidecar, before what waits for it":  {func(c *Case, pod *corev1.Pod) { withSidecar(c, pod); unhealthy("")(c, pod) }, "log", false},
		"none of a process that is on its way": {func(c *Case, pod *corev1.Pod) { crashed("Error", 1)(c, pod); pod.DeletionTimestamp = new(before(0)) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := sick(c.change).Workloads[0]
			if container, previous := w.Troubled(&w.Pods[0], diagnosedAt); container != c.container || previous != c.previous {
				t.Errorf("got %q, previous %v, want %q, %v", container, previous, c.container, c.previous)
			}
		})
	}
}

func endedWith(status *corev1.ContainerStatus, code int32) {
	status.Ready, status.State = false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
}

// withSidecar puts a sidecar beside the process that ended badly.
func withSidecar(c *Case, pod *corev1.Pod) {
	c.Workloads[0].Component.Sidecars = []v1alpha1.Sidecar{{Name: "log"}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "log"}}
	endedWith(&pod.Status.InitContainerStatuses[0], 127)
}

func TestAVariableThatTheNewReleaseTookAwayIsTheFirstFinding(t *testing.T) {
	c := sick(func(c *Case, pod *corev1.Pod) {
		crashed("Error", 1)(c, pod)
		c.Workloads[0].Output[pod.Name] = []string{"KeyError: 'DATABASE_URL'"}
		c.Changes = []TemplateChange{{Field: "secrets.DATABASE_URL", What: ChangeRemoved}}
		c.Variables = []string{"LOG_LEVEL"}
	})
	got := Diagnose(c)
	first := got.Findings[0]
	if first.Reason != ReasonMissingVariable || first.Message != "It asks for the variable DATABASE_URL, which v1 had and v2 does not." {
		t.Errorf("got %+v", first)
	}
	want := []string{"berth secrets:set --app shop DATABASE_URL", "berth logs --app shop --component web", "berth rollback --app shop v1"}
	if diff := cmp.Diff(want, got.Next); diff != "" {
		t.Errorf("next:\n%s", diff)
	}
	if got.Since != 1 || got.Version != 2 || len(got.Changes) != 1 || got.Findings[1].Output == nil {
		t.Errorf("got %+v, want what changed since v1 and the process's output", got)
	}
}

func TestWhatTheOwnerSetIsToldAndIsNoFault(t *testing.T) {
	got := Diagnose(sick(func(c *Case, _ *corev1.Pod) {
		c.App.Spec.Edge = v1alpha1.EdgeSettings{Maintenance: true, AllowedCIDRs: []string{"10.0.0.0/8"}}
	}))
	if !got.Healthy || len(got.Findings) != 2 || !slices.Contains(got.Next, "berth maintenance:off --app shop") {
		t.Errorf("got %+v", got)
	}
	empty := Diagnose(Case{App: &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}})
	if empty.Healthy || !slices.Contains(empty.Next, "berth apply") {
		t.Errorf("an app without a release: got %+v", empty)
	}
}

func TestVariablesThatProgramsAskFor(t *testing.T) {
	for line, want := range map[string]string{
		`KeyError: 'DATABASE_URL'`:                          "DATABASE_URL",
		"key not found: \"SECRET_KEY_BASE\" (KeyError)":     "SECRET_KEY_BASE",
		`undefined method for nil, at ENV["REDIS"].split`:   "REDIS",
		"Error: process.env.API_TOKEN is undefined":         "API_TOKEN",
		"required key STRIPE_KEY missing value":             "STRIPE_KEY",
		"fatal: DATABASE_URL is not set":                    "DATABASE_URL",
		"panic: SESSION must be set":                        "SESSION",
		"missing required environment variable SMTP_HOST":   "SMTP_HOST",
		"Missing required env vars: SMTP_HOST":              "SMTP_HOST",
		"environment variable \"TOKEN\" not found":          "TOKEN",
		"Could not resolve placeholder 'JDBC_URL' in value": "JDBC_URL",
		"S3_BUCKET is required":                             "S3_BUCKET",
		"please set $S3_BUCKET":                             "S3_BUCKET",
		"LOG_LEVEL is not set":                              "", // it is
		"PORT is not set":                                   "", // the platform sets it
		"GET /favicon.ico 404 FILE not found":               "",
		"INFO user is not set up yet":                       "",
		"KeyError: 'name'":                                  "",
		"HTTP is required":                                  "",
	} {
		got := strings.Join(MissingVariables([]string{line}, []string{"LOG_LEVEL"}), " ")
		if got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestChangesOfATemplateHideTheValuesOfVariables(t *testing.T) {
	old := &v1alpha1.AppTemplate{
		Components: []v1alpha1.Component{{Name: "web", Image: "a", Command: []string{"serve"}, Sidecars: []v1alpha1.Sidecar{{Name: "log", Image: "l:1"}}}},
		Config:     map[string]string{"KEEP": "x", "GONE": "hush", "EMPTY": "hush", "NEXT": "hush"},
	}
	next := &v1alpha1.AppTemplate{
		Components: []v1alpha1.Component{{Name: "web", Image: "b", Sidecars: []v1alpha1.Sidecar{{Name: "log", Image: "l:2", Percent: 10}}}},
		Config:     map[string]string{"KEEP": "x", "EMPTY": "", "NEXT": "hush hush", "NEW": ""},
	}
	want := []TemplateChange{
		{"components.web.image", ChangeChanged, "a", "b"},
		{"components.web.sidecars.log.image", ChangeChanged, "l:1", "l:2"},
		{Field: "config.EMPTY", What: ChangeChanged},
		{Field: "config.NEW", What: ChangeAdded},
		{Field: "config.NEXT", What: ChangeChanged},
		{"components.web.command", ChangeRemoved, `["serve"]`, ""},
		{Field: "config.GONE", What: ChangeRemoved},
	}
	if diff := cmp.Diff(want, TemplateChanges(old, next)); diff != "" {
		t.Error(diff)
	}
}
