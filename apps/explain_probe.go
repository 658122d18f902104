package apps

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// probed is what a process's health check got last, as far as it is known.
func (r *Rollout) probed(pod *corev1.Pod) string {
	got := ""
	for i := range r.Events {
		event := &r.Events[i]
		if event.InvolvedObject.Name == pod.Name && event.Reason == "Unhealthy" {
			got = cmp.Or(probeWords(event.Message), got)
		}
	}
	return got
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
