package apps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// Workload is what is seen of one component of an app that is diagnosed. The pods are all
// that run, whatever their release.
type Workload struct {
	Rollout
	// Jobs are the runs of a component with a schedule.
	Jobs []batchv1.Job
	// Output is the end of what a process wrote, by pod.
	Output map[string][]string
}

// Case is all that a diagnosis is made of.
type Case struct {
	App *v1alpha1.App
	// Releases are newest first.
	Releases []v1alpha1.Release
	// Workloads are in the order of the template that runs. None are there while the place
	// where apps run does not answer, which Away says.
	Workloads []Workload
	Away      bool
	// Changes are what the newest release changed of the last good one, config included.
	Changes []TemplateChange
	// Variables are the names of all variables that the newest release sets.
	Variables []string
	Now       time.Time
}

// Diagnosis explains how an app is doing, in words for its developer.
type Diagnosis struct {
	// Summary is one sentence.
	Summary string
	// Healthy says that nothing is wrong, and that nothing was in the last minutes.
	Healthy    bool
	Components []ComponentHealth
	// Findings are what is wrong, the first thing to look at first.
	Findings []Finding
	// Version is the newest release and Since the last good one before it; 0 is none.
	Version, Since int64
	// Changes are what Version changed of Since.
	Changes []TemplateChange
	// Next are the commands to type next.
	Next []string
}

// ComponentHealth is how one component is doing.
type ComponentHealth struct {
	Name string
	// Desired and Ready count processes; both are 0 for a component that runs by the clock.
	Desired, Ready int32
	Restarts       int32
	// State is up, starting, broken, unsteady or stopped; by the clock waits, runs or suspended.
	State string
}

// Finding is one thing that is wrong.
type Finding struct {
	// Component and Process say where, as far as it is one's.
	Component, Process string
	// Reason is one CamelCase word; Message says what it is, Hint what to try.
	Reason, Message, Hint string
	// Output is the end of what the process wrote.
	Output []string
	// Command to type next.
	Command string
}

// Reasons of findings besides those of failed releases.
const (
	ReasonMissingVariable = "MissingVariable"
	ReasonStopped         = "Stopped"
	ReasonMaintenance     = "Maintenance"
	ReasonRestarts        = "Restarts"
	ReasonRunFailed       = "RunFailed"
	ReasonAway            = "Away"
	ReasonEvicted         = "Evicted"
)

// LastGood is the newest release before the newest that served, or nil.
func LastGood(releases []v1alpha1.Release) *v1alpha1.Release {
	for i := 1; i < len(releases); i++ {
		if Proven(&releases[i]) || releases[i].Status.Phase == v1alpha1.ReleaseLive {
			return &releases[i]
		}
	}
	return nil
}

// Diagnose says what is wrong with an app and what to do next.
func Diagnose(c Case) Diagnosis {
	d := &diagnosis{Case: c}
	d.out.Components = []ComponentHealth{}
	if len(c.Releases) > 0 {
		d.out.Version = c.Releases[0].Spec.Version
	}
	if good := LastGood(c.Releases); good != nil {
		d.out.Since, d.out.Changes = good.Spec.Version, c.Changes
	}
	d.refused()
	d.failed()
	if c.Away {
		d.add(Finding{
			Reason: ReasonAway, Message: "Where the app runs does not answer now, so its processes cannot be looked at.",
			Hint: "Try again in a moment.", Command: d.command("apps:diagnose"),
		})
	}
	for i := range c.Workloads {
		d.workload(&c.Workloads[i])
	}
	for _, found := range d.late {
		d.add(found)
	}
	d.variables()
	broken := len(d.out.Findings) > 0
	for _, found := range d.early {
		d.add(found)
	}
	d.settings()
	d.conclude(broken)
	return d.out
}

// diagnosis is a Diagnosis in the making.
type diagnosis struct {
	Case
	out Diagnosis
	// late and early tell of processes that run again and ended lately, or earlier.
	late, early []Finding
}

// add keeps a finding, unless another process has the same trouble.
func (d *diagnosis) add(found Finding) {
	same := func(other Finding) bool {
		return other.Component == found.Component && other.Reason == found.Reason && other.Message == found.Message
	}
	if !slices.ContainsFunc(d.out.Findings, same) {
		d.out.Findings = append(d.out.Findings, found)
	}
}

// command is one of ours for the app.
func (d *diagnosis) command(name string, more ...string) string {
	return strings.Join(append([]string{"berth", name, "--app", d.App.Name}, more...), " ")
}

// refused tells why what was asked for is not being released or served at all.
func (d *diagnosis) refused() {
	for _, condition := range []struct{ of, reason, command string }{
		{v1alpha1.ConditionWithinPlan, v1alpha1.ReasonOverPlan, d.command("ps:scale")},
		{v1alpha1.ConditionRouted, v1alpha1.ReasonHostTaken, "berth apps"},
	} {
		found := apimeta.FindStatusCondition(d.App.Status.Conditions, condition.of)
		if found != nil && found.Status == metav1.ConditionFalse && found.Reason == condition.reason {
			d.add(Finding{Reason: found.Reason, Message: found.Message, Command: condition.command})
		}
	}
}

// failed tells why the newest release did not become healthy.
func (d *diagnosis) failed() {
	if len(d.Releases) == 0 || d.Releases[0].Status.Phase != v1alpha1.ReleaseFailed {
		return
	}
	found := Finding{Reason: v1alpha1.ReasonTimedOut, Message: fmt.Sprintf("v%d did not become healthy.", d.out.Version), Command: d.command("ps:restart")}
	if f := d.Releases[0].Status.Failure; f != nil {
		found = Finding{
			Component: f.Component, Reason: f.Reason, Message: fmt.Sprintf("v%d: %s", d.out.Version, f.Message), Hint: f.Hint,
			Output: linesOf(f.LogTail), Command: d.next(f.Reason, f.Component),
		}
	}
	d.add(found)
}

// next is the command to type after a finding.
func (d *diagnosis) next(reason, component string) string {
	switch reason {
	case v1alpha1.ReasonImageNotFound:
		return d.command("deploy", component+"=IMAGE")
	case v1alpha1.ReasonOutOfMemory:
		return d.command("ps:scale", component+"="+d.larger(component))
	case v1alpha1.ReasonNoRoom:
		return d.command("ps:scale")
	case v1alpha1.ReasonTimedOut:
		return d.command("ps:restart")
	case v1alpha1.ReasonCannotStart:
		return "berth apply"
	case ReasonStopped:
		return d.command("ps:scale", component+"=1")
	}
	return d.command("logs", "--component", component)
}

// larger is a component's size with twice the OCUs, as ps:scale takes it.
func (d *diagnosis) larger(component string) string {
	for _, f := range Formation(d.App.Spec.Template, d.App.Spec.Formation) {
		if f.Name == component {
			return fmt.Sprintf("%d:%d", f.Count, min(2*f.OCUs, MaxOCUs))
		}
	}
	return "1:2"
}

// settings tells what its owner wants and a visitor may take for a fault.
func (d *diagnosis) settings() {
	if d.App.Spec.Edge.Maintenance {
		d.add(Finding{
			Reason: ReasonMaintenance, Message: "The app is in maintenance: every visitor gets 503.",
			Hint: "End it when the work is done.", Command: d.command("maintenance:off"),
		})
	}
	if networks := d.App.Spec.Edge.AllowedCIDRs; len(networks) > 0 {
		d.add(Finding{
			Reason: "Restricted", Message: "Only some networks are let in, and everybody else gets 403: " + strings.Join(networks, ", ") + ".",
			Hint: "Nothing needs to be done if that is meant so.", Command: d.command("access"),
		})
	}
}

// conclude sums up. The app is broken if there were findings besides its owner's settings
// and what is over.
func (d *diagnosis) conclude(broken bool) {
	d.out.Healthy = !broken
	app, version := d.App.Name, d.out.Version
	live := Live(d.Releases)
	newest := v1alpha1.ReleasePhase("")
	if len(d.Releases) > 0 {
		newest = d.Releases[0].Status.Phase
	}
	switch {
	case d.App.Spec.Template == nil:
		d.out.Summary, d.out.Healthy = "Nothing has been deployed to "+app+" yet.", false
		d.out.Next = []string{"berth init", "berth apply"}
		return
	case version == 0:
		d.out.Summary, d.out.Healthy = "No release of "+app+" has been made yet.", false
	case newest == v1alpha1.ReleaseFailed && live != nil:
		d.out.Summary = fmt.Sprintf("v%d failed; v%d keeps serving.", version, live.Spec.Version)
	case newest == v1alpha1.ReleaseFailed:
		d.out.Summary = fmt.Sprintf("v%d failed, and no earlier release serves.", version)
	case live == nil || live.Spec.Version != version:
		d.out.Summary, d.out.Healthy = fmt.Sprintf("v%d of %s is not live yet.", version, app), false
		d.out.Next = []string{d.command("releases")}
	case broken:
		d.out.Summary = fmt.Sprintf("v%d of %s is live, but not all of it works.", version, app)
	default:
		d.out.Summary = fmt.Sprintf("v%d of %s is live and works.", version, app)
	}
	for _, found := range d.out.Findings {
		if found.Command != "" && !slices.Contains(d.out.Next, found.Command) {
			d.out.Next = append(d.out.Next, found.Command)
		}
	}
	if broken && newest == v1alpha1.ReleaseLive && d.out.Since > 0 && len(d.out.Changes) > 0 {
		d.out.Next = append(d.out.Next, d.command("rollback", fmt.Sprintf("v%d", d.out.Since)))
	}
}

func linesOf(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
