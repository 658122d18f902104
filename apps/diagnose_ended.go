package apps

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

const (
	// recent is how long the end of a process that runs again is worth telling.
	recent = 24 * time.Hour
	// lately is how long such an app counts as one that is not well.
	lately = 10 * time.Minute
)

// keep keeps what is wrong with a container. That it ended and runs again weighs less than
// what is wrong now, and nothing once it was a while ago.
func (d *diagnosis) keep(p *program, found Finding) {
	last := p.status.LastTerminationState.Terminated
	switch {
	case !runsAgain(p.status) || last == nil:
		d.add(found)
	case last.FinishedAt.Add(lately).Before(d.Now):
		d.early = append(d.early, found)
	default:
		d.late = append(d.late, found)
	}
}

// gone says whether a process is on its way out or ended for good, as one that its machine
// put out: another one takes its place. A run of the clock is what it was, also when it ended.
func (r *Rollout) gone(pod *corev1.Pod) bool {
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	return pod.DeletionTimestamp != nil || ended && r.Component.Cron == nil
}

func runsAgain(status *corev1.ContainerStatus) bool {
	return status.State.Running != nil && status.Ready
}

// recovered says whether a container's end is so long ago that nobody needs to hear of it,
// or that it is not why the container is not well now.
func recovered(status *corev1.ContainerStatus, last *corev1.ContainerStateTerminated, now time.Time) bool {
	telling := recent
	if !status.Ready {
		telling = lately
	}
	return status.State.Running != nil && last.FinishedAt.Add(telling).Before(now)
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
	found := p.end(last)
	switch {
	case runsAgain(p.status):
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
