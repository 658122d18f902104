package apps

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

const (
	// patience is how long a trouble that may pass is let pass: time for a second
	// try at pulling an image.
	patience = 15 * time.Second
	// settingsPatience is how long settings and secrets may take to reach the machine: they are
	// Berth's to bring, and nothing in the release would be better another time.
	settingsPatience = time.Minute
	// exitsThatCount is how often a process may end before it is called broken.
	exitsThatCount = 3
	// startsThatCount is how often a container that cannot be started is tried.
	startsThatCount = 2
)

// Rollout is what is seen of one component while a release rolls out.
type Rollout struct {
	Component  v1alpha1.Component
	Formation  v1alpha1.ComponentFormation
	Deployment *appsv1.Deployment
	// Pods of the revision that rolls out, no older ones.
	Pods []corev1.Pod
	// Events about those pods, for troubles that the pods themselves do not tell.
	Events []corev1.Event
}

// Complete says whether the component runs as it should: all its processes are of
// this revision and available, and no older one is left. A component that runs by the
// clock is complete once it is applied: whether its image can be fetched and its program
// works, the first run shows.
func (r *Rollout) Complete() bool {
	if r.Component.Cron != nil {
		return true
	}
	deployment := r.Deployment
	if deployment == nil || deployment.Status.ObservedGeneration < deployment.Generation {
		return false
	}
	want := r.Formation.Count
	status := deployment.Status
	return status.UpdatedReplicas == want && status.Replicas == want && status.AvailableReplicas == want
}

// Explanation is a failure with the process it was seen on, so that the end of
// its output can be added.
type Explanation struct {
	v1alpha1.ReleaseFailure
	// Pod is empty when no process is to blame. Container is the one of the component or of
	// its sidecar. Previous asks for the output of the run before the present one.
	Pod       string
	Container string
	Previous  bool
}

// EarlyFailure finds a trouble that waiting will not cure, or nil.
func (r *Rollout) EarlyFailure(now time.Time) *Explanation {
	for i := range r.Pods {
		if found := r.podFailure(&r.Pods[i], now); found != nil {
			found.Component = r.Component.Name
			return found
		}
	}
	return nil
}

// TimedOut explains a rollout that is not complete when its time is over.
func (r *Rollout) TimedOut(timeout time.Duration) *Explanation {
	found := r.stuck()
	found.Component = r.Component.Name
	found.Message += fmt.Sprintf(" The release was given %s.", words(timeout))
	return found
}

func (r *Rollout) podFailure(pod *corev1.Pod, now time.Time) *Explanation {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	age := now.Sub(pod.CreationTimestamp.Time)
	for _, program := range r.programs(pod) {
		found := program.waiting(age)
		if found == nil {
			found = program.ended()
		}
		if found == nil {
			continue
		}
		if found.Container != "" {
			found.Pod = pod.Name
		}
		if program.sidecar {
			found.Message = fmt.Sprintf("Sidecar %s of component %s: %s", program.name, r.Component.Name, found.Message)
		}
		return found
	}
	return nil
}

// waiting explains a container that has not been created since its pod was, so long ago.
func (p *program) waiting(age time.Duration) *Explanation {
	state := p.status.State.Waiting
	if state == nil {
		return nil
	}
	switch state.Reason {
	case "InvalidImageName":
		return p.imageNotFound(state.Message)
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable":
		if age > patience {
			return p.imageNotFound(state.Message)
		}
	case "CreateContainerConfigError", "CreateContainerError":
		if age > patience && !isAboutSettings(state.Message) || age > settingsPatience {
			return cannotStart(state.Message)
		}
	case "RunContainerError":
		if p.status.RestartCount+1 >= startsThatCount {
			return cannotStart(state.Message)
		}
	}
	return nil
}

func (p *program) imageNotFound(detail string) *Explanation {
	return explain(v1alpha1.ReasonImageNotFound,
		fmt.Sprintf("The image %s could not be fetched: %s.", p.image, pullFault(detail)),
		"Check the image's name and tag, that it was pushed, and that the registry lets it be read.")
}

func pullFault(detail string) string {
	detail = strings.ToLower(detail)
	switch {
	case strings.Contains(detail, "not found"), strings.Contains(detail, "manifest unknown"):
		return "the registry has no such image"
	case strings.Contains(detail, "unauthorized"), strings.Contains(detail, "denied"), strings.Contains(detail, "forbidden"):
		return "the registry refuses it"
	case strings.Contains(detail, "no such host"), strings.Contains(detail, "connection refused"), strings.Contains(detail, "timeout"):
		return "the registry does not answer"
	case strings.Contains(detail, "no match for platform"), strings.Contains(detail, "exec format"):
		return "it was made for another kind of processor"
	default:
		return "it was tried more than once"
	}
}

func cannotStart(detail string) *Explanation {
	low := strings.ToLower(detail)
	switch {
	case strings.Contains(low, "runasnonroot"), strings.Contains(low, "non-root"), strings.Contains(low, "run as root"):
		return explain(v1alpha1.ReasonCannotStart, "The image wants to run as root, which is not allowed.",
			"Add a USER line with a number other than 0 to the Dockerfile, or set user on the component.")
	case strings.Contains(low, "executable file not found"), strings.Contains(low, "no such file or directory"):
		return explain(v1alpha1.ReasonCannotStart, "The program to start is not in the image: "+programOf(detail)+".",
			"Check the command of the component, or the ENTRYPOINT and CMD of the image.")
	case strings.Contains(low, "permission denied"):
		return explain(v1alpha1.ReasonCannotStart, "The program to start may not be executed.",
			"Make it executable (chmod +x) for the user the image runs as.")
	case strings.Contains(low, "exec format error"):
		return explain(v1alpha1.ReasonCannotStart, "The program was made for another kind of processor.",
			"Build the image for linux/amd64.")
	case isAboutSettings(detail):
		return explain(v1alpha1.ReasonCannotStart, "The settings and secrets of its release are not there where it runs.",
			"Try again with `berth ps:restart`; if that does not help, tell the operator.")
	default:
		return explain(v1alpha1.ReasonCannotStart, "The process could not be started: "+shortLine(inside.ReplaceAllString(detail, "…"))+".",
			"Check the component's image, command and user.")
	}
}

// isAboutSettings knows what a machine says when it lacks what a release's variables are read
// from. The names in it are Berth's own, or even those of the host.
func isAboutSettings(detail string) bool { return aboutSettings.MatchString(strings.ToLower(detail)) }

var aboutSettings = regexp.MustCompile(`\b(secret|configmap) ("|cache|not found)|\bin (secret|configmap) |couldn't find key|non-existent config key|object ".*" not registered`)

// inside are names that a developer cannot know: of objects as they are on the host, of its
// namespaces and of files of the machine.
var inside = regexp.MustCompile(`\S+-x-\S+|\bvc-[a-z0-9]+\S*|/(var/(lib|run)|run|proc)/\S+`)

// programOf finds what the runtime quoted, which is the program it looked for.
func programOf(detail string) string {
	if _, rest, found := strings.Cut(detail, `exec: "`); found {
		if name, _, closed := strings.Cut(rest, `"`); closed {
			return name
		}
	}
	return shortLine(detail)
}

// ended explains a container whose process ended too often.
func (p *program) ended() *Explanation {
	status := p.status
	last, previous := status.State.Terminated, false
	exits := status.RestartCount
	switch {
	case last != nil:
		exits++
	case status.LastTerminationState.Terminated != nil:
		last, previous = status.LastTerminationState.Terminated, status.State.Waiting == nil
		if status.State.Waiting != nil {
			exits++
		}
	default:
		return nil
	}
	var found *Explanation
	switch {
	case last.Reason == "OOMKilled":
		found = p.outOfMemory()
	case last.Reason == "StartError" || last.Reason == "ContainerCannotRun":
		if exits < startsThatCount {
			return nil
		}
		found = cannotStart(last.Message)
	case exits >= exitsThatCount:
		found = p.exits(last, exits)
	default:
		return nil
	}
	found.Container, found.Previous = p.name, previous
	return found
}

func (p *program) exits(last *corev1.ContainerStateTerminated, exits int32) *Explanation {
	message := fmt.Sprintf("The process started and ended %d times, the last time with %s.", exits, exitWords(last))
	hint := exitHint(last.ExitCode)
	if p.sidecar && last.ExitCode == 0 {
		hint = "A sidecar must keep running. Run it in the foreground."
	}
	return explain(v1alpha1.ReasonProcessExits, message, hint)
}

func exitWords(last *corev1.ContainerStateTerminated) string {
	switch {
	case last.ExitCode == 0:
		return "exit code 0: it finished without an error"
	case last.ExitCode == 126:
		return "exit code 126: the command was found but may not be executed"
	case last.ExitCode == 127:
		return "exit code 127: the command was not found"
	case last.ExitCode == 137:
		return "exit code 137: it was killed"
	case last.ExitCode == 143:
		return "exit code 143: it was asked to stop"
	case last.ExitCode > 128 && last.ExitCode < 160:
		return fmt.Sprintf("exit code %d: it was ended by signal %d", last.ExitCode, last.ExitCode-128)
	default:
		return fmt.Sprintf("exit code %d", last.ExitCode)
	}
}

func exitHint(code int32) string {
	switch code {
	case 0:
		return "A component must keep running. Run it in the foreground, or use `berth run` for something that ends."
	case 126:
		return "Make the command executable (chmod +x) for the user the image runs as."
	case 127:
		return "Check the spelling of the command and that the image contains it."
	case 137, 143:
		return "If the process was not ready in time, make its health check pass sooner; else see its output."
	default:
		return "Read the end of its output; `berth logs` has all of it. Often a variable in config is missing."
	}
}

func explain(reason, message, hint string) *Explanation {
	return &Explanation{ReleaseFailure: v1alpha1.ReleaseFailure{Reason: reason, Message: message, Hint: hint}}
}
