package apps

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// putOut is an event of a process that was put out a while ago.
func putOut(pod, message string, ago time.Duration) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: pod}, Reason: "Evicted", Message: message, LastTimestamp: before(ago),
	}
}

func TestAProcessThatWasPutOutAndEndedWellIsTold(t *testing.T) {
	const pod, minutes = "web-6b7f-gone1", 3 * time.Minute
	for name, c := range map[string]struct {
		events []corev1.Event
		words  string
		next   string
	}{
		"its disk was full": {
			[]corev1.Event{putOut(pod, "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ", minutes)},
			"A process of it was put out 3 minutes ago, and another one took its place: it wrote more to its own disk than the 2 GiB that it may.",
			"berth logs --app shop --component web",
		},
		"its container's": {
			[]corev1.Event{putOut(pod, `Container web exceeded its local ephemeral storage limit "512Mi". `, minutes)}, "than the 512 MiB that it may.", "berth logs --app shop --component web",
		},
		"its temporary folder": {
			[]corev1.Event{putOut(pod, `Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". `, minutes)}, "than the 1 GiB that it may.", "berth logs --app shop --component web",
		},
		"its machine was short of memory": {
			[]corev1.Event{putOut(pod, "The node was low on resource: memory. Threshold quantity: 100Mi, available: 44Mi. ", minutes)}, "its machine ran short of memory.", "berth ps --app shop",
		},
		"its machine was short of disk": {
			[]corev1.Event{putOut(pod, "The node was low on resource: ephemeral-storage. Container web was using 1Gi, request is 0.", minutes)}, "its machine ran short of disk.", "berth ps --app shop",
		},
		"nobody knows why": {[]corev1.Event{putOut(pod, "it had to be", minutes)}, "its machine could not keep it.", "berth ps --app shop"},
		"more than once, and the newest counts": {
			[]corev1.Event{putOut("web-6b7f-gone0", "The node was low on resource: memory.", time.Hour), putOut(pod, "storage 2Gi", minutes)},
			"than the 2 GiB that it may. That happened 2 times lately.", "berth logs --app shop --component web",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(sick(func(s *Case, _ *corev1.Pod) { s.Workloads[0].Events = c.events }))
			if got.Healthy || len(got.Findings) != 1 || got.Components[0].State != "unsteady" {
				t.Fatalf("got %+v", got)
			}
			found := got.Findings[0]
			if found.Reason != ReasonEvicted || found.Process != "web.gone1" || found.Hint == "" || !strings.Contains(found.Message, c.words) {
				t.Errorf("got %+v, want %q", found, c.words)
			}
			if got.Next[0] != c.next {
				t.Errorf("next is %q, want %q", got.Next, c.next)
			}
		})
	}
}

func TestAnEvictionOfAnotherOrOfLongAgoIsNoFault(t *testing.T) {
	for name, c := range map[string]struct {
		event corev1.Event
		told  int
	}{
		"of another component":             {putOut("web-api-6b7f-gone1", "storage", time.Minute), 0},
		"of a one-off process":             {putOut("run-abcdefgh", "storage", time.Minute), 0},
		"of a process of yesterday":        {putOut("web-6b7f-gone1", "storage", 25*time.Hour), 0},
		"of an hour ago is told all along": {putOut("web-6b7f-gone1", "storage", time.Hour), 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diagnose(sick(func(s *Case, _ *corev1.Pod) { s.Workloads[0].Events = []corev1.Event{c.event} }))
			if !got.Healthy || len(got.Findings) != c.told || got.Components[0].State != "up" {
				t.Errorf("got %+v", got)
			}
		})
	}
}
