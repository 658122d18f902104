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

// Troubled names the container of a process whose output tells most about what is wrong, and
// whether it is the output of the run before. It is empty for a process that is well.
func (r *Rollout) Troubled(pod *corev1.Pod, now time.Time) (container string, previous bool) {
	if r.gone(pod) {
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
	before := len(d.out.Findings) + len(d.late)
	d.evicted(w)
	switch {
	case w.Component.Cron != nil:
		health.Desired, health.Ready = 0, 0
		health.State = d.schedule(w)
	case w.Formation.Count == 0:
		health.State = "stopped"
		d.stopped(w)
	default:
		d.processes(w)
		troubled := len(d.out.Findings)+len(d.late) > before
		switch {
		case health.Ready < health.Desired && troubled:
			health.State = "broken"
		case health.Ready < health.Desired:
			health.State = "starting"
		case troubled:
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
		if w.gone(pod) {
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
	if found := cmp.Or(p.waiting(2*settingsPatience), d.ended(p)); found != nil {
		if p.sidecar {
			found.Message = fmt.Sprintf("Its sidecar %s: %s", p.name, found.Message)
		}
		d.keep(p, d.finding(w, pod, found.Reason, found.Message, found.Hint))
		return
	}
	if p.status.State.Running != nil && !p.status.Ready && !p.sidecar {
		d.unready(w, pod, p.status)
	}
}

// unready tells which check of a running process fails, and what it got.
func (d *diagnosis) unready(w *Workload, pod *corev1.Pod, status *corev1.ContainerStatus) {
	got := w.probed(pod)
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
