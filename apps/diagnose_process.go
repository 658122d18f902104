package apps

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// recent is how long the end of a process that runs again is worth telling.
const recent = 24 * time.Hour

// Troubled names the container of a process whose output tells most about what is wrong, and
// whether it is the output of the run before. It is empty for a process that is well.
func (r *Rollout) Troubled(pod *corev1.Pod, now time.Time) (container string, previous bool) {
	if pod.DeletionTimestamp != nil {
		return "", false
	}
	for _, program := range r.programs(pod) {
		switch status := program.status; {
		case status.State.Terminated != nil && status.State.Terminated.ExitCode != 0:
			return status.Name, false
		case status.LastTerminationState.Terminated != nil && !recovered(status, status.LastTerminationState.Terminated, now):
			return status.Name, true
		case status.State.Running != nil && !status.Ready && !program.sidecar:
			return status.Name, false
		}
	}
	return "", false
}

// recovered says whether a container's end is so long ago that nobody needs to hear of it.
func recovered(status *corev1.ContainerStatus, last *corev1.ContainerStateTerminated, now time.Time) bool {
	return status.State.Running != nil && status.Ready && last.FinishedAt.Add(recent).Before(now)
}

// workload tells how one component is doing and what is wrong with it.
func (d *diagnosis) workload(w *Workload) {
	health := ComponentHealth{Name: w.Component.Name, Desired: w.Formation.Count, State: "up"}
	for i := range w.Pods {
		for _, status := range w.Pods[i].Status.ContainerStatuses {
			if status.Ready && w.Pods[i].DeletionTimestamp == nil {
				health.Ready++
			}
			health.Restarts += status.RestartCount
		}
	}
	before := len(d.out.Findings)
	switch {
	case w.Component.Cron != nil:
		health.Desired, health.Ready = 0, 0
		health.State = d.schedule(w)
	case w.Formation.Count == 0:
		health.State = "stopped"
		d.stopped(w)
	default:
		d.processes(w)
		switch {
		case health.Ready < health.Desired && len(d.out.Findings) > before:
			health.State = "broken"
		case health.Ready < health.Desired:
			health.State = "starting"
		case len(d.out.Findings) > before:
			health.State = "unsteady"
		}
	}
	d.out.Components = append(d.out.Components, health)
}

// stopped tells of a component that visitors reach and that is scaled to nothing.
func (d *diagnosis) stopped(w *Workload) {
	if !slices.ContainsFunc(w.Component.Ports, func(p v1alpha1.Port) bool { return p.Expose }) {
		return
	}
	d.add(Finding{
		Component: w.Component.Name, Reason: ReasonStopped, Message: "It has visitors, and its count is 0, so nobody answers them.",
		Hint: "Start a process of it.", Command: d.next(ReasonStopped, w.Component.Name),
	})
}

func (d *diagnosis) processes(w *Workload) {
	if message, refused := w.refused(); refused {
		d.explained(w, noRoom(message), nil)
	}
	for i := range w.Pods {
		pod := &w.Pods[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		if found := w.pending(pod); found != nil {
			// A pod that was made a moment ago has no machine yet, and nothing is wrong.
			if pod.CreationTimestamp.Add(patience).Before(d.Now) {
				d.explained(w, found, pod)
			}
			continue
		}
		for _, program := range w.programs(pod) {
			d.program(w, pod, &program)
		}
	}
}

// explained keeps what is known of failed releases as a finding.
func (d *diagnosis) explained(w *Workload, found *Explanation, pod *corev1.Pod) {
	d.add(d.finding(w, pod, found.Reason, found.Message, found.Hint))
}

func (d *diagnosis) finding(w *Workload, pod *corev1.Pod, reason, message, hint string) Finding {
	found := Finding{
		Component: w.Component.Name, Reason: reason, Message: message, Hint: hint, Command: d.next(reason, w.Component.Name),
	}
	if pod != nil {
		found.Process = ProcessName(w.Component.Name, pod.Name)
		found.Output = w.Output[pod.Name]
	}
	return found
}

// ProcessName is what people call a component's process: the component and the last part of
// its pod's name, such as web.x7k2p.
func ProcessName(component, pod string) string {
	return component + "." + pod[strings.LastIndexByte(pod, '-')+1:]
}

// program tells what is wrong with one container of a process.
func (d *diagnosis) program(w *Workload, pod *corev1.Pod, p *program) {
	found := p.waiting(false)
	if found == nil {
		found = d.ended(p)
	}
	switch {
	case found != nil && p.sidecar:
		found.Message = fmt.Sprintf("Its sidecar %s: %s", p.name, found.Message)
		d.explained(w, found, pod)
	case found != nil:
		d.explained(w, found, pod)
	case p.status.State.Running != nil && !p.status.Ready && !p.sidecar:
		d.unready(w, pod, p.status)
	}
}

// ended tells of a container that ended, or did lately and runs again.
func (d *diagnosis) ended(p *program) *Explanation {
	last := p.status.State.Terminated
	if last == nil {
		last = p.status.LastTerminationState.Terminated
	}
	if last == nil || recovered(p.status, last, d.Now) {
		return nil
	}
	runs := p.status.State.Running != nil && p.status.Ready
	found := p.end(last)
	switch {
	case runs:
		found.Message = fmt.Sprintf("It runs, but was started again %s; %s ago: %s",
			times(p.status.RestartCount), roughly(d.Now.Sub(last.FinishedAt.Time)), found.Message)
		if found.Reason == v1alpha1.ReasonProcessExits {
			found.Reason = ReasonRestarts
		}
	case p.status.RestartCount > 0:
		found.Message += fmt.Sprintf(" It was started again %s.", times(p.status.RestartCount))
	}
	return found
}

// end explains one end of a container, however seldom it was.
func (p *program) end(last *corev1.ContainerStateTerminated) *Explanation {
	switch last.Reason {
	case "OOMKilled":
		return p.outOfMemory()
	case "StartError", "ContainerCannotRun":
		return cannotStart(last.Message)
	}
	return explain(v1alpha1.ReasonProcessExits, "The process ended with "+exitWords(last)+".", exitHint(last.ExitCode))
}

// unready tells which check of a running process fails, and what it got.
func (d *diagnosis) unready(w *Workload, pod *corev1.Pod, status *corev1.ContainerStatus) {
	got := ""
	for i := range w.Events {
		event := &w.Events[i]
		if event.InvolvedObject.Name == pod.Name && event.Reason == "Unhealthy" {
			got = cmp.Or(probeWords(event.Message), got)
		}
	}
	if got == "" {
		// It may just be starting.
		if status.State.Running.StartedAt.Add(patience).After(d.Now) {
			return
		}
		d.add(d.finding(w, pod, v1alpha1.ReasonNotHealthy, w.healthWords(), w.healthHint()))
		return
	}
	check := "its health check"
	if port := HealthPort(w.Component); port != nil {
		check = fmt.Sprintf("a connection to port %d", port.Port)
		if w.Component.Health != nil && w.Component.Health.Path != "" {
			check = fmt.Sprintf("GET %s on port %d", w.Component.Health.Path, port.Port)
		}
	}
	d.add(d.finding(w, pod, v1alpha1.ReasonNotHealthy, "It runs, but gets no requests, since its health check fails: "+check+": "+got+".", w.healthHint()))
}

// probeWords is what a health check got, of what the machine wrote down; addresses that mean
// nothing to a developer are left out. Empty is what nobody foresaw.
func probeWords(message string) string {
	_, got, found := strings.Cut(message, "probe failed: ")
	if !found {
		return ""
	}
	if _, status, is := strings.Cut(got, "statuscode: "); is {
		return "the answer had the status " + strings.TrimSpace(status)
	}
	switch {
	case strings.Contains(got, "connection refused"):
		return "nothing listens on that port"
	case strings.Contains(got, "deadline exceeded"), strings.Contains(got, "imeout"):
		return "no answer came in time"
	case strings.Contains(got, "EOF"), strings.Contains(got, "connection reset"):
		return "the connection was cut without an answer"
	case strings.Contains(got, "malformed HTTP"):
		return "the answer was not HTTP"
	case strings.Contains(got, "redirect"):
		return "the answer sends elsewhere"
	}
	return ""
}

// schedule tells the state of a component that runs by the clock, and of its last run if
// that failed.
func (d *diagnosis) schedule(w *Workload) string {
	var newest *batchv1.Job
	running := false
	for i := range w.Jobs {
		job := &w.Jobs[i]
		running = running || job.Status.Active > 0
		if (job.Status.Succeeded > 0 || failure(job) != nil) && (newest == nil || newest.CreationTimestamp.Before(&job.CreationTimestamp)) {
			newest = job
		}
	}
	if newest != nil && failure(newest) != nil {
		d.runFailed(w, newest)
	}
	switch {
	case w.Formation.Count == 0:
		return "suspended"
	case running:
		return "runs"
	}
	return "waits"
}

func failure(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// runFailed explains the last run of a schedule by its process, if that is still there.
func (d *diagnosis) runFailed(w *Workload, job *batchv1.Job) {
	failed := failure(job)
	message, hint := "It did not end well.", "Run it by hand to see why: berth run -c "+w.Component.Name
	var of *corev1.Pod
	for i := range w.Pods {
		pod := &w.Pods[i]
		if pod.Labels[batchv1.JobNameLabel] != job.Name {
			continue
		}
		of = pod
		for _, program := range w.programs(pod) {
			if ended := program.status.State.Terminated; ended != nil && ended.ExitCode != 0 {
				why := program.end(ended)
				message, hint = why.Message, why.Hint
			}
		}
	}
	if failed.Reason == batchv1.JobReasonDeadlineExceeded {
		message, hint = "It took longer than it may and was ended.", "Make it faster, or raise cron.timeoutSeconds in the app file."
	}
	d.add(d.finding(w, of, ReasonRunFailed, fmt.Sprintf("Its last run failed %s ago. %s", roughly(d.Now.Sub(failed.LastTransitionTime.Time)), message), hint))
}

func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// roughly is a time that went by in the largest unit that fits.
func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d hours", int(d.Hours()))
}
