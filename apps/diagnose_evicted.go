package apps

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// EventTime is when something last happened: which field tells depends on who wrote it.
func EventTime(event *corev1.Event) time.Time {
	if event.LastTimestamp.IsZero() {
		return event.EventTime.Time
	}
	return event.LastTimestamp.Time
}

// evicted tells of processes that were put out lately. One that ended well when it was told
// to looks like any other that is over, so only the events know.
func (d *diagnosis) evicted(w *Workload) {
	var last *corev1.Event
	count := int32(0)
	for i := range w.Events {
		event := &w.Events[i]
		if event.Reason != "Evicted" || !ofComponent(event.InvolvedObject.Name, w.Component.Name) || EventTime(event).Add(recent).Before(d.Now) {
			continue
		}
		count += max(1, event.Count)
		if last == nil || !EventTime(event).Before(EventTime(last)) {
			last = event
		}
	}
	if last == nil {
		return
	}
	ago := d.Now.Sub(EventTime(last))
	why, hint, command := evictionWords(last.Message)
	message := fmt.Sprintf("A process of it was put out %s ago, and another one took its place: %s.", roughly(ago), why)
	if count > 1 {
		message += fmt.Sprintf(" That happened %s lately.", times(count))
	}
	found := d.finding(w, nil, ReasonEvicted, message, hint)
	found.Process = ProcessName(w.Component.Name, last.InvolvedObject.Name)
	if command != "" {
		found.Command = d.command(command)
	}
	if ago > lately {
		d.early = append(d.early, found)
		return
	}
	d.late = append(d.late, found)
}

// ofComponent knows a component's process by the name of its pod, which may be gone: to the
// component's name two parts without a hyphen were added.
func ofComponent(pod, component string) bool {
	rest, is := strings.CutPrefix(pod, component+"-")
	return is && strings.Count(rest, "-") == 1
}

// amount is a limit as the machine writes it.
var amount = regexp.MustCompile(`\b([0-9]+)([GMK])i\b`)

// evictionWords say why a process was put out, what to try and which command to type, if not
// the usual one.
func evictionWords(message string) (why, hint, command string) {
	low := strings.ToLower(message)
	switch {
	case strings.Contains(low, "low on resource"):
		_, short, _ := strings.Cut(low, "low on resource: ")
		what := "room"
		switch {
		case strings.HasPrefix(short, "memory"):
			what = "memory"
		case strings.HasPrefix(short, "ephemeral-storage"), strings.HasPrefix(short, "inodes"):
			what = "disk"
		}
		return "its machine ran short of " + what, "Nothing needs to be done if it stays with that; tell the operator if it happens again.", "ps"
	case strings.Contains(low, "storage"), strings.Contains(low, "emptydir"):
		limit := "it may"
		if found := amount.FindStringSubmatch(message); found != nil {
			limit = fmt.Sprintf("the %s %siB that it may", found[1], found[2])
		}
		return "it wrote more to its own disk than " + limit,
			"Write less to files and remove those that are not needed; what should stay belongs on a volume (volumes in the app file).", ""
	}
	return "its machine could not keep it", "Nothing needs to be done if it stays with that; tell the operator if it happens again.", "ps"
}
